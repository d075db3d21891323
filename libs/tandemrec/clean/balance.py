"""Conservation: what came in is what was kept, superseded, merged and rejected, and the tables hold exactly that."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tandemrec.clean.verdicts import ACCEPTED, FORMER, KEPT, MERGED, REPEATED
from tandemrec.errors import TableError


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What became of the records of one table.

    Args:
        moves: rows by what they were before this run (None: not there, else a verdict) and their verdict now.
        lines: lines of files that the new records come from.
        before: rows of the lake by verdict, before this run.
    """

    table: str
    moves: Mapping[tuple[str | None, str], int]
    lines: int
    before: Mapping[str, int] = field(default_factory=dict)

    @property
    def new(self) -> dict[str, int]:
        """The records of this run by verdict."""
        return {verdict: rows for (was, verdict), rows in self.moves.items() if was is None}

    @property
    def totals(self) -> dict[str, int]:
        """All records that ever came in, by verdict."""
        totals = Counter(self.before)
        for (was, verdict), rows in self.moves.items():
            totals[verdict] += rows
            if was is not None:
                totals[was] -= rows
        return {verdict: rows for verdict, rows in sorted(totals.items()) if rows}

    @property
    def revised(self) -> int:
        """Rows of earlier runs that have another verdict now."""
        return sum(rows for (was, verdict), rows in self.moves.items() if was not in (None, verdict))

    def figures(self) -> dict[str, object]:
        """The totals; where rows were there before also what is new and what was revised."""
        totals = shares(self.totals)
        return totals | ({"new": shares(self.new), "revised": self.revised} if self.before else {})

    def check(self, *, bronze: int, silver: int, quarantine: int, history: int | None = None) -> None:
        """Compare with what the tables hold: new lines in bronze, rows in silver, rejected rows in quarantine, versions
        in the history of a table that has one.

        Raises:
            TableError: a row was lost or came twice.
        """
        totals = Counter(self.totals)
        rejected = sum(rows for verdict, rows in totals.items() if verdict not in ACCEPTED)
        versions = totals[KEPT] + totals[FORMER]
        for what, found, expected in (
            ("lines of bronze were judged", self.lines, bronze),
            ("rows are in silver", silver, totals[KEPT]),
            ("rows are in quarantine", quarantine, rejected),
            ("versions are in the history", versions if history is None else history, versions),
        ):
            if found != expected:
                raise TableError(f"table {self.table}: {found:,} {what}, expected {expected:,}")

    def sentence(self) -> str:
        counts = Counter(self.new)
        parts = [f"{counts[KEPT]:,} kept"]
        parts += [f"{counts[FORMER]:,} former"] if counts[FORMER] else []
        parts.append(f"{counts[MERGED]:,} merged")
        parts += [f"{counts[REPEATED]:,} repeats counted"] if counts[REPEATED] else []
        parts.append(f"{sum(rows for verdict, rows in counts.items() if verdict not in ACCEPTED):,} rejected")
        earlier = f"; {self.revised:,} earlier rows revised" if self.before else ""
        return f"{self.table}: {counts.total():,} {'new ' if self.before else ''}in = {' + '.join(parts)}{earlier}"


def shares(verdicts: Mapping[str, int]) -> dict[str, object]:
    """Rows by verdict as a run records them; `former` and `repeated` only where there are any."""
    return {
        "in": sum(verdicts.values()),
        KEPT: verdicts.get(KEPT, 0),
        MERGED: verdicts.get(MERGED, 0),
        **{verdict: verdicts[verdict] for verdict in (FORMER, REPEATED) if verdicts.get(verdict)},
        "rejected": {verdict: rows for verdict, rows in sorted(verdicts.items()) if verdict not in ACCEPTED},
    }


def verdicts_of(figures: Mapping[str, object]) -> dict[str, int]:
    """Rows by verdict, from what a run recorded."""
    counts = {name: figures.get(name, 0) for name in ACCEPTED} | dict(figures["rejected"])  # type: ignore[call-overload]
    return {verdict: int(rows) for verdict, rows in counts.items() if rows}
