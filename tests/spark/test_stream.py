"""What arrives in a folder or in a Delta table comes into bronze once, with the rows that ingest gives."""

import io
import json
import threading
import zipfile

import pytest
from pyspark.sql import functions as F

from jobs import ingest, stream
from tandemrec.config import parse_settings
from tandemrec.errors import SourceError
from tandemrec.lake import Lake
from tandemrec.lake.sources import changed, is_change

EVENTS = {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at"}
ROW = {"u": "a", "i": "1", "t": "click", "at": "2025-03-01"}


def settings(folder, lake, *rows, **sections):
    base = {"name": "logs", "table": "events", "kind": "json", "path": "logs", "columns": EVENTS}
    sources = [base | row for row in rows or ({},)]
    roots = {"data": {"root": str(folder / "data")}, "lake": {"root": str(folder / lake)}}
    return parse_settings(roots | {"sources": sources} | sections)


def write(folder, name, content):
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def lines(*numbers):
    return "".join(json.dumps(ROW | {"u": number}) + "\n" for number in numbers)


def bronze(settings):
    rows = Lake(settings.lake.root).read("events_raw", ["source", "file", "line", "raw", "file_size"]).to_pylist()
    return sorted(tuple(row.values()) for row in rows)


def test_a_stream_gives_the_rows_of_ingest_and_each_file_once(spark, tmp_path):
    pairs = {"name": "pairs", "kind": "pairs", "path": "p/*.txt", "columns": {}, "constants": {"event_type": "view"}}
    sources = ({}, {"name": "table", "kind": "csv", "path": "c"}, pairs)
    streamed = settings(tmp_path, "streamed", *sources, stream={"files_per_batch": 2})
    ingested = settings(tmp_path, "ingested", *sources)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("deep/x.json", lines(7, 8))
    write(tmp_path, "logs/a [1] b+c%20ü.json", lines(1, 2) + "\n  broken\r\n")
    write(tmp_path, "logs/deep/all.zip", packed.getvalue())
    write(tmp_path, "logs/_hidden.json", lines(0))
    write(tmp_path, "c/x.csv", "u,i,t,at\n1,2,3,4\n1,2\n")
    write(tmp_path, "p/pairs.txt", "1 354\n2 7\n")
    first = stream.run(spark, streamed)
    assert first == {
        "logs": {"files": 2, "rows": 6},
        "table": {"files": 1, "rows": 2},
        "pairs": {"files": 1, "rows": 2},
    }
    write(tmp_path, "logs/b.json", lines(3))
    ingest.run(spark, streamed)  # the batch brings what the stream has not seen
    write(tmp_path, "logs/c.json", lines(4))
    brought = []
    again = stream.run(spark, streamed, after_batch=lambda *_: brought.append(len(bronze(streamed))))
    assert again["logs"] == {"files": 1, "rows": 1} and brought == [12]
    ingest.run(spark, ingested)
    assert bronze(streamed) == bronze(ingested)
    assert ingest.run(spark, streamed)["logs"] == {"files": 0, "rows": 0, "known_files": 4}


def test_a_batch_that_was_appended_but_not_checkpointed_comes_once(spark, tmp_path):
    chosen = settings(tmp_path, "lake")
    write(tmp_path, "logs/a.json", lines(1, 2))

    def die(*_):
        raise KeyError("died between the append and the checkpoint")

    with pytest.raises(KeyError):
        stream.run(spark, chosen, after_batch=die)
    appended = bronze(chosen)
    assert len(appended) == 2
    write(tmp_path, "logs/b.json", lines(3))
    assert stream.run(spark, chosen)["logs"] == {"files": 1, "rows": 1}
    rows = bronze(chosen)
    assert len(rows) == 3 and set(appended) < set(rows)


def test_a_clean_that_failed_is_made_up_for_without_a_new_file(spark, tmp_path, monkeypatch):
    chosen = settings(tmp_path, "lake", clean={"now": "2026-01-01"})
    lake, clean = Lake(chosen.lake.root), stream._clean
    write(tmp_path, "logs/a.json", lines(1, 2))

    def fail(*_):
        raise KeyError("no memory, a lock, a gate")

    monkeypatch.setattr(stream, "_clean", fail)
    with pytest.raises(KeyError):
        stream.run(spark, chosen, clean=True)
    assert len(bronze(chosen)) == 2 and not lake.exists("events")
    monkeypatch.setattr(stream, "_clean", clean)
    assert stream.run(spark, chosen, clean=True)["logs"] == {"files": 0, "rows": 0}
    assert lake.info("events").rows == 2
    write(tmp_path, "logs/b.json", lines(3))
    stream.run(spark, chosen)  # cleans nothing
    stream.run(spark, chosen, clean=True)  # has no batch
    assert lake.info("events").rows == 3


def test_a_bad_file_stops_the_stream_with_one_line_until_it_is_mended(spark, tmp_path):
    chosen = settings(tmp_path, "lake", {"kind": "csv"})
    write(tmp_path, "logs/a.csv", "u,i,t\n1,2,3\n")
    with pytest.raises(SourceError, match=r"logs/a.csv has no column 'at'"):
        stream.run(spark, chosen)
    assert bronze(chosen) == []
    write(tmp_path, "logs/a.csv", "u,i,t,at\n1,2,3,4\n")
    assert stream.run(spark, chosen)["logs"] == {"files": 1, "rows": 1}
    with pytest.raises(SourceError, match=r"nothing at nowhere below data.root"):
        stream.run(spark, settings(tmp_path, "lake", {"path": "nowhere"}))


@pytest.mark.slow
def test_changes_of_a_delta_table_come_once(spark, tmp_path):
    place = str(tmp_path / "data" / "logs")
    spark.sql(f"CREATE TABLE delta.`{place}` (u string, i string, t string, at string, n int) USING delta "
              "TBLPROPERTIES (delta.enableChangeDataFeed = true)")  # fmt: skip
    chosen = settings(tmp_path, "lake", {"kind": "delta"})

    def change(sql):
        spark.sql(sql.format(table=f"delta.`{place}`"))
        return stream.run(spark, chosen)["logs"]["rows"]

    assert change("INSERT INTO {table} VALUES ('a', '1', 'click', '2025-03-01', 1), ('b', '1', 'view', null, 2)") == 2
    assert change("UPDATE {table} SET n = 3 WHERE u = 'a'") == 1
    assert change("DELETE FROM {table} WHERE u = 'b'") == 0
    rows = bronze(chosen)
    raws = [json.loads(row[3]) for row in rows]
    assert sorted((raw["u"], raw["n"], raw["at"]) for raw in raws) == [
        ("a", "1", "2025-03-01"),
        ("a", "3", "2025-03-01"),
        ("b", "2", None),
    ]
    assert len({row[:3] for row in rows}) == 3 and "_change_type" not in raws[0]
    assert ingest.run(spark, chosen)["logs"]["rows"] == 0
    other = settings(tmp_path, "other", {"kind": "delta"})
    ingest.run(spark, other)
    with pytest.raises(SourceError, match=r"was ingested as a file"):
        stream.run(spark, other)


def test_later_changes_come_later_in_the_order_of_files(spark, tmp_path):
    """By which `clean` tells the latest description of an item that has no time."""
    row = spark.createDataFrame([tuple(ROW.values())], list(ROW)).withColumn("_change_type", F.lit("insert"))
    source = settings(tmp_path, "lake", {"kind": "delta"}).sources[0]
    batches = [changed(row.withColumn("_commit_version", F.lit(v)), source, b) for v, b in ((9, 1), (10, 9), (10, 10))]
    files = [batch.first()["file"] for batch in batches]
    assert files == sorted(files) and all(map(is_change, files))


def test_a_followed_source_brings_what_comes_later(spark, tmp_path):
    chosen = settings(tmp_path, "lake", stream={"interval_seconds": 0.2})
    write(tmp_path, "logs/a.json", lines(1))
    seen = threading.Event()

    def arrived(*_):
        if len(bronze(chosen)) == 1:
            write(tmp_path, "logs/b.json", lines(2))
        else:
            seen.set()
            raise InterruptedError

    with pytest.raises(InterruptedError):
        stream.run(spark, chosen, follow=True, after_batch=arrived)
    assert seen.is_set() and len(bronze(chosen)) == 2
