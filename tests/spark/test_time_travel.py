"""Examples of the past: built from older versions of their inputs, rebuilt from their record, compared row by row."""

import dataclasses

import pyarrow as pa
import pytest
from examples_logs import random_log, settings_of, silver
from examples_oracle import expected_examples

from jobs import reproduce
from tandemrec.errors import ConfigError, TableError
from tandemrec.lake import runs
from tandemrec.lake.comparison import differences
from tandemrec.lake.types import arrow_schema, ddl
from tandemrec.pipeline import run_stage, stage


def fill(lake, log):
    for name, rows in zip(("events", "reviews", "items"), log, strict=True):
        lake.overwrite(name, silver(name, rows))
    return {name: lake.version(name) for name in ("events", "items", "reviews")}


def counted(log, settings):
    events, reviews, items = log
    categories = {i["item_id"]: " > ".join(i["category"]) for i in items if i["category"]}
    return len(expected_examples(events, reviews, categories, settings.examples))


def tampered(lake, name, change):
    """Another version of a table in which `change` was done to its rows."""
    schema = arrow_schema(lake.table(name))
    rows = sorted(lake.read(name).to_pylist(), key=str)
    lake.overwrite(name, pa.Table.from_pylist(change(rows), schema))
    return lake.version(name)


@pytest.mark.slow
def test_examples_of_older_versions_and_rebuilt_from_their_record(spark, lake, capsys):
    settings = settings_of(lake.root, valid_share=0.2, test_share=0.2, history_length=3)
    logs = random_log(5, users=4, events=80, reviews=20), random_log(6, users=4, events=60, reviews=20)
    first, _ = fill(lake, logs[0]), fill(lake, logs[1])
    versions = {name: lake.version(name) for name in first}
    run_stage(settings, stage("examples"), spark=spark, as_of=[f"{name}={version}" for name, version in first.items()])
    built = runs.latest(lake, "examples")
    rows = lake.info("examples").rows
    assert dict(built.inputs) == first
    assert rows == counted(logs[0], settings) != counted(logs[1], settings)

    # Other settings and newer inputs than those of the run make no difference: it is told by its record.
    other = settings_of(lake.root, split="leave_one_out")
    trained = dataclasses.replace(built, run_id="a" * 12, stage="train", inputs=built.outputs, outputs={}, settings={})
    runs.record(lake, trained)
    figures = reproduce.run(spark, other, run_id=trained.run_id)
    assert figures["run_id"] == built.run_id and figures["examples"] == rows
    assert f"examples: equal: {rows} rows" in capsys.readouterr().out
    assert {name: lake.version(name) for name in built.outputs} == dict(built.outputs)
    assert {name: lake.version(name) for name in first} == versions

    def change(rows):
        rows[0]["history"] = [99, *rows[0]["history"]]
        rows[1]["split"], rows[1]["rating"] = {"train": "test"}.get(rows[1]["split"], "train"), 99.0
        return [*rows[:-1], rows[-1] | {"example_id": "unheard of"}]

    wrote = {**built.outputs, "examples": tampered(lake, "examples", change)}
    runs.record(lake, dataclasses.replace(built, outputs=wrote))
    with pytest.raises(TableError, match=f"{built.run_id} was not reproduced: examples differ"):
        reproduce.run(spark, settings, run_id=built.run_id)
    said = capsys.readouterr().out.replace("\n", " ")
    told = "1 rows differ in split; 1 rows differ in history; 1 rows differ in rating; 1 rows were not rebuilt; "
    assert f"examples: {told}1 rows were not recorded; {rows - 3} are equal" in " ".join(said.split())


def test_differences_are_counted_by_column_and_named_by_key(spark, lake):
    contract = lake.table("predictions")

    def frame(*rows):
        return spark.createDataFrame([("r", f"u{n}", "i", scores, v) for n, scores, v in rows], ddl(contract))

    nan = float("nan")
    ours = frame((1, {"a": 1.0, "b": nan}, "x"), (2, {"a": 1.0}, "x"), (3, {"a": 2.0}, "y"), (4, {}, "x"))
    theirs = frame((1, {"a": 1.0, "b": nan}, "x"), (2, {"a": 1.5}, "x"), (3, {"a": 2.5}, "z"), (5, {}, "x"))
    found = differences(ours, theirs, contract)
    assert (found.same, found.found_only, found.expected_only) == (1, 1, 1)
    assert found.by_column == {"scores": 2, "model_version": 1}
    assert [key["user_id"] for key in found.keys] == ["u2", "u3", "u4", "u5"]
    assert not found.none


def test_what_cannot_be_reproduced_says_why(lake):
    run = runs.Run(
        run_id="b" * 12, stage="clean", status="done", started_at=runs.now(), seconds=1.0, inputs={}, outputs={},
        config_hash="", code_version="",
    )  # fmt: skip
    runs.record(lake, run)
    settings = settings_of(lake.root)
    with pytest.raises(ConfigError, match="is of stage clean, expected one that writes or reads examples"):
        reproduce.run(None, settings, run_id=run.run_id)
    with pytest.raises(TableError, match="no run 000000000000"):
        reproduce.run(None, settings, run_id="0" * 12)
    runs.record(lake, dataclasses.replace(run, run_id="c" * 12, stage="examples"))
    with pytest.raises(ConfigError, match="examples done and keeps no settings"):
        reproduce.run(None, settings, run_id="c" * 12)
    runs.record(lake, dataclasses.replace(run, run_id="d" * 12, stage="train", inputs={"examples": 7}))
    with pytest.raises(TableError, match="read examples at version 7, and no recorded run"):
        reproduce.run(None, settings, run_id="d" * 12)
    lake.overwrite("events", silver("events", random_log(5, events=3)[0]))
    version = lake.version("events")
    lake.overwrite("events", silver("events", random_log(6, events=3)[0]))
    lake.open("events").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    names = ("users_vocabulary", "items_vocabulary", "texts_vocabulary", "attributes_vocabulary")
    for name in names:
        lake.ensure(name)
    kept = {"inputs": {"events": version}, "outputs": dict.fromkeys(names, 0), "settings": {"seed": 1}}
    runs.record(lake, dataclasses.replace(run, run_id="e" * 12, stage="examples", **kept))
    with pytest.raises(TableError, match=f"events cannot be read at version {version}: .* vacuumed"):
        reproduce.run(None, settings, run_id="e" * 12)
