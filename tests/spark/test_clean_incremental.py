"""Cleaning goes on from what is clean: new files in any order leave the tables that one run over all of them leaves."""

import json
import random

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from jobs.clean import _continued
from tandemrec.config import parse_settings
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.lake.upkeep import optimize
from tandemrec.pipeline import run_stage, stage
from tandemrec.pipeline.harness import settings_hash

TABLES = ("events", "items", "items_history", "categories", "reviews", "quarantine")


def settings(data, lake, only=("events", "items", "reviews")):
    kinds = {
        "events": {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at"},
        "items": {"item_id": "id", "title": "name", "brand": "by", "updated_at": "at"},
        "reviews": {"review_id": "r", "user_id": "u", "item_id": "i", "text": "body", "review_time": "at"},
    }
    sources = [
        {"name": t, "table": t, "kind": "json", "path": f"{t}/*.json", "columns": c, "time_formats": ["epoch_s"]}
        for t, c in kinds.items()
        if t in only
    ]
    behaviour = {"session_gap_minutes": 5, "repeat_seconds": {"click": 30}, "max_events_per_minute": 4}
    return parse_settings(
        {
            "data": {"root": str(data)},
            "lake": {"root": str(lake)},
            "sources": sources,
            "clean": {"now": "2026-01-01", "behaviour": behaviour},
        }
    )


def some_lines(draw, kind, number):
    def at():
        return 1740832000 + draw.choice([30, 3600]) * draw.randrange(40)

    for _ in range(number):
        user, item = draw.choice("abcdef"), draw.choice("1234567")
        if kind == "events":
            yield {"u": user, "i": item, "t": draw.choice(["click", "purchase"]), "at": at()}
        elif kind == "items":
            yield {"id": item, "name": f"Thing {item}", "by": draw.choice(["ACME", "Acme", "acme"]), "at": at()}
        else:
            said = draw.choice(["Good thing.", "good thing", "Broke soon!", "Never again", ""])
            yield {"r": str(draw.randrange(20)), "u": user, "i": item, "body": said, "at": at()}


def write(data, files):
    for (kind, name), lines in files.items():
        (data / kind).mkdir(parents=True, exist_ok=True)
        (data / kind / name).write_text(
            "".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines)
        )


def ingest_and_clean(spark, chosen):
    run_stage(chosen, stage("ingest"), spark=spark)
    return run_stage(chosen, stage("clean"), spark=spark)


def contents(lake, table):
    rows = Lake(str(lake)).read(table).to_pylist()
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in rows)


def lines_of_batches(seed):
    """Three batches of files: names and times in no order, dirt in each, an item that is described last."""
    draw = random.Random(seed)
    names = ["m.json", "a.json", "z.json"]
    batches = [
        {
            (kind, name): [*some_lines(draw, kind, number), '{"u": '] if kind != "items" else some_lines(draw, kind, 8)
            for kind, number in (("events", 60), ("reviews", 12), ("items", 8))
        }
        for name in names
    ]
    batches = [{key: list(lines) for key, lines in batch.items()} for batch in batches]
    for batch in batches[:-1]:
        batch["items", next(iter(batch))[1]][:] = [
            line for line in batch["items", next(iter(batch))[1]] if line["id"] != "7"
        ]
    batches[-1]["items", "z.json"].append({"id": "7", "name": "Thing 7", "by": "acme", "at": 1740832000})
    return batches


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_files_one_by_one_leave_what_all_at_once_leave(spark, tmp_path, seed, capsys):
    batches = lines_of_batches(seed)
    one, lake, data = tmp_path / "one", tmp_path / "lake", tmp_path / "data"
    said = []
    for batch in batches if seed > 1 else [batches[0] | batches[1], batches[2]]:
        write(data, batch)
        figures = ingest_and_clean(spark, settings(data, lake))
        said.append(capsys.readouterr().out)
    at_once = ingest_and_clean(spark, settings(data, one))
    assert {table: contents(lake, table) for table in TABLES} == {table: contents(one, table) for table in TABLES}
    for table in ("events", "items", "reviews"):
        assert {key: figures[table].get(key) for key in at_once[table]} == at_once[table]
        assert figures[table]["new"]["in"] == len(batches[-1][table, "z.json"])
    assert figures["events"]["revised"] > 0  # by item 7, described last
    assert "new in = " in said[-1] and "new in = " not in said[0]


def test_items_known_from_behaviour_go_with_their_last_event(spark, tmp_path):
    def chosen(lake):
        return settings(tmp_path / "data", tmp_path / lake, only=["events"])

    for name, items in (("a", ["1", "2"]), ("b", ["3", "4", "5"])):  # five events of a minute that may hold four
        lines = [{"u": "x", "i": item, "t": "purchase", "at": 1740832020} for item in items]
        write(tmp_path / "data", {("events", f"{name}.json"): [*lines, {**lines[0], "u": "y", "i": "2"}]})
        ingest_and_clean(spark, chosen("lake"))
    ingest_and_clean(spark, chosen("one"))
    assert contents(tmp_path / "lake", "items") == contents(tmp_path / "one", "items")
    assert [row["item_id"] for row in Lake(chosen("one").lake.root).read("items").to_pylist()] == ["2"]


def test_where_lines_were_taken_away_everything_is_cleaned_anew(lake, tmp_path):
    """As somebody does who has a file read anew."""
    chosen = settings(tmp_path / "data", lake.root, only=["events"])
    line = {"source": "events", "line": 1, "raw": "{}", "file_size": 2, "ingest_run": "r", "ingested_at": runs.now()}

    def come(file):
        lake.ensure("events_raw")
        rows = pa.Table.from_pylist([line | {"file": file}], arrow_schema(lake.table("events_raw")))
        write_deltalake(lake.path("events_raw"), rows, mode="append")

    come("a.json")
    lake.ensure("events")
    versions = {
        name: {table: lake.data_version(table)} for name, table in (("inputs", "events_raw"), ("outputs", "events"))
    }
    common = {"stage": "clean", "status": "done", "started_at": runs.now(), "seconds": 1.0}
    hash_, code = settings_hash(chosen, "clean"), stage("clean").code
    runs.record(lake, runs.Run(run_id="before", **common, **versions, config_hash=hash_, code_version=code))
    come("b.json")
    assert _continued(lake, chosen).run_id == "before"
    lake.open("events_raw").delete("file = 'a.json'")
    come("a.json")
    assert _continued(lake, chosen) is None


def test_only_what_is_new_is_read(spark, tmp_path):
    batches = lines_of_batches(4)
    chosen = settings(tmp_path / "data", tmp_path / "lake")
    write(tmp_path / "data", batches[0] | batches[2])
    ingest_and_clean(spark, chosen)
    assert run_stage(chosen, stage("clean"), spark=spark) is None  # up to date
    write(tmp_path / "data", {("events", "b.json"): [{"u": "new", "i": "1", "t": "click", "at": 1740835600}]})
    lake = Lake(chosen.lake.root)
    before = {table: lake.version(table) for table in TABLES}
    cleaned = {file: file.read_bytes() for file in (tmp_path / "lake" / "bronze").rglob("*.parquet")}
    run_stage(chosen, stage("ingest"), spark=spark)
    for file in cleaned:
        file.write_bytes(b"what nobody looks at")
    figures = run_stage(chosen, stage("clean"), spark=spark)
    for file, content in cleaned.items():
        file.write_bytes(content)
    assert figures["events"]["new"] == {"in": 1, "kept": 1, "merged": 0, "rejected": {}}
    assert figures["events"]["revised"] == 0
    assert {table for table in TABLES if lake.version(table) != before[table]} == {"events"}
    last = runs.latest(lake, "clean")
    assert last.figures["reviews"]["new"]["in"] == 0
    write(tmp_path / "data", {("events", "c.json"): [{"u": "new", "i": "1", "at": 1740839200}]})  # no line shows a type
    run_stage(chosen, stage("ingest"), spark=spark)
    assert optimize(spark, lake, "events_raw") and lake.info("events_raw").files == 1  # with rows that are cleaned
    figures = run_stage(chosen, stage("clean"), spark=spark)
    assert figures["events"]["new"] == {"in": 1, "kept": 0, "merged": 0, "rejected": {"event_type_unknown": 1}}
    with_lines = lake.read("events", ["file", "line"]).num_rows
    everything = run_stage(chosen, stage("clean"), spark=spark, force=True)  # anew, and it changes nothing
    assert "new" not in everything["events"] and lake.read("events", ["file"]).num_rows == with_lines
    assert {key: figures["events"][key] for key in everything["events"]} == everything["events"]
