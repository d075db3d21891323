"""Conservation: what came in is what was kept, superseded, merged and rejected, and the tables hold exactly that."""

from collections.abc import Mapping
from dataclasses import dataclass

from tandemrec.clean.verdicts import FORMER, KEPT, MERGED
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
    def former(self) -> int:
        return self.records.get(FORMER, 0)

    @property
    def rejected(self) -> dict[str, int]:
        good = (KEPT, FORMER, MERGED)
        return {reason: rows for reason, rows in sorted(self.records.items()) if reason not in good}

    def figures(self) -> dict[str, object]:
        """The counts; `former` only where there are such rows."""
        return {
            "in": sum(self.records.values()),
            "kept": self.kept,
            **({"former": self.former} if self.former else {}),
            "merged": self.records.get(MERGED, 0),
            "rejected": self.rejected,
        }

    def check(self, *, bronze: int, silver: int, quarantine: int, history: int | None = None) -> None:
        """Compare with what the tables hold: lines in bronze, rows in silver, rejected rows in quarantine, versions in
        the history of a table that has one.

        Raises:
            TableError: a row was lost or came twice.
        """
        rejected = sum(self.rejected.values())
        versions = self.kept + self.former
        for what, found, expected in (
            ("lines of bronze were judged", self.lines, bronze),
            ("rows are in silver", silver, self.kept),
            ("rows are in quarantine", quarantine, rejected),
            ("versions are in the history", versions if history is None else history, versions),
        ):
            if found != expected:
                raise TableError(f"table {self.table}: {found:,} {what}, expected {expected:,}")

    def sentence(self) -> str:
        counts = self.figures()
        former = f"{self.former:,} former + " if self.former else ""
        return (
            f"{self.table}: {counts['in']:,} in = {self.kept:,} kept + {former}{counts['merged']:,} merged + "
            f"{sum(self.rejected.values()):,} rejected"
        )
