"""With data.pseudonymise no file of the lake holds a plain id, whatever the kind of source."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from jobs import ingest
from tandemrec.clean import people
from tandemrec.clean.parse import parse
from tandemrec.clean.relations import judge_relations, settle_relations
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.lake import spark as lake_spark
from tandemrec.lake.pseudonyms import pseudonym

KEY = "a key of the tests, 16 or more"
IDS = ["person-1", "pérson-2", "person-3"]
EVENTS = {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at"}


def test_no_bronze_file_holds_a_plain_id(spark, tmp_path, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    rows = [(user, "i", "click", "2024-01-01") for user in IDS]
    whole = "\n".join(json.dumps({"u": u, "i": i, "t": t, "at": at}) for u, i, t, at in rows)
    (data / "flat.json").write_text(f'{whole}\n{{"u": "{IDS[0]}", \nperson-3 wrote this\n\n')
    lines = [{"u": user, "past": [{"i": "1", "s": "x", "at": 1}]} for user in IDS]
    (data / "nested.json").write_text("\n".join(map(json.dumps, lines)))
    (data / "table.csv").write_text("u,i,t,at\n" + "\n".join(map(",".join, rows)) + "\nperson-1,too few\n")
    (data / "pairs").write_text("".join(f"{user} 7\n" for user in IDS) + "person-1 1 2\n")
    friends = [{"u": one, "r": "friend", "k": "user", "t": other} for one, other in (IDS[:2], IDS[1::-1])]
    relations = [*friends, {"u": IDS[2], "r": "tag", "k": "topic", "t": "jazz"}]
    (data / "net.json").write_text("\n".join(map(json.dumps, relations)))
    spark.createDataFrame(rows, "u string, i string, t string, at string").coalesce(1).write.parquet(str(data / "pq"))
    nested = {"user_id": "^u", "item_id": "i", "text": "s", "review_time": "at"}
    sources = [
        {"name": "flat", "table": "events", "kind": "json", "path": "flat.json", "columns": EVENTS},
        {"name": "csv", "table": "events", "kind": "csv", "path": "table.csv", "columns": EVENTS},
        {"name": "pq", "table": "events", "kind": "parquet", "path": "pq", "columns": EVENTS},
        {"name": "pairs", "table": "events", "kind": "pairs", "path": "pairs", "constants": {"event_type": "click"}},
        {"name": "nested", "table": "reviews", "kind": "json", "path": "nested.json", "columns": nested,
         "explode": ["past"]},
        {"name": "products", "table": "items", "kind": "json", "path": "nested.json", "columns": {"item_id": "i"},
         "explode": ["past"]},
        {"name": "net", "table": "relations", "kind": "json", "path": "net.json",
         "columns": {"user_id": "u", "relation": "r", "target_kind": "k", "target_id": "t"}},
    ]  # fmt: skip
    root = {"data": {"root": str(data), "pseudonymise": {}}, "lake": {"root": str(tmp_path / "lake")}}
    settings = parse_settings({**root, "sources": sources})
    monkeypatch.delenv("TANDEMREC_PSEUDONYM_KEY", raising=False)
    with pytest.raises(ConfigError, match="TANDEMREC_PSEUDONYM_KEY holds nothing"):
        ingest.run(spark, settings)
    assert not Path(settings.lake.root).exists()

    monkeypatch.setenv("TANDEMREC_PSEUDONYM_KEY", KEY)
    figures = ingest.run(spark, settings)
    assert {name: one["rows"] for name, one in figures.items()} == {
        "flat": 6, "csv": 4, "pq": 3, "pairs": 4, "nested": 3, "products": 3, "net": 3,
    }  # fmt: skip
    for path in Path(settings.lake.root).rglob("*"):
        if path.is_file():
            content = path.read_bytes().decode(errors="replace")
            if path.suffix == ".parquet":
                content += repr(pq.ParquetFile(path).read().to_pylist())
            assert not [one for one in (*IDS, "p\\u00e9rson", KEY) if one in content], path
    lake, expected = Lake(settings.lake.root), {pseudonym(user, KEY.encode()) for user in IDS}
    for source in settings.sources[:5]:  # the same in every source: they can be joined
        bronze = lake_spark.read(spark, lake, f"{source.table}_raw").where(f"source = '{source.name}'")
        found = [row["user_id"] for row in parse(bronze, source).where("user_id IS NOT NULL").collect()]
        assert set(found) == expected
        assert len(found) == len(IDS)
    *_, net = settings.sources
    bronze, now = lake_spark.read(spark, lake, "relations_raw"), datetime(2026, 1, 1, tzinfo=UTC)
    settled = settle_relations(judge_relations(bronze, [net], settings.clean, now=now, items=None)).collect()
    one, other, third = (pseudonym(user, KEY.encode()) for user in IDS)
    kept = {(row.user_id, row.target_id) for row in settled if row.verdict == "kept"}
    assert kept == {(min(one, other), max(one, other)), (third, "jazz")}
    assert [row.verdict for row in settled].count("merged") == 1  # a friendship that both tell of


def test_numbers_are_spelled_as_spark_reads_them(spark):
    """What `clean` takes for the id of a person is what is replaced and forgotten."""
    drawn = random.Random(5)
    numbers = [f"{drawn.choice(['', '-'])}{drawn.randrange(10**n)}.{drawn.randrange(1000)}" for n in range(1, 17)]
    numbers += ["12345678.0", "1e3", "1E22", "0.0005", "0.001", "1e-7", "-0.0", "0", "10000000.0", "9999999.5", "7"]
    lines = spark.createDataFrame([(number, f'{{"u": {number}}}') for number in numbers], "number string, raw string")
    read = lines.select("number", F.from_json("raw", "u string").u.alias("u")).collect()
    assert {row.number: row.u for row in read} == {one: people._text(json.loads(one)) for one in numbers}
