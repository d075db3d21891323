"""What is expected of tables is measured as plain Python measures it; a gate stops what follows, and says why."""

import random
import sys
import types
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest

from tandemrec import quality
from tandemrec.config import Expectation, parse_settings
from tandemrec.errors import ConfigError, QualityError
from tandemrec.lake import runs
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import Stage, gate, run_stage

NOW = datetime(2024, 6, 1, tzinfo=UTC)
PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}


def write(lake, table, rows):
    schema = arrow_schema(lake.table(table))
    default = {"string": "", "timestamp[us, tz=UTC]": NOW, "int32": 1, "int64": 1, "double": 1.0}
    empty = {f.name: None if f.nullable else default.get(str(f.type)) for f in schema}
    lake.overwrite(table, pa.Table.from_pylist([{**empty, **row} for row in rows], schema))


def test_measured_as_plain_python_does(spark, lake):
    draw = random.Random(3)
    numbers = [None, float("nan"), 0.0, 1.0, 3.5, 5.0, 7.0]
    events = [
        {
            "user_id": f"u{draw.randrange(30)}",
            "item_id": f"i{draw.randrange(12)}",
            "event_type": draw.choice(["view", "click"]),
            "event_time": NOW - timedelta(hours=draw.randrange(5, 400)),
            "value": draw.choice(numbers),
        }
        for _ in range(80)
    ]
    write(lake, "events", events)
    write(lake, "items", [{"item_id": f"i{n}"} for n in range(8)])
    lake.ensure("reviews")

    def asked(check, column=None, table="events", **bounds):
        return Expectation(table=table, check=check, column=column, **bounds)

    judged = quality.judge(
        spark,
        lake,
        [
            asked("rows", min=80, max=80),
            asked("null_share", "value", max=0.01),
            asked("range", "value", min=1, max=5),
            asked("range", "value", min=0),
            asked("unique", "user_id"),
            asked("reference", "item_id", of="items.item_id"),
            asked("freshness", "event_time", max=4),
            asked("unique", "item_id", table="items"),
            asked("rows", table="reviews", min=1),
            asked("null_share", "text", table="reviews", max=0),
            asked("freshness", "review_time", table="reviews", max=24),
        ],
        now=NOW,
    )
    values = [row["value"] for row in events]
    known = [row["item_id"] in {f"i{n}" for n in range(8)} for row in events]
    outside = [sum(v is not None and not low <= v <= high for v in values) for low, high in ((1, 5), (0, 99))]
    assert [one.value for one in judged] == pytest.approx(
        [
            80,
            values.count(None) / 80,
            *outside,  # what is no number lies in no range
            80 - len({row["user_id"] for row in events}),
            sum(known) / 80,
            (NOW - max(row["event_time"] for row in events)) / timedelta(hours=1),
            0,
            0,
            None,
            None,
        ]
    )
    assert 0 < outside[1] < outside[0]
    holds = [True, False, False, False, False, False, False, True, False, True, False]
    assert [one.holds for one in judged] == holds
    assert judged[2].sentence == f"events.value: rows out of range is {outside[0]}, expected 0 outside 1 to 5"
    assert judged[6].sentence == f"events.event_time: hours since the newest is {judged[6].value:g}, expected at most 4"
    assert judged[10].sentence == "reviews.review_time: hours since the newest is no value, expected at most 24"


@pytest.fixture
def written(monkeypatch, lake):
    """Stages that write items and read them; `written.names` are the items' ids."""
    module = types.ModuleType("writing_stage")
    module.run = lambda spark, settings: write(lake, "items", [{"item_id": name} for name in module.names]) or {"n": 1}
    reader = types.ModuleType("reading_stage")
    reader.run = lambda spark, settings: {"read": True}
    monkeypatch.setitem(sys.modules, "writing_stage", module)
    monkeypatch.setitem(sys.modules, "reading_stage", reader)
    module.stage = Stage(
        name="clean", module="writing_stage", engine="spark", does="w", settings=(), reads=(), writes=("items",)
    )
    module.reader = Stage(
        name="embed", module="reading_stage", engine="spark", does="r", settings=(), reads=("items",), writes=()
    )
    return module


def test_a_failed_gate_stops_what_follows_until_it_is_passed(spark, lake, written, capsys):
    def settings(fail_below, warn_below=0):
        asked = [
            {"table": "items", "check": "rows", "min": fail_below},
            {"table": "items", "check": "rows", "min": warn_below, "on_fail": "warn", "name": "a few"},
        ]
        return parse_settings(
            {"data": {"root": "in"}, "lake": {"root": lake.root}, "sources": [PAIRS], "quality": asked}
        )

    written.names = ["a", "b"]
    done = run_stage(settings(2, 3), written.stage, spark=spark)
    assert [one["verdict"] for one in done["quality"]] == ["holds", "warn"]
    assert "items: rows is 2, expected at least 3" in capsys.readouterr().err
    good = lake.version("items")
    assert run_stage(settings(2, 3), written.reader, spark=spark)
    rows = lake.read("metrics").to_pylist()
    passed = runs.latest(lake, "clean").run_id
    key = {"run_id": passed, "model": "quality", "split": "all", "task": "items", "value": 2.0, "rows": 2}
    found = [{name: row[name] for name in key} | {"metric": row["metric"]} for row in rows]
    assert sorted(found, key=str) == sorted([key | {"metric": "rows"}, key | {"metric": "a few"}], key=str)

    written.names = ["a"]
    told = r"items: rows is 1, expected at least 5"
    with pytest.raises(QualityError, match=told):
        run_stage(settings(5), written.stage, spark=spark)
    failed = [run for run in runs.every(lake) if run.status == "failed"]
    assert [run.figures["error"] for run in failed] == ["items: rows is 1, expected at least 5"]
    assert lake.info("items").rows == 1  # kept, for somebody to look at
    with pytest.raises(QualityError, match=told + r".*embed does not read it; run clean again"):
        run_stage(settings(5), written.reader, spark=spark)
    assert run_stage(settings(5), written.reader, spark=spark, as_of=[f"items={good}"], force=True)
    lake.overwrite("items", lake.read("items"))  # another version of the same rows is no way round
    with pytest.raises(QualityError, match=told):
        run_stage(settings(5), written.reader, spark=spark)
    run_stage(settings(1), written.stage, spark=spark)  # other expectations: judged anew
    assert run_stage(settings(1), written.reader, spark=spark)


def test_what_was_fresh_is_judged_again_where_nothing_comes_in(spark, lake, written, monkeypatch, capsys):
    """The stage is up to date for ever then, and what its table is expected to be holds no longer all the same."""
    asked = {"table": "items", "check": "freshness", "column": "updated_at", "max": 24}
    raw = {"data": {"root": "in"}, "lake": {"root": lake.root}, "sources": [PAIRS], "quality": [asked]}
    settings, ran = parse_settings(raw), []
    row = {"item_id": "a", "updated_at": NOW}
    written.run = lambda spark, settings: ran.append(1) or write(lake, "items", [row]) or {"n": 1}
    monkeypatch.setattr(runs, "now", lambda: NOW + timedelta(hours=1))
    run_stage(settings, written.stage, spark=spark)
    done = runs.latest(lake, "clean")
    monkeypatch.setattr(runs, "now", lambda: NOW + timedelta(hours=20))
    assert run_stage(settings, written.stage, spark=spark) is None
    assert "clean: up to date" in capsys.readouterr().out
    assert lake.read("metrics")["value"].to_pylist() == [20.0]
    assert [run.run_id for run in runs.every(lake)] == [done.run_id]
    monkeypatch.setattr(runs, "now", lambda: NOW + timedelta(hours=30))
    told = "items.updated_at: hours since the newest is 30, expected at most 24"
    for _ in range(2):
        with pytest.raises(QualityError, match=told):
            run_stage(settings, written.stage, spark=spark)
    assert runs.latest(lake, "clean") == done  # what the stage did is not forgotten
    assert [run.status for run in runs.every(lake)] == ["failed", "done"]
    with pytest.raises(QualityError, match=f"{told}.*embed does not read it"):
        run_stage(settings, written.reader, spark=spark)
    fixed = settings.model_copy(update={"clean": settings.clean.model_copy(update={"now": "2024-06-01"})})
    assert gate.ages(settings, written.stage) and not gate.ages(fixed, written.stage)  # a moment that is named stays
    assert ran == [1]
    row["updated_at"] = NOW + timedelta(hours=29)
    run_stage(settings, written.stage, spark=spark, force=True)
    assert run_stage(settings, written.reader, spark=spark) == {"read": True}


def test_expectations_that_cannot_be_are_refused_before_anything_runs(lake):
    def refused(**one):
        raw = {"data": {"root": "in"}, "lake": {"root": lake.root}, "sources": [PAIRS], "quality": [one]}
        with pytest.raises(ConfigError) as error:
            gate.expectations_of(parse_settings(raw), gate.STAGES[0])
        return str(error.value)

    assert "quality.0: rows of items: expected min, max or both" in refused(table="items", check="rows")
    assert "expected max, in hours" in refused(table="events", check="freshness", column="event_time")
    assert "expected shares from 0 to 1" in refused(table="items", check="null_share", column="brand", max=20)
    assert "expected one, of every check but rows" in refused(table="items", check="unique")
    assert "min is 5, expected at most max, which is 1" in refused(
        table="events", check="range", column="value", min=5, max=1
    )
    assert "expected TABLE.COLUMN" in refused(table="events", check="reference", column="item_id")
    assert "'text_vectors', expected one of ['attributes_vocabulary'" in refused(
        table="text_vectors", check="rows", min=1
    )
    assert "events has no column 'stars'" in refused(table="events", check="range", column="stars", min=1)
    later = refused(table="events", check="reference", column="item_id", of="items_vocabulary.item_id")
    assert "compared with items_vocabulary.item_id, which the stage examples writes after clean" in later
    assert "items has no column 'sku'" in refused(table="events", check="reference", column="item_id", of="items.sku")
    assert "items.attributes is of type map<string,string>, which Spark" in refused(
        table="items", check="unique", column="attributes"
    )
    assert "events.count is of type int and items.item_id of type string, expected one type" in refused(
        table="events", check="reference", column="count", of="items.item_id"
    )
    assert "events.user_id is of type string, expected one of int" in refused(
        table="events", check="range", column="user_id", min=1
    )
