"""Small files packed, old files removed, with a report of each table's files before and after."""

import sys
from collections.abc import Sequence
from dataclasses import asdict

from pyspark.sql import SparkSession
from rich.table import Table as Grid

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.lake.upkeep import FileReport, file_report, optimize, vacuum
from tandemrec.pipeline.operations import operation_main
from tandemrec.report import words

SAFE_HOURS = 168


def refuse(settings: Settings, *, retain_hours: int, unsafe_retention: bool, dry_run: bool) -> None:
    """What is told before Spark starts.

    Raises:
        ConfigError: the retention is too short.
    """
    if retain_hours < 0 or (retain_hours < SAFE_HOURS and not unsafe_retention):
        raise ConfigError(
            f"--retain-hours is {retain_hours}, expected {SAFE_HOURS} or more: a shorter time takes files from under "
            "readers and writers at work (--unsafe-retention allows it where there are none)"
        )


def run(
    spark: SparkSession,
    settings: Settings,
    *,
    retain_hours: int = SAFE_HOURS,
    unsafe_retention: bool = False,
    dry_run: bool = False,
) -> Figures:
    """OPTIMIZE and VACUUM every table of the lake; no row changes, and no stage runs again because of it.

    Args:
        retain_hours: versions younger than this stay readable.
        unsafe_retention: allow less than a week.
        dry_run: look only.

    Returns:
        By table: files before and after, and how many files were removed (or would be).

    Raises:
        ConfigError: the retention is too short.
        TableError: the lake holds no table.
    """
    refuse(settings, retain_hours=retain_hours, unsafe_retention=unsafe_retention, dry_run=dry_run)
    lake = Lake(settings.lake.root)  # as it is: a version of the past cannot be packed
    lake.refuse_empty()
    names = lake.names()
    figures: Figures = {}
    with console.meter("tables", len(names)) as meter:
        for name in names:
            before = file_report(lake, name)
            if not dry_run:
                optimize(spark, lake, name)
            removed = vacuum(lake, name, retain_hours=retain_hours, dry_run=dry_run)
            after = file_report(lake, name)
            figures[name] = {"before": asdict(before), "after": asdict(after), "removed": removed}
            meter.advance()
    _say(lake, figures, dry_run=dry_run)
    return figures


def _say(lake: Lake, figures: Figures, *, dry_run: bool) -> None:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    removed = "would be removed" if dry_run else "removed"
    for heading in ("table", "files", "mean size", "below 32 MB", "without statistics", removed):
        grid.add_column(heading, justify="left" if heading == "table" else "right")
    for name, found in figures.items():
        before, after = FileReport(**found["before"]), FileReport(**found["after"])
        grid.add_row(
            lake.table(name).path,
            _both(words.count(before.files), words.count(after.files)),
            _both(words.size(before.mean_size), words.size(after.mean_size)),
            _both(words.count(before.small), words.count(after.small)),
            words.count(after.without_statistics),
            words.count(found["removed"]),
        )
    console.table(grid)


def _both(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("maintain", argv)


if __name__ == "__main__":
    sys.exit(main())
