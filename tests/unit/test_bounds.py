"""Bounds of files: the first line that is too long is named, whatever the pieces in which it is read."""

import gzip
import random

import pytest

from tandemrec.config import Source
from tandemrec.errors import SourceError
from tandemrec.lake.sources import SourceFile, bounds

SOURCE = Source(
    name="logs",
    table="items",
    kind="json",
    path="x",
    columns={"item_id": "i"},
)


def lines_read(text: bytes, *, limit: int) -> int:
    """Bytes that a reader gives that passes over lines of `limit` bytes or more, an end for each."""
    lines = text.split(b"\n")
    lines = lines[:-1] if lines[-1] == b"" else lines
    return sum(len(line) + 1 for line in lines if len(line) < limit)


@pytest.mark.parametrize("packing", ["plain", "gzip", "members"])
def test_the_first_line_that_is_too_long_is_named(tmp_path, monkeypatch, packing):
    monkeypatch.setattr(bounds, "MAX_LINE", 30)
    draw = random.Random(3)
    for number in range(60):
        monkeypatch.setattr(bounds, "PIECE", draw.choice([1, 7, 29, 30, 31, 1000]))
        lines = [b"x" * draw.choice([0, 1, 12, 28, 29] + [30, 31, 90] * (number % 3 == 0)) for _ in range(9)]
        text = b"\n".join(lines) + draw.choice([b"", b"\n"])
        half = len(text) // 2
        content = {
            "plain": text,
            "gzip": gzip.compress(text),
            "members": gzip.compress(text[:half]) + gzip.compress(text[half:]),
        }[packing]
        path = tmp_path / f"{number}.json{'.gz' * (packing != 'plain')}"
        path.write_bytes(content)
        file = SourceFile(name=path.name, path=str(path), size=len(content))
        read = bounds.Lines(read=lines_read(text, limit=30), size=len(content))
        long = [(place, len(line)) for place, line in enumerate(lines, 1) if len(line) >= 30]
        if not long:
            bounds.check_long_lines(SOURCE, [file], {str(path): read})
            continue
        with pytest.raises(SourceError, match=f"line {long[0][0]} of {path.name} has {long[0][1]} bytes, .*than 30;"):
            bounds.check_long_lines(SOURCE, [file], {str(path): read})


def test_a_file_with_no_line_within_the_bound_and_one_that_is_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(bounds, "MAX_LINE", 30)
    (tmp_path / "long.json").write_bytes(b"y" * 100)
    (tmp_path / "empty.json").write_bytes(b"")
    files = [
        SourceFile(name=name, path=str(tmp_path / name), size=size)
        for name, size in (("empty.json", 0), ("long.json", 100))
    ]
    bounds.check_long_lines(SOURCE, files[:1], {})
    with pytest.raises(SourceError, match=r"line 1 of long.json has 100 bytes, expected"):
        bounds.check_long_lines(SOURCE, files, {})


def test_only_packed_files_can_be_bombs(monkeypatch):
    monkeypatch.setattr(bounds, "PIECE", 10)
    files = [SourceFile(name=name, path=f"/{name}", size=10) for name in ("a.json", "b.json.gz")]
    read = {file.path: bounds.Lines(read=2000, size=10) for file in files}
    bounds.check_bombs(SOURCE, files, read)
    read["/a.json"] = read["/b.json.gz"] = bounds.Lines(read=2001, size=10)
    bounds.check_bombs(SOURCE, files[:1], read)
    with pytest.raises(SourceError, match=r"b.json.gz unpacks to more than 2,000 bytes, the bound for 10 compressed"):
        bounds.check_bombs(SOURCE, files, read)
