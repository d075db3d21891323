"""How much one file may unpack to and how long one line may be.

Spark's reader passes over lines longer than a bound without a word, or cuts them at it where a block ends. That keeps
memory small. So the bytes of the lines that it gave are compared with those that the file has: a file that was read in
part is refused by name.
"""

import gzip
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tandemrec.config import Source
from tandemrec.errors import SourceError
from tandemrec.lake.sources.listing import SourceFile, is_local, plain_path

MAX_LINE = 8 * 2**20  # bytes: a line passes through some twenty functions, each with a copy, within a heap of 1 GB
MAX_LINE_OPTION = "mapreduce.input.linerecordreader.line.maxlength"
MAX_BYTES = 256 * 2**30
MAX_RATIO = 200  # text shrinks 3 to 30 times; what shrinks more is built to fill a disk
PIECE = 2**20
_CODECS = (".gz", ".bz2", ".deflate", ".lz4", ".snappy", ".zst")  # by which Spark unpacks
_BYTE_ORDER_MARK = 3  # bytes, which the reader leaves out; a line end at the end of the file may be absent


@dataclass(frozen=True, kw_only=True)
class Lines:
    """What was read of a file: the bytes of its lines with their ends, of the longest one without, and of the file."""

    read: int
    size: int
    longest: int = 0


def allowed_bytes(packed: int) -> int:
    """The bytes that a packed file of this size may unpack to."""
    return min(MAX_BYTES, MAX_RATIO * max(packed, PIECE))


def is_measurable(file: SourceFile) -> bool:
    """Whether it can be told without reading it how many bytes of text it has: a plain file, or a local .gz."""
    name = file.path.lower()
    return not name.endswith(_CODECS) or (name.endswith(".gz") and is_local(file.path))


def check_bombs(source: Source, files: Sequence[SourceFile], lines: Mapping[str, Lines]) -> None:
    """Refuse a file that unpacks beyond its bound.

    Args:
        lines: of each file that has some, by path.

    Raises:
        SourceError: names the file.
    """
    for file in files:
        found = lines.get(plain_path(file.path))
        if found and file.path.lower().endswith(_CODECS) and found.read > (allowed := allowed_bytes(found.size)):
            raise SourceError(
                f"source {source.name}: {file.name} unpacks to more than {allowed:,} bytes, the bound for "
                f"{found.size:,} compressed ones; unpack it yourself if it is what it should be"
            )


def check_long_lines(source: Source, files: Sequence[SourceFile], lines: Mapping[str, Lines]) -> None:
    """Refuse a file of which lines were passed over.

    Args:
        files: measurable ones.
        lines: of each file that has some, by path.

    Raises:
        SourceError: names the file and, where the file is local, the line.
    """
    for file in files:
        path = plain_path(file.path)
        found = lines.get(path)
        if found is None and is_local(file.path):
            found = Lines(read=0, size=os.path.getsize(path))
        read, size = (found.read, found.size) if found else (0, file.size)
        missing = size - read
        if path.lower().endswith(".gz"):
            missing = (_size_in_trailer(path) - read + 1) % 2**32 - 1  # the trailer counts to 4 GiB
        if -1 <= missing <= _BYTE_ORDER_MARK and (found is None or found.longest < MAX_LINE):
            continue
        if not is_local(file.path):
            raise SourceError(
                f"source {source.name}: {file.name} has a line of more than {MAX_LINE:,} bytes, the bound"
            )
        _look_for_a_long_line(source, file)  # finds none in a .gz of several members, which has as many trailers


def _size_in_trailer(path: str) -> int:
    with open(path, "rb") as opened:
        opened.seek(max(os.path.getsize(path) - 4, 0))
        return int.from_bytes(opened.read(4), "little")


def _look_for_a_long_line(source: Source, file: SourceFile) -> None:
    path = plain_path(file.path)
    opener = gzip.open if path.lower().endswith(".gz") else open
    number = length = 0
    try:
        with opener(path, "rb") as opened:
            while length < MAX_LINE and (line := opened.readline(MAX_LINE)):
                number, length = number + 1, len(line.removesuffix(b"\n"))
            while MAX_LINE <= length < 64 * MAX_LINE and (more := opened.readline(MAX_LINE)) not in (b"", b"\n"):
                length += len(more.removesuffix(b"\n"))
                if more.endswith(b"\n"):
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"source {source.name}: {file.name} cannot be read to its end: {error}") from error
    if length >= MAX_LINE:
        or_more = " or more" if length >= 64 * MAX_LINE else ""
        raise SourceError(
            f"source {source.name}: line {number:,} of {file.name} has {length:,} bytes{or_more}, expected fewer than "
            f"{MAX_LINE:,}; split the line or leave it out"
        )
