"""Quality gates: what a stage wrote is judged before anything is made of it.

A failed gate fails the stage. Its tables stay as they were written, for somebody to look at and as versions to compare
with; stages that would read them at that version refuse to, until the writing stage passes its gate or `--as-of` names
an earlier version.
"""

import pyarrow as pa
from pyspark.sql import SparkSession

from tandemrec import console, quality
from tandemrec.clean.times import moment
from tandemrec.config import Expectation, Settings
from tandemrec.errors import ConfigError, QualityError
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline.stages import STAGES, Stage


def expectations_of(settings: Settings, chosen: Stage) -> list[Expectation]:
    """What is expected of the tables that a stage writes.

    Raises:
        ConfigError: of any stage: a table that no stage of Spark writes, a column that it lacks, or a reference to a
            table that a later stage writes.
    """
    written = {name for one in STAGES if one.engine == "spark" for name in one.writes}
    for asked in settings.quality:
        if asked.table not in written:
            raise ConfigError(f"quality: table is {asked.table!r}, expected one of {sorted(written)}")
    quality.refuse_unknown(settings.quality, Lake.of(settings.lake))
    writers = {name: place for place, one in reversed([*enumerate(STAGES)]) for name in one.writes}  # the first of each
    for asked in settings.quality:
        of = (asked.of or asked.table).partition(".")[0]
        if writers.get(of, -1) > writers[asked.table]:
            raise ConfigError(
                f"quality: {asked.table}.{asked.column} is compared with {asked.of}, which the stage "
                f"{STAGES[writers[of]].name} writes after {STAGES[writers[asked.table]].name}; expected one of before"
            )
    return [asked for asked in settings.quality if asked.table in chosen.writes]


def ages(settings: Settings, chosen: Stage) -> bool:
    """Whether what held of a stage's tables may hold no longer although nothing changed: time goes on."""
    is_now = settings.clean.now is None
    return is_now and any(asked.check == "freshness" for asked in expectations_of(settings, chosen))


def judge(spark: SparkSession, settings: Settings, chosen: Stage, run_id: str) -> list[quality.Judged]:
    """Judge what the stage wrote: figures into gold.metrics, a line for each expectation that does not hold."""
    lake, asked = Lake.of(settings.lake), expectations_of(settings, chosen)
    now = moment(settings.clean.now) if settings.clean.now else runs.now()
    judged = quality.judge(spark, lake, asked, now=now)
    rows = [
        {
            "run_id": run_id,
            "model": "quality",
            "split": "all",
            "task": one.expectation.table,
            "metric": one.expectation.metric,
            "value": one.value,
            "rows": one.rows,
        }
        for one in judged
        if one.value is not None
    ]
    if rows:
        lake.merge("metrics", pa.Table.from_pylist(rows, arrow_schema(lake.table("metrics"))))
    for one in judged:
        if not one.holds and one.expectation.on_fail == "warn":
            console.warn(one.sentence)
    return judged


def figures(judged: list[quality.Judged]) -> list[dict[str, object]]:
    """What the run's record keeps of them."""
    return [
        {
            "table": one.expectation.table,
            "metric": one.expectation.metric,
            "found": one.found,
            "expected": one.expected,
            "verdict": "holds" if one.holds else one.expectation.on_fail,
            "sentence": one.sentence,
        }
        for one in judged
    ]


def refuse_failed(judged: list[quality.Judged]) -> None:
    """Raise a QualityError of the first expectation that fails the stage, with how many more there are."""
    failed = [one for one in judged if not one.holds and one.expectation.on_fail == "fail"]
    if failed:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        raise QualityError(f"{failed[0].sentence}{more}")


def refuse_unfit(lake: Lake, chosen: Stage) -> None:
    """Raise a QualityError where a table is to be read at a version that did not pass its gate.

    The run that counts is the newest that wrote the table up to that version. The report may read everything.
    """
    if chosen.engine == "none":
        return
    told = [run for run in runs.every(lake) if run.status == "done" or "quality" in run.figures]
    for name in chosen.reads:
        version = lake.version(name)
        writers = (run for run in told if version is not None and run.outputs.get(name, version + 1) <= version)
        writer = next(writers, None)
        if writer is None or writer.status == "done":
            continue
        for one in writer.figures["quality"]:
            if one["table"] == name and one["verdict"] == "fail":
                raise QualityError(
                    f"{one['sentence']} (version {version}, run {writer.run_id}): {chosen.name} does not read it; "
                    f"run {writer.stage} again, or name an earlier version with --as-of"
                )
