"""Examples of the past: built from older versions of their inputs, and the same as they were then."""

from examples_logs import random_log, settings_of, silver

from tandemrec.lake import runs
from tandemrec.pipeline import run_stage, stage


def fill(lake, log):
    for name, rows in zip(("events", "reviews", "items"), log, strict=True):
        lake.overwrite(name, silver(name, rows))
    return {name: lake.version(name) for name in ("events", "reviews", "items")}


def rows_of(lake, name, version=None):
    return sorted(lake.read(name, version=version).to_pylist(), key=str)


def test_examples_as_of_older_versions_are_those_of_then(spark, lake):
    settings = settings_of(lake.root, valid_share=0.2, test_share=0.2, history_length=3)
    first = fill(lake, random_log(5))
    run_stage(settings, stage("examples"), spark=spark)
    then = runs.latest(lake, "examples")
    events, reviews, items = random_log(6)
    fill(lake, (events, reviews, items))
    run_stage(settings, stage("examples"), spark=spark)
    assert rows_of(lake, "examples") != rows_of(lake, "examples", then.outputs["examples"])
    run_stage(settings, stage("examples"), spark=spark, as_of=[f"{name}={version}" for name, version in first.items()])
    again = runs.latest(lake, "examples")
    assert (again.run_id, dict(again.inputs)) == (then.run_id, first)
    for name in ("examples", "item_features"):
        known = {row["item_index"] for row in rows_of(lake, name, then.outputs[name])} if name != "examples" else None
        now = [row for row in rows_of(lake, name) if known is None or row["item_index"] in known]
        assert now == rows_of(lake, name, then.outputs[name])
