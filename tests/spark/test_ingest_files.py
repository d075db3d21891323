"""Sources as others write them: folders that are columns, and encodings other than UTF-8."""

import json
from pathlib import Path

import pytest
from pyspark.sql import functions as F

from jobs import ingest
from tandemrec.clean.parse import absent_columns, parse
from tandemrec.clean.people import names, places, pseudonymised
from tandemrec.config import Settings, parse_settings
from tandemrec.errors import ConfigError, SourceError
from tandemrec.lake import Lake
from tandemrec.lake.spark import read

COLUMNS = {"user_id": "u", "item_id": "i", "event_type": "kind", "event_time": "dt"}
FOLDED = {"name": "logs", "table": "events", "path": "logs", "columns": COLUMNS, "partitions": ["dt", "kind"]}
CLICKS = '{"name": "键盘", "u": "张三", "i": "größe", "kind": "click", "dt": "2025-03-01"}\n'


def settings(folder: Path, source: dict) -> Settings:
    return parse_settings(
        {"data": {"root": str(folder / "data")}, "lake": {"root": str(folder / "lake")}, "sources": [source]}
    )


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def parsed(spark, chosen: Settings) -> list[tuple]:
    ingest.run(spark, chosen)
    rows = read(spark, Lake.of(chosen.lake), "events_raw")
    assert absent_columns(rows, chosen.sources[0]) == []
    found = parse(rows, chosen.sources[0]).select("user_id", "item_id", "event_type", "event_time")
    return sorted(tuple(row) for row in found.collect())


@pytest.mark.parametrize("kind", ["json", "csv", "parquet"])
def test_folders_that_are_columns_as_spark_writes_them(spark, tmp_path, kind):
    written = [
        ("1", "a", "click", "2025-03-01"),
        ("2", "b", "my buy+50%", "2025-03-02"),
        ("3", "c", None, "2025-03-02"),
    ]
    frame = spark.createDataFrame(written, "u string, i string, kind string, dt string")
    options = {"header": True} if kind == "csv" else {}
    frame.write.partitionBy("dt", "kind").format(kind).options(**options).save(str(tmp_path / "data" / "logs"))
    found = parsed(spark, settings(tmp_path, FOLDED | {"kind": kind}))
    assert found == written
    read_by_spark = spark.read.format(kind).options(**options).load(str(tmp_path / "data" / "logs"))
    theirs = read_by_spark.select("u", "i", "kind", F.col("dt").cast("string")).orderBy("u").collect()
    assert [(str(row.u), *row[1:]) for row in theirs] == written


def test_a_folder_that_is_not_there_or_not_told(spark, tmp_path):
    write(tmp_path / "data" / "logs" / "dt=2025-03-01" / "a.csv", b"u,i,kind\n1,a,click\n")
    untold = FOLDED | {"kind": "csv", "partitions": []}
    with pytest.raises(SourceError, match=r"no column 'dt'.* the folder dt=\.\.\. is a column where partitions names"):
        ingest.run(spark, settings(tmp_path, untold))
    with pytest.raises(SourceError, match=r"logs/dt=2025-03-01/a.csv lies in no folder kind=\.\.\., see partitions"):
        ingest.run(spark, settings(tmp_path, FOLDED | {"kind": "csv"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partitions": ["dt", "day"]}, r"partitions names \['day'\], which no column maps"),
        ({"partitions": ["u"]}, "user_id is a folder's name"),
        (
            {"kind": "parquet", "encoding": "gbk", "partitions": []},
            "encoding is for json, csv, pairs, found parquet",
        ),
        ({"encoding": "utf-16", "partitions": []}, "encoding"),
        ({"kind": "delta"}, "partitions is for json, csv, parquet, pairs, found delta"),
    ],
)
def test_what_does_not_fit_is_told_when_settings_are_read(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        settings(tmp_path, FOLDED | {"kind": "json"} | change)


@pytest.mark.parametrize("kind", ["json", "csv", "pairs"])
@pytest.mark.parametrize(
    ("encoding", "text"), [("gbk", "张三 键盘"), ("iso-8859-1", "Zoë größe"), ("shift_jis", "ソ 表")]
)
def test_other_encodings(spark, tmp_path, capsys, kind, encoding, text):
    # The second bytes of ソ and 表 in Shift JIS are backslashes.
    user, item = text.split()
    record = {"u": user, "i": item, "kind": "click", "dt": "2025-03-01"}
    lines = {
        "json": json.dumps(record, ensure_ascii=False) + "\n",
        "csv": ",".join(record) + "\n" + ",".join(record.values()) + "\n",
        "pairs": text + "\n",
    }
    write(tmp_path / "data" / "logs" / "a", lines[kind].encode(encoding))
    constants = {"event_type": "click"} if kind == "pairs" else {}
    columns = {} if kind == "pairs" else COLUMNS
    source = {"name": "logs", "table": "events", "kind": kind, "path": "logs", "columns": columns}
    found = parsed(spark, settings(tmp_path, source | {"constants": constants, "encoding": encoding}))
    assert [row[:3] for row in found] == [(user, item, "click")]
    assert capsys.readouterr().err == ""


def test_bytes_of_another_encoding_than_told(spark, tmp_path, capsys):
    write(tmp_path / "data" / "logs" / "a", CLICKS.encode("gb18030") + '{"u": "\xff\xfe"}\n'.encode("latin-1"))
    source = {"name": "logs", "table": "events", "kind": "json", "path": "logs", "columns": COLUMNS}
    ingest.run(spark, settings(tmp_path, source | {"encoding": "gb18030"}))
    assert "source logs: 1 lines hold bytes that are no gb18030" in capsys.readouterr().err
    raw = [row["raw"] for row in Lake(str(tmp_path / "lake")).read("events_raw").to_pylist()]
    assert CLICKS.strip() in raw


def test_a_column_of_a_table_may_have_a_dot_in_its_name_or_be_nested(spark, tmp_path):
    frame = spark.createDataFrame(
        [("7", ("a",), "click", "2025-03-01")], "`who.id` string, what struct<id:string>, kind string, dt string"
    )
    frame.write.parquet(str(tmp_path / "data" / "logs"))
    source = FOLDED | {
        "kind": "parquet",
        "partitions": [],
        "columns": COLUMNS | {"user_id": "who.id", "item_id": "what.id"},
    }
    chosen = settings(tmp_path, source)
    assert parsed(spark, chosen) == [("7", "a", "click", "2025-03-01")]
    line = Lake(str(tmp_path / "lake")).read("events_raw")["raw"][0].as_py()
    where = places(chosen.sources[0], chosen.sources)
    assert names(line, where, "7") and not names(line, where, "8")
    assert '"7"' not in pseudonymised(line, where, b"a key of the tests")
