"""A run's examples rebuilt from what gold.runs recorded of it, and compared with what it wrote, row by row.

Nothing is written to the lake: inputs and vocabularies are read at the recorded versions, the rest stays in memory.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack

from pyspark.sql import SparkSession

from jobs import build_examples
from tandemrec import console
from tandemrec.config import Settings, parse_settings
from tandemrec.errors import ConfigError, TableError
from tandemrec.examples import vocabularies
from tandemrec.lake import Lake, runs
from tandemrec.lake.comparison import Differences, differences
from tandemrec.lake.spark import read
from tandemrec.pipeline import stage
from tandemrec.pipeline.operations import operation_main


def refuse(settings: Settings, *, run_id: str) -> None:
    """Raise, before Spark starts, what `run` does of a run that cannot be rebuilt."""
    lake = Lake.of(settings.lake)
    _past(lake, _of_examples(lake, run_id))


def run(spark: SparkSession, settings: Settings, *, run_id: str) -> runs.Figures:
    """Rebuild the examples of a run, or of the run whose examples it read, and compare.

    Returns:
        run_id of the examples; by table the number of rows, which are equal.

    Raises:
        ConfigError: the run is of a stage that neither writes nor reads examples, or keeps no settings.
        TableError: there is no such run, a version it needs was vacuumed, or what was rebuilt differs.
    """
    lake = Lake.of(settings.lake)
    built = _of_examples(lake, run_id)
    past = _past(lake, built)
    figures: runs.Figures = {"run_id": built.run_id}
    unlike = []
    console.line(f"reproduce: examples of run {built.run_id}, started {built.started_at:%Y-%m-%d %H:%M} UTC")
    with ExitStack() as stack:
        sizes = built.figures["vocabularies"]
        tables, _ = build_examples.build(spark, past, _settings(settings, built), stack, sizes=sizes)
        for name, rows in tables.items():
            recorded = read(spark, lake, name, version=built.outputs[name])
            found = differences(rows, recorded, lake.table(name))
            console.line(f"  {name}: {_sentence(found)}")
            figures[name] = found.same
            if not found.none:
                unlike.append(name)
    if unlike:
        raise TableError(f"run {built.run_id} was not reproduced: {', '.join(unlike)} differ from what it wrote")
    return figures


def _of_examples(lake: Lake, run_id: str) -> runs.Run:
    """The run of examples: the one named, or the one whose output the named one read."""
    named = runs.with_id(lake, run_id)
    if named.stage == "examples":
        found = named
    elif (version := named.inputs.get("examples")) is not None:
        writers = [run for run in runs.finished(lake, "examples") if run.outputs.get("examples") == version]
        if not writers:
            raise TableError(
                f"run {run_id} read examples at version {version}, and no recorded run of examples wrote it"
            )
        found = writers[0]
    else:
        raise ConfigError(f"run {run_id} is of stage {named.stage}, expected one that writes or reads examples")
    if found.status != "done" or not found.settings:
        raise ConfigError(
            f"run {found.run_id} of examples {found.status} and keeps no settings, expected a run that does"
        )
    return found


def _past(lake: Lake, built: runs.Run) -> Lake:
    """The lake as the run saw it, with the vocabularies as it left them: they only grow, and its indices are theirs."""
    versions = {name: built.inputs.get(name) for name in stage("examples").reads}
    versions |= {name: built.outputs[name] for name in vocabularies.TABLES}
    for name, version in {**built.outputs, **versions}.items():
        if version is not None:
            lake.refuse_vacuumed(name, version)
    return Lake(lake.root, versions=versions)


def _settings(settings: Settings, built: runs.Run) -> Settings:
    return parse_settings({**settings.model_dump(mode="json"), **built.settings}, where=f"settings of {built.run_id}")


def _sentence(found: Differences) -> str:
    if found.none:
        return f"equal: {found.same:,} rows"
    parts = [f"{count:,} rows differ in {column}" for column, count in found.by_column.items()]
    parts += [f"{found.expected_only:,} rows were not rebuilt"] if found.expected_only else []
    parts += [f"{found.found_only:,} rows were not recorded"] if found.found_only else []
    keys = ", ".join(" ".join(str(value) for value in key.values()) for key in found.keys)
    return f"{'; '.join(parts)}; {found.same:,} are equal; not so for instance {keys}"


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("reproduce", argv)


if __name__ == "__main__":
    sys.exit(main())
