"""The report of a run: python -m jobs.report --config FILE. No engine: the lake is read through delta-rs."""

import os
import sys
from collections.abc import Sequence
from typing import Any

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.lake import Lake, runs
from tandemrec.pipeline import stage_main
from tandemrec.report import render


def run(settings: Settings) -> runs.Figures:
    """Write the report to report.path; a reader never sees half of it."""
    path = settings.report_path
    page = render(Lake.of(settings.lake), settings).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.write_bytes(page)
    unfinished.replace(path)
    console.line(f"  {path}")
    return {"path": str(path), "bytes": len(page)}


def depends_on(settings: Settings) -> Any:
    """The newest run of every other stage: the report tells of all of them."""
    newest = runs.newest(Lake.of(settings.lake))
    return {name: [run.run_id, run.started_at.isoformat()] for name, run in newest.items() if name != "report"}


def still_there(settings: Settings, run: runs.Run) -> bool:
    """The file is there and of the size that was written: another lake's report may lie at the same path."""
    path = settings.report_path
    return path.is_file() and path.stat().st_size == run.figures.get("bytes")


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("report", argv)


if __name__ == "__main__":
    sys.exit(main())
