"""Somebody is forgotten whose id stands in other spellings too: as JSON escapes it, cut in logs, in what was left."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import clean, forget_user, ingest
from tandemrec.clean.people import word
from tandemrec.config import parse_settings
from tandemrec.forget.proof import Person, scan
from tandemrec.lake import Lake
from tandemrec.lake.spark import replace
from tandemrec.lake.types import arrow_schema, ddl
from tandemrec.lake.upkeep import vacuum

LONG = "CORP\\zoë-3f2a9c1e-7b4d-4e1a-9c55-0a1b2c3d4e5f"
COLUMNS = {"user_id": "uid", "item_id": "sku", "event_time": "at"}


@pytest.mark.parametrize("ascii_", [True, False])
@pytest.mark.parametrize("user", [LONG, "zoë", "a/b", 'o"neil', "x😀", "u-1"])
def test_an_id_is_found_as_json_writes_it(user, ascii_):
    once = json.dumps({"u": user}, ensure_ascii=ascii_)
    for text in (user, once, json.dumps(once, ensure_ascii=ascii_), once.replace("/", "\\/")):
        assert re.search(word(user), text)
    for other in (f"{user}7", f"x{user}", f"-{user}", user[:-1]):
        assert not re.search(word(user), json.dumps({"u": other}, ensure_ascii=ascii_))


@pytest.mark.parametrize("user", ["u-1", "CORP\\jane"])
def test_an_id_in_a_log_is_found_whole(tmp_path, user):
    log = tmp_path / "gold" / "x" / "_delta_log" / "00000000000000000000.json"
    log.parent.mkdir(parents=True)
    stats = json.dumps({"minValues": {"user_id": user, "target_id": f"{user}7"}})
    log.write_text(json.dumps({"add": {"path": "a", "stats": stats}}))
    found = {name: scan(str(tmp_path), Person(user=name), []) for name in (user, f"{user}7", user[:-1])}
    assert (
        {name: (len(one.found), len(one.traces)) for name, one in found.items()}
        == {
            user: (1, 0),
            f"{user}7": (0, 1),  # a target, perhaps a topic
            user[:-1]: (0, 0),
        }
    )


@pytest.mark.slow
def test_no_trace_stays_of_an_id_that_logs_cut_and_json_escapes(spark, tmp_path):
    at = "2024-05-01T00:00:00Z"
    line = {"said": "Rather a long text, which a report cuts", "sku": "lamp", "at": at, "uid": LONG}
    for name, lines in {"people/a": [line, line | {"uid": "u-1", "said": "Fine, thanks"}], "things/a": []}.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True)
        path.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    with (tmp_path / "data" / "people" / "a").open("a") as file:
        file.write(json.dumps(line)[:-1] + "\n")  # broken
    sources = [
        {"name": "people", "table": "events", "kind": "json", "path": "people", "columns": COLUMNS,
         "constants": {"event_type": "click"}},
        {"name": "things", "table": "items", "kind": "json", "path": "things", "columns": {"item_id": "sku"}},
    ]  # fmt: skip
    report = tmp_path / "report.html"
    raw = {"data": {"root": str(tmp_path / "data")}, "lake": {"root": str(tmp_path / "lake")}, "sources": sources}
    settings = parse_settings(raw | {"report": {"path": str(report)}})
    lake = Lake(settings.lake.root)
    ingest.run(spark, settings)
    clean.run(spark, settings)  # the item is not known yet: both events are in quarantine, and lifted then
    (tmp_path / "data" / "things" / "b").write_text('{"sku": "lamp"}\n')
    ingest.run(spark, settings)
    clean.run(spark, settings)
    served = {"run_id": "r", "rank": 1, "item_id": "i", "score": 1.0, "reason": "popular", "model_version": "m"}
    for user in (LONG, "u-1"):
        rows = [tuple((served | {"user_id": user})[name] for name in lake.table("recommendations").column_names)]
        replace(spark, lake, "recommendations", spark.createDataFrame(rows, ddl(lake.table("recommendations"))))
    for name in ("recommendations", "quarantine"):  # the files of before are gone, what their logs say is not
        vacuum(lake, name, retain_hours=0)
    left = Path(lake.root) / "unpacked" / "people"  # by a killed run
    left.mkdir(parents=True)
    (left / "part.json").write_text(json.dumps(line))
    report.write_text(json.dumps(line)[:50])

    figures = forget_user.run(spark, settings, user=LONG, yes=True)
    assert figures["rows"] == {"events_raw": 2, "events": 1, "quarantine": 1}
    escaped = json.dumps(LONG)[1:-1]
    cut = (LONG[:32], LONG[4:20], "3f2a9c1e", escaped, line["said"], line["said"][:15])
    for path in Path(lake.root).rglob("*"):
        if path.is_file():
            of_rows = path.suffix == ".parquet"
            text = repr(pq.ParquetFile(path).read().to_pylist()) if of_rows else path.read_bytes().decode("latin-1")
            assert [one for one in cut if one in text] == [], path
    assert not report.exists()
    assert lake.read("recommendations")["user_id"].to_pylist() == ["u-1"]
    assert lake.read("events")["user_id"].to_pylist() == ["u-1"]


def test_a_longer_id_that_begins_alike_is_a_trace_and_no_proof(lake):
    contract = lake.table("user_summaries")
    alike = f"{'u' * 40}1", f"{'u' * 40}2"
    row = {"user_id": alike[1], "summary_key": "k", "model": "m", "summary": "s"}
    lake.overwrite("user_summaries", pa.Table.from_pylist([row], arrow_schema(contract)))
    found = scan(lake.root, Person(user=alike[0]), [])
    assert found.found == [] and len(found.traces) == 1
    assert scan(lake.root, Person(user="u" * 30), []).traces == []
