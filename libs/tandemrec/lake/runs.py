"""What each stage read, wrote and found: gold.runs.

A stage whose inputs, settings and code are as they were is up to date.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.errors import TableError
from tandemrec.lake.store import Lake
from tandemrec.lake.types import arrow_schema

Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of one stage."""

    run_id: str
    stage: str
    status: str
    started_at: datetime
    seconds: float
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]
    config_hash: str
    code_version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    figures: Figures = field(default_factory=dict)


def fingerprint(*parts: object) -> str:
    """Twelve hex digits of the sha256 of the parts as JSON with sorted keys."""
    text = json.dumps(parts, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def record(lake: Lake, run: Run) -> None:
    """Merge a run into gold.runs; a stage that runs again under the same identity replaces its row."""
    row = {
        **{name: getattr(run, name) for name in ("run_id", "stage", "status", "started_at", "seconds")},
        "inputs": list(run.inputs.items()),
        "outputs": list(run.outputs.items()),
        "config_hash": run.config_hash,
        "settings": json.dumps(run.settings, sort_keys=True, ensure_ascii=False),
        "code_version": run.code_version,
        "figures": json.dumps(run.figures, sort_keys=True, ensure_ascii=False),
    }
    lake.merge("runs", pa.Table.from_pylist([row], arrow_schema(lake.table("runs"))))


def finished(lake: Lake, stage: str) -> list[Run]:
    """The finished runs of a stage, the newest first."""
    return _found(lake, (pc.field("stage") == stage) & (pc.field("status") == "done"))


def latest(lake: Lake, stage: str) -> Run | None:
    """The newest finished run of a stage, or None."""
    return next(iter(finished(lake, stage)), None)


def every(lake: Lake) -> list[Run]:
    """All runs, finished or failed, the newest first."""
    return _found(lake, pc.scalar(True))


def with_id(lake: Lake, run_id: str) -> Run:
    """The run of this identity, finished or failed.

    Raises:
        TableError: there is none.
    """
    for run in _found(lake, pc.field("run_id") == run_id):
        return run
    raise TableError(f"table runs has no run {run_id}, expected a run_id of {lake.path('runs')}")


def of_model(lake: Lake) -> Run | None:
    """The training run whose model is read: the one that the lake names, else the newest finished one."""
    return with_id(lake, lake.model) if lake.model is not None else latest(lake, "train")


def _found(lake: Lake, where: pc.Expression) -> list[Run]:
    if not lake.exists("runs"):
        return []
    rows = lake.read("runs", where=where)
    return [_run(row) for row in rows.sort_by([("started_at", "descending")]).to_pylist()]


def newest(lake: Lake) -> dict[str, Run]:
    """The newest finished run of each stage, and of train the one whose model is read, in the order in which they
    started.
    """
    if not lake.exists("runs"):
        return {}
    rows = lake.read("runs", where=pc.field("status") == "done").sort_by("started_at").to_pylist()
    by_stage = {row["stage"]: _run(row) for row in rows}
    if lake.model is not None:
        by_stage["train"] = with_id(lake, lake.model)
    return dict(sorted(by_stage.items(), key=lambda entry: entry[1].started_at))


def _run(row: dict[str, Any]) -> Run:
    objects = {name: json.loads(row[name] or "{}") for name in ("settings", "figures")}
    return Run(**{**row, "inputs": dict(row["inputs"]), "outputs": dict(row["outputs"]), **objects})


def now() -> datetime:
    return datetime.now(UTC)
