"""Files built to fill a disk or the memory are refused by name, or pass within the default heap of 1 GB."""

import gzip
import json
import zlib
from pathlib import Path

import pytest
import yaml
from user_process import output_of, start

from jobs import ingest
from tandemrec.config import Settings, parse_settings
from tandemrec.errors import SourceError
from tandemrec.lake import Lake, runs
from tandemrec.lake.sources import bounds

COLUMNS = {"user_id": "u", "item_id": "i", "text": "b", "review_time": "at"}
MB = 2**20


def chosen_by_user(folder: Path, **source) -> dict[str, object]:
    asked = {"name": "logs", "table": "reviews", "kind": "json", "path": "logs", "columns": COLUMNS} | source
    (folder / "data" / "logs").mkdir(parents=True, exist_ok=True)
    return {"data": {"root": str(folder / "data")}, "lake": {"root": str(folder / "lake")}, "sources": [asked]}


def settings(folder: Path, **source) -> Settings:
    return parse_settings(chosen_by_user(folder, **source))


def review(text: str) -> bytes:
    return json.dumps({"u": "a", "i": "1", "at": "2025-03-01", "b": text}).encode() + b"\n"


def refused(spark, folder: Path, message: str, **source) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        ingest.run(spark, settings(folder, **source))
    assert "\n" not in str(caught.value)
    assert Lake(str(folder / "lake")).info("reviews_raw").rows == 0


def packed(path: Path, piece: bytes, times: int) -> None:
    """A .gz of the piece many times over, written in a stream."""
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as out:
        for _ in range(times):
            out.write(packer.compress(piece))
        out.write(packer.flush())


@pytest.mark.parametrize("name", ["logs.json", "logs.json.gz"])
def test_a_line_of_100_mb_is_refused_by_file_number_and_length(spark, tmp_path, name):
    chosen = settings(tmp_path)
    path = tmp_path / "data" / "logs" / name
    line = review("x" * (100 * MB))
    content = review("good") * 2 + line + review("good")
    path.write_bytes(gzip.compress(content, 1) if name.endswith("gz") else content)
    refused(spark, tmp_path, rf"logs: line 3 of logs/{name} has {len(line) - 1:,} bytes, expected fewer than 8,388,608")
    path.write_bytes(gzip.compress(review("good") * 3) if name.endswith("gz") else review("good") * 3)
    assert ingest.run(spark, chosen)["logs"]["rows"] == 3


def test_a_line_of_nothing_but_brackets_without_end_is_refused(spark, tmp_path):
    settings(tmp_path)
    packed(tmp_path / "data" / "logs" / "deep.json.gz", b"[" * MB, 300)
    refused(spark, tmp_path, r"line 1 of logs/deep.json.gz has 314,572,800 bytes")


def test_a_gzip_file_that_unpacks_beyond_its_bound_is_refused(spark, tmp_path, monkeypatch):
    settings(tmp_path)
    packed(tmp_path / "data" / "logs" / "bomb.json.gz", b"0" * 999 + b"\n", 20_000)
    monkeypatch.setattr(bounds, "PIECE", 10_000)  # a bomb of gigabytes takes minutes
    refused(
        spark, tmp_path, r"logs/bomb.json.gz unpacks to more than \d[\d,]+ bytes, the bound for \d[\d,]+ compressed"
    )


def test_a_csv_cell_and_a_csv_bomb_are_refused(spark, tmp_path, monkeypatch):
    settings(tmp_path)
    cell = tmp_path / "data" / "logs" / "cell.csv"
    cell.write_bytes(b"u,i,b,at\n1,2,3,4\n1,2," + b"x" * (100 * MB) + b",4\n")
    refused(spark, tmp_path, r"logs/cell.csv cannot be read as csv", kind="csv")
    cell.unlink()
    packed(tmp_path / "data" / "logs" / "bomb.csv.gz", b"u,i,b,at\n" + b"000,111,222,333\n" * 100, 10_000)
    monkeypatch.setattr(bounds, "PIECE", 10_000)
    refused(spark, tmp_path, r"logs/bomb.csv.gz unpacks to more than", kind="csv")


def test_gzip_files_of_several_members_and_other_codecs_are_read_whole(spark, tmp_path):
    chosen = settings(tmp_path)
    folder = tmp_path / "data" / "logs"
    (folder / "two.json.gz").write_bytes(gzip.compress(review("one") * 50) + gzip.compress(review("two") * 50))
    (folder / "none.json").write_bytes(b"")
    (folder / "marked.json").write_bytes(b"\xef\xbb\xbf" + review("three").rstrip())
    assert ingest.run(spark, chosen)["logs"]["rows"] == 101


@pytest.mark.slow
def test_what_is_just_within_the_bounds_is_cleaned(tmp_path):
    config = tmp_path / "conf.yaml"
    config.write_text(yaml.safe_dump(chosen_by_user(tmp_path)))
    room = bounds.MAX_LINE - 200
    lines = [
        review("it's fine, " * (room // 11)),
        review("好" * (room // 6)),
        b"[" * room + b"\n",
        b'{"u": ' * (room // 6) + b"\n",
        b'{"u": "a", "i": "1", "at": "2025-03-01", "b": ' + b"1" * room + b"}\n",
        review("good"),
    ]
    (tmp_path / "data" / "logs" / "long.json").write_bytes(b"".join(lines))
    # In a session as users have it: that of the tests has another heap, and without generated code needs more of it.
    for stage in ("ingest", "clean"):
        assert start(stage, config).wait() == 0, output_of(stage, config).read_text()
    figures = runs.latest(Lake(str(tmp_path / "lake")), "clean").figures["reviews"]
    assert figures["in"] == len(lines)
    assert figures["kept"] + sum(figures["rejected"].values()) + figures["merged"] == len(lines)
    assert figures["rejected"] == {"broken_json": 3}


@pytest.mark.parametrize("block", [128 * MB, 700])
def test_the_bound_of_a_line_is_exact_over_blocks(spark, tmp_path, monkeypatch, block):
    monkeypatch.setattr(bounds, "MAX_LINE", 1000)
    chosen = settings(tmp_path)
    path = tmp_path / "data" / "logs" / "x.json"
    lines = [b"a" * length for length in (1, 999, 0, 998, 999, 5, 999)]
    spark.conf.set("spark.sql.files.maxPartitionBytes", str(block))
    try:
        path.write_bytes(b"\n".join([*lines, b"a" * 1000, b"b"]))
        refused(spark, tmp_path, r"line 8 of logs/x.json has 1,000 bytes, expected fewer than 1,000;")
        path.write_bytes(b"\n".join(lines))
        assert ingest.run(spark, chosen)["logs"]["rows"] == len(lines)
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    found = Lake(chosen.lake.root).read("reviews_raw", ["line", "raw"]).sort_by("line")["raw"].to_pylist()
    assert found == [line.decode() for line in lines]
