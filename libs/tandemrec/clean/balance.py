"""Conservation: what came in is what was kept, merged and rejected, and the tables hold exactly that."""

from collections.abc import Mapping
from dataclasses import dataclass

from tandemrec.clean.verdicts import KEPT, MERGED
from tandemrec.errors import TableError


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What became of the records of one table.

    Args:
        records: rows by verdict.
        lines: lines of files that the records come from.
    """

    table: str
    records: Mapping[str, int]
    lines: int

    @property
    def kept(self) -> int:
        return self.records.get(KEPT, 0)

    @property
    def rejected(self) -> dict[str, int]:
        return {reason: rows for reason, rows in sorted(self.records.items()) if reason not in (KEPT, MERGED)}

    def figures(self) -> dict[str, object]:
        return {
            "in": sum(self.records.values()),
            "kept": self.kept,
            "merged": self.records.get(MERGED, 0),
            "rejected": self.rejected,
        }

    def check(self, *, bronze: int, silver: int, quarantine: int) -> None:
        """Compare with what the tables hold: lines in bronze, rows in silver, rejected rows in quarantine.

        Raises:
            TableError: a row was lost or came twice.
        """
        rejected = sum(self.rejected.values())
        for what, found, expected in (
            ("lines of bronze were judged", self.lines, bronze),
            ("rows are in silver", silver, self.kept),
            ("rows are in quarantine", quarantine, rejected),
        ):
            if found != expected:
                raise TableError(f"table {self.table}: {found:,} {what}, expected {expected:,}")

    def sentence(self) -> str:
        counts = self.figures()
        return (
            f"{self.table}: {counts['in']:,} in = {self.kept:,} kept + {counts['merged']:,} merged + "
            f"{sum(self.rejected.values()):,} rejected"
        )
