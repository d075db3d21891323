"""What came in and what was rejected: the counts of the newest clean run and a few of the rejected lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from tandemrec.lake import Lake, runs
from tandemrec.report.words import visible

TABLES = ("events", "items", "reviews", "relations", "rows")
SAMPLES = 3


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Rows of one table from bronze to silver; `former` are superseded versions,
    `merged` duplicates and counted repeats; `rejected` counts by reason.
    """

    table: str
    rows_in: int
    kept: int
    merged: int
    former: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def rejected_rows(self) -> int:
        return sum(self.rejected.values())

    @property
    def accounted_for(self) -> int:
        return self.kept + self.former + self.merged + self.rejected_rows

    @property
    def conserved(self) -> bool:
        return self.rows_in == self.accounted_for


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """A reason with its count and a few of the lines it was given for."""

    table: str
    reason: str
    rows: int
    lines: Sequence[Mapping[str, Any]]


def intakes(clean: Mapping[str, Any]) -> list[Intake]:
    """The counts in the figures of a clean run, most rejected reason first."""
    return [
        Intake(
            table=table,
            rows_in=figures["in"],
            kept=figures.get("kept", 0),
            merged=figures.get("merged", 0) + figures.get("repeated", 0),
            former=figures.get("former", 0),
            rejected=dict(sorted(figures.get("rejected", {}).items(), key=lambda entry: (-entry[1], entry[0]))),
        )
        for table in TABLES
        if isinstance(figures := clean.get(table), dict) and "in" in figures
    ]


def rejections(lake: Lake, found: Sequence[Intake]) -> list[Rejection]:
    """Each reason of each table with up to three of its lines, cut to 200 characters."""
    return [
        Rejection(table=intake.table, reason=reason, rows=rows, lines=_lines(lake, intake.table, reason))
        for intake in found
        for reason, rows in intake.rejected.items()
        if rows
    ]


def judgements(lake: Lake) -> list[Mapping[str, Any]]:
    """What was expected of tables and what was found, by the newest run of each stage, be it finished or failed."""
    newest: dict[str, runs.Run] = {}
    for run in runs.every(lake):
        newest.setdefault(run.stage, run)
    by_start = sorted(newest.values(), key=lambda run: run.started_at)
    return [judged for run in by_start for judged in run.figures.get("quality", ())]


def _lines(lake: Lake, table: str, reason: str) -> list[dict[str, Any]]:
    if not lake.exists("quarantine"):
        return []
    where = (pc.field("table_name") == table) & (pc.field("reason") == reason)
    rows = lake.read("quarantine", ["source", "file", "line", "raw"], where=where, limit=SAMPLES)
    return [{**row, "raw": visible(row["raw"] or "")} for row in rows.to_pylist()]
