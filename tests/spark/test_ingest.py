"""Files of every layout become bronze rows with exact names, line numbers and text, once."""

import csv
import gzip
import io
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import ingest
from tandemrec.config import Settings, parse_settings
from tandemrec.errors import SourceError
from tandemrec.lake import Lake, sources
from tandemrec.lake.sources import bounds

EVENTS = {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at"}


def settings(folder: Path, *source_rows: dict) -> Settings:
    rows = [
        {"name": "logs", "table": "events", "kind": "json", "path": "logs", "columns": EVENTS} | r for r in source_rows
    ]
    return parse_settings(
        {"data": {"root": str(folder / "data")}, "lake": {"root": str(folder / "lake")}, "sources": rows}
    )


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bronze(folder: Path, table: str = "events_raw") -> dict[tuple[str, int], str]:
    rows = Lake(str(folder / "lake")).read(table).to_pylist()
    found = {(row["file"], row["line"]): row["raw"] for row in rows}
    assert len(found) == len(rows)
    return found


def numbered(name: str, text: str) -> dict[tuple[str, int], str]:
    lines = text.split("\n")[:-1] if text.endswith("\n") else text.split("\n")
    return {(name, number): line for number, line in enumerate(lines, 1)}


def test_lines_are_exact_over_blocks_shared_partitions_and_compression(spark, tmp_path):
    long = "".join(
        json.dumps({"u": f"ü{n}", "pad": "x" * (n * 37 % 90)}, ensure_ascii=False) + "\n" for n in range(150)
    )
    texts = {
        "logs/long.json": long,
        "logs/a [1] b+c%20ü!.json": '{"u": 1}\n\n  {"u": 2} \r\n{"u": 3}',
        "logs/deep/er/short.json": '{"u": 4}\n' * 7,
        "logs/packed.json.gz": long,
    }
    write(tmp_path, "logs/latin.json", b'{"u": "caf\xe9"}\n')
    for name, text in texts.items():
        write(tmp_path, name, gzip.compress(text.encode()) if name.endswith("gz") else text)
    write(tmp_path, "logs/_SUCCESS", "no row")
    write(tmp_path, "logs/.hidden/x.json", "no row")
    expected = {key: line for name, text in texts.items() for key, line in numbered(name, text).items()}
    expected["logs/latin.json", 1] = '{"u": "caf\ufffd"}'
    spark.conf.set("spark.sql.files.maxPartitionBytes", "2500")
    spark.conf.set("spark.sql.files.openCostInBytes", "10")
    try:
        figures = ingest.run(spark, settings(tmp_path, {}))
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        spark.conf.unset("spark.sql.files.openCostInBytes")
    assert bronze(tmp_path) == expected
    assert figures == {"logs": {"files": 5, "rows": len(expected), "known_files": 0}}


def test_what_is_no_utf_8_is_told(spark, tmp_path, capsys):
    columns = EVENTS | {"value": "größe"}
    write(tmp_path, "logs/a.csv", "u,i,t,at\n1,Küche,a,b\n2,Flur,a,b\n3,Büro,a,b\n".encode("latin-1"))
    write(tmp_path, "wide.csv", "u,i,t,at,größe\n1,Flur,a,b,2\n".encode("latin-1"))
    write(tmp_path, "lines", '{"u": "ü"}\n{"u": "\ufffd"}\n'.encode() + '{"u": "ü"}\n'.encode("latin-1"))
    chosen = settings(tmp_path, {"kind": "csv"})
    ingest.run(spark, chosen)
    assert "source logs: 2 lines hold bytes that are no utf-8" in capsys.readouterr().err
    ingest.run(spark, chosen)
    assert capsys.readouterr().err == ""
    ingest.run(spark, settings(tmp_path, {"name": "lines", "path": "lines"}))
    assert "source lines: 1 lines hold bytes that are no utf-8" in capsys.readouterr().err
    wrong = settings(tmp_path, {"name": "wide", "path": "wide.csv", "kind": "csv", "columns": columns})
    with pytest.raises(SourceError, match=r"no column 'größe'.*; \ufffd is what is no utf-8: see encoding"):
        ingest.run(spark, wrong)


def test_csv_records_are_those_of_pythons_reader(spark, tmp_path):
    rows = [
        ["u", "i", "t", "at"],
        ["1", 'says ""hi"", then\nleaves', "", "x,y"],
        ["2", "", '"', "\n\n"],
        ["3", "b", "c", "d"],
    ]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    write(tmp_path, "logs/a.csv", "\ufeff" + text.getvalue())
    write(tmp_path, "logs/b.csv.gz", gzip.compress(b"u,i,t,at\n7,too,few\n8,too,many,cells,here\n9,a,b,c\n"))
    ingest.run(spark, settings(tmp_path, {"kind": "csv"}))
    found = bronze(tmp_path)
    for number, row in enumerate(rows[1:], 1):
        cells = json.loads(found["logs/a.csv", number])
        assert list(cells) == rows[0]
        assert [value or "" for value in cells.values()] == row
    assert found["logs/b.csv.gz", 1] == "7,too,few"
    write(tmp_path, "logs/c.csv", "")  # a day on which nothing came
    assert ingest.run(spark, settings(tmp_path, {"kind": "csv"}))["logs"] == {"files": 0, "rows": 0, "known_files": 3}
    assert found["logs/b.csv.gz", 2] == "8,too,many,cells,here"
    assert json.loads(found["logs/b.csv.gz", 3]) == {"u": "9", "i": "a", "t": "b", "at": "c"}
    assert len(found) == 6


def test_parquet_delta_and_pairs(spark, tmp_path):
    frame = spark.createDataFrame(
        [(str(n), n, None, 1.5, {"deep": n}) for n in range(20)],
        "u string, i long, t string, at double, p struct<deep:int>",
    )
    frame.repartition(2).write.parquet(str(tmp_path / "data" / "p"))
    nanoseconds = pa.table(
        {"u": ["1"], "i": ["2"], "t": ["click"], "at": pa.array([1740832496789123999], pa.timestamp("ns"))}
    )
    (tmp_path / "data" / "pandas").mkdir()
    pq.write_table(nanoseconds, tmp_path / "data" / "pandas" / "as it writes.parquet")
    frame.repartition(2).write.format("delta").save(str(tmp_path / "data" / "d"))
    write(tmp_path, "pairs", "1 354\n2\t7 \n\n3 4 5\n")
    columns = EVENTS | {"split": "p.deep"}
    chosen = settings(
        tmp_path,
        {"name": "p", "kind": "parquet", "path": "p", "columns": columns},
        {"name": "d", "kind": "delta", "path": "d", "columns": columns},
        {"name": "pairs", "kind": "pairs", "path": "pairs", "columns": {}, "constants": {"event_type": "click"}},
        {"name": "pandas", "kind": "parquet", "path": "pandas"},
    )
    ingest.run(spark, chosen)
    rows = Lake(str(tmp_path / "lake")).read("events_raw").to_pylist()
    expected = {n: {"u": str(n), "i": str(n), "t": None, "at": "1.5", "p": {"deep": n}} for n in range(20)}
    for name in ("p", "d"):
        mine = [row for row in rows if row["source"] == name]
        assert {int(json.loads(row["raw"])["u"]): json.loads(row["raw"]) for row in mine} == expected
        for file in {row["file"] for row in mine}:
            of_file = [row for row in mine if row["file"] == file]
            assert sorted(row["line"] for row in of_file) == list(range(1, len(of_file) + 1))
            assert {row["file_size"] for row in of_file} == {(tmp_path / "data" / file).stat().st_size}
    pairs = [row["raw"] for row in sorted(rows, key=lambda row: row["line"]) if row["source"] == "pairs"]
    assert [json.loads(raw) for raw in pairs[:2]] == [
        {"user_id": "1", "item_id": "354"},
        {"user_id": "2", "item_id": "7"},
    ]
    assert pairs[2:] == ["", "3 4 5"]
    assert [json.loads(row["raw"])["at"] for row in rows if row["source"] == "pandas"] == ["1740832496789123999"]
    ingest.run(spark, chosen)
    assert Lake(str(tmp_path / "lake")).info("events_raw").rows == len(rows)


def test_columns_of_tables_may_have_any_name(spark, tmp_path):
    ours = ("id", "path", "size", "block", "file", "file_size", "line", "raw", "before", "first_id", "lines")
    row = {name: f"their {name}" for name in (*ours, "_row", "a.b", "a`b")}
    frame = spark.createDataFrame([tuple(row.values())], list(row))
    frame.write.parquet(str(tmp_path / "data" / "p"))
    columns = {"user_id": "id", "item_id": "path", "event_type": "line", "event_time": "raw"}
    ingest.run(spark, settings(tmp_path, {"name": "p", "kind": "parquet", "path": "p", "columns": columns}))
    [found] = Lake(str(tmp_path / "lake")).read("events_raw").to_pylist()
    assert json.loads(found["raw"]) == row and found["line"] == 1


def test_a_zip_is_read_by_member_and_leaves_nothing_behind(spark, tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("may.json", '{"u": 1}\n{"u": 2}\n')
        archive.writestr("deep/june.json", '{"u": 3}\n')
        archive.writestr("__MACOSX/._may.json", "no row")
    size = write(tmp_path, "logs/all.zip", packed.getvalue()).stat().st_size
    write(tmp_path, "logs/plain.json", '{"u": 4}\n')
    ingest.run(spark, settings(tmp_path, {}))
    assert bronze(tmp_path) == {
        ("logs/all.zip!may.json", 1): '{"u": 1}',
        ("logs/all.zip!may.json", 2): '{"u": 2}',
        ("logs/all.zip!deep/june.json", 1): '{"u": 3}',
        ("logs/plain.json", 1): '{"u": 4}',
    }
    of_zip = [
        row["file_size"] for row in Lake(str(tmp_path / "lake")).read("events_raw").to_pylist() if ".zip" in row["file"]
    ]
    assert of_zip == [size] * 3
    assert not list((tmp_path / "lake").rglob("may.json"))
    assert ingest.run(spark, settings(tmp_path, {}))["logs"] == {"files": 0, "rows": 0, "known_files": 2}


def test_a_file_is_ingested_once_and_a_changed_one_refused(spark, tmp_path):
    chosen = settings(tmp_path, {})
    path = write(tmp_path, "logs/a.json", '{"u": 1}\n')
    ingest.run(spark, chosen)
    before = ingest.depends_on(chosen)
    write(tmp_path, "logs/b.json", '{"u": 2}\n')
    assert ingest.depends_on(chosen) != before
    assert ingest.run(spark, chosen)["logs"] == {"files": 1, "rows": 1, "known_files": 1}
    version = Lake(str(tmp_path / "lake")).version("events_raw")
    path.write_text('{"u": 1}\n{"u": 3}\n')
    with pytest.raises(SourceError, match=r"logs/a.json has 18 bytes, but 9 when it was ingested; .*new name"):
        ingest.run(spark, chosen)
    assert Lake(str(tmp_path / "lake")).version("events_raw") == version
    columns = {"user_id": "u", "item_id": "u", "text": "u", "review_time": "u"}
    other = settings(tmp_path, {"table": "reviews", "columns": columns})  # it was no log at all
    assert ingest.run(spark, other)["logs"] == {"files": 2, "rows": 3, "known_files": 0}


def test_a_source_that_breaks_leaves_none_of_its_files(spark, tmp_path):
    whole = gzip.compress(b'{"u": 1}\n' * 50_000)
    write(tmp_path, "logs/good.json", '{"u": 1}\n')
    bad = write(tmp_path, "logs/bad.json.gz", whole[: len(whole) // 2])
    chosen = settings(tmp_path, {})
    with pytest.raises(SourceError, match=r"^source logs: logs/bad.json.gz cannot be read as json: .*"):
        ingest.run(spark, chosen)
    assert Lake(str(tmp_path / "lake")).info("events_raw").rows == 0
    bad.write_bytes(whole)
    assert ingest.run(spark, chosen)["logs"]["rows"] == 50_001


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ({}, {}, r"source logs: no file at logs below data.root, which is .*data"),
        ({"logs/.keep": ""}, {}, r"source logs: no file at logs below data.root"),
        ({"a.json": ""}, {"path": "*.jsonl"}, r"no file at \*.jsonl below"),
        (
            {"logs/x.csv": "u,i,t\n1,2,3\n"},
            {"kind": "csv"},
            r"logs/x.csv has no column 'at', .*found \['u', 'i', 't'\]",
        ),
        (
            {"logs/x.csv": "u,i,t,at\n", "logs/y.csv": "u,i,at,t\n"},
            {"kind": "csv"},
            r"logs/y.csv has the columns \['u', 'i', 'at', 't'\], but logs/x.csv has \['u', 'i', 't', 'at'\]",
        ),
        ({"logs/x.csv": "u,i,t,at,u\n"}, {"kind": "csv"}, r"logs/x.csv has a column twice"),
        ({"logs/x.csv": ""}, {"kind": "csv"}, r"empty, expected a header"),
        ({"logs/x.parquet": "no parquet"}, {"kind": "parquet"}, r"logs/x.parquet cannot be read as parquet"),
        ({"logs/x.zip": "no zip"}, {}, r"logs/x.zip: is no readable zip archive"),
        ({"logs/x": ""}, {"kind": "delta"}, r"is no Delta table"),
    ],
)
def test_bad_input_is_one_line_that_names_it(spark, tmp_path, files, source, message):
    for name, content in files.items():
        write(tmp_path, name, content)
    with pytest.raises(SourceError, match=message) as caught:
        ingest.run(spark, settings(tmp_path, source))
    assert "\n" not in str(caught.value)
    assert Lake(str(tmp_path / "lake")).info("events_raw").rows == 0


def test_an_archive_that_unpacks_beyond_its_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "PIECE", 1000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.json", "0" * 1_000_000)
    path = write(tmp_path, "bomb.zip", packed.getvalue())
    bomb = sources.SourceFile(name="bomb.zip", path=str(path), size=path.stat().st_size)
    with pytest.raises(SourceError, match=r"bomb.zip: member bomb.json unpacks to more than 200,000 bytes"):
        with sources.unpacked([bomb], str(tmp_path / "staging")):
            pass
    assert not (tmp_path / "staging").exists()


def test_spark_lists_behind_a_url_what_python_lists_locally(spark, tmp_path):
    for name in ("logs/a+b %20.json", "logs/deep/c.json", "logs/_no.json", "logs/.no/d.json"):
        write(tmp_path, name, "{}\n")
    source = settings(tmp_path, {}).sources[0]
    root = str(tmp_path / "data")
    local = sources.list_files(source, root)
    behind_url = sources.listing._files_behind_url(spark, source.path, f"file://{root}")
    assert sorted((file.name, file.size) for file in behind_url) == [(file.name, file.size) for file in local]
    assert [file.name for file in local] == ["logs/a+b %20.json", "logs/deep/c.json"]
