"""Every file below the lake is read for what should be gone: an id, an index, texts and their hashes.

The files are read as they lie there, past Delta: what no version of a table refers to any more counts too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import fs

from tandemrec.clean.people import names, places, spelled, word
from tandemrec.config import Source
from tandemrec.lake.store import address

LONG_ENOUGH = 20  # characters of a text that nobody writes by chance
SHORT_ID = 4  # an id of fewer characters stands in many a text and number
CUT_AT = 32  # characters, to which logs cut the minima and maxima of texts
_INDEX = {"gold/examples": "user", "gold/user_features": "user_index"}
_TEXTS = ("text", "clean_text", "raw")
LOG = "/_delta_log/"


@dataclass(frozen=True, kw_only=True)
class Person:
    """What is looked for. `index` is the one of users_vocabulary; `texts` and their `hashes` are those that nobody
    else wrote.
    """

    user: str
    index: int | None = None
    texts: Sequence[str] = ()
    hashes: Sequence[str] = ()

    @cached_property
    def as_value(self) -> re.Pattern[bytes]:
        """The id as a value of user_id in JSON, be it JSON within JSON."""
        return re.compile(rf'user_id\\*"\s*:\s*\\*"{spelled(self.user)}\\*"'.encode())

    @cached_property
    def in_logs(self) -> re.Pattern[bytes]:
        """What may be the id in minima and maxima: a target, which may be no person, or where a longer one is cut."""
        start = spelled(self.user[:CUT_AT]) if len(self.user) > CUT_AT else rf'{spelled(self.user)}\\*"'
        return re.compile(rf'(?:user_id|target_id)\\*"\s*:\s*\\*"{start}'.encode())


@dataclass(kw_only=True)
class Proof:
    """What was read, where the person was found, and in how many other cells the id stands as a word: in a text of
    somebody else, as an item's id. `traces` are logs that may name the person or somebody else: they
    note long texts by their beginnings.
    """

    files: int = 0
    size: int = 0
    found: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    mentions: int = 0
    mentioned: str | None = None


def scan(root: str, person: Person, sources: Sequence[Source], *, under: Sequence[str] = ("",)) -> Proof:
    """Read every file below some folders of the lake.

    Args:
        under: folders below the root; default: all of it.
    """
    proof = Proof()
    for folder in under:
        files, path = fs.FileSystem.from_uri(address(f"{root}/{folder}".rstrip("/")))
        for info in files.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True)):
            if info.type == fs.FileType.File:
                place = f"{folder}{info.path.removeprefix(path)}".lstrip("/")
                proof.files, proof.size = proof.files + 1, proof.size + info.size
                with files.open_input_file(info.path) as opened:
                    _look(opened, place, person, sources, proof)
    return proof


def _look(opened: pa.NativeFile, place: str, person: Person, sources: Sequence[Source], proof: Proof) -> None:
    if not place.endswith(".parquet"):
        content = opened.read()
        if _in_bytes(content, person):
            proof.found.append(place)
        elif LOG in place and person.in_logs.search(content):
            proof.traces.append(place)
        return
    where = {one.name: places(one, sources) for one in sources}
    table = "/".join(place.split("/")[:2])
    for batch in pq.ParquetFile(opened).iter_batches():
        if batch.num_rows and {"source", "raw"} <= set(batch.schema.names):
            raw = batch["raw"].cast(pa.string())
            asked = pc.and_(raw.is_valid(), batch["source"].cast(pa.string()).is_valid()).to_pylist()
            lines = zip(batch["source"].to_pylist(), raw.to_pylist(), strict=True)
            if any(
                names(line, where.get(source, []), person.user)
                for (source, line), it in zip(lines, asked, strict=True)
                if it
            ):
                proof.found.append(f"{place}: raw")
        if {"target_kind", "target_id"} <= set(batch.schema.names):
            people = batch.filter(pc.equal(batch["target_kind"].cast(pa.string()), "user"))
            if pc.any(pc.equal(people["target_id"].cast(pa.string()), person.user)).as_py():
                proof.found.append(f"{place}: target_id")
        for column, values in _columns(batch):
            if _holds(table, column, values, person):
                proof.found.append(f"{place}: {column}")
            elif LOG in place and pa.types.is_string(values.type):
                stated = (f'"{column.split(".")[-1]}":"{text}"'.encode() for text in values.to_pylist() if text)
                if any(person.in_logs.search(one) for one in stated):
                    proof.traces.append(f"{place}: {column}")
            elif len(person.user) >= SHORT_ID and pa.types.is_string(values.type):
                likely = values.filter(pc.fill_null(pc.match_substring(values, person.user), False)).to_pylist()
                if mentions := sum(re.search(word(person.user), text) is not None for text in likely):
                    proof.mentions += mentions
                    proof.mentioned = proof.mentioned or f"{place}: {column}"


def _holds(table: str, column: str, values: pa.Array, person: Person) -> bool:
    """Whether a column of a file holds the person for certain."""
    last = column.split(".")[-1]
    if last == _INDEX.get(table) and person.index is not None:
        return bool(pc.any(pc.equal(values, person.index)).as_py())
    if not pa.types.is_string(values.type):
        return False
    if last == "user_id" and pc.any(pc.equal(values, person.user)).as_py():
        return True
    if person.hashes and last == "text_hash" and pc.any(pc.is_in(values, pa.array(person.hashes, pa.string()))).as_py():
        return True
    if last in _TEXTS and any(pc.any(pc.match_substring(values, text)).as_py() for text in person.texts):
        return True
    # Statistics of a checkpoint are JSON in a string.
    return "stats" in column and any(_in_bytes(text.encode(), person) for text in values.to_pylist() if text)


def _in_bytes(content: bytes, person: Person) -> bool:
    """In logs and the like: the id as a value of user_id, a hash of a text, a text."""
    if person.as_value.search(content):
        return True
    return any(text.encode() in content for text in (*person.hashes, *person.texts))


def _columns(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.Array]]:
    """The columns of a batch down to plain values, strings as strings."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        yield from _plain(name, column)


def _plain(name: str, column: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    kind = column.type
    if pa.types.is_struct(kind):
        for number, inner in enumerate(kind):
            yield from _plain(f"{name}.{inner.name}", column.field(number))
    elif pa.types.is_map(kind):
        yield from _plain(f"{name}.key", column.keys)
        yield from _plain(f"{name}.value", column.items)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _plain(name, column.flatten())
    elif pa.types.is_dictionary(kind):
        yield from _plain(name, column.dictionary_decode())
    elif pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        yield name, column.cast(pa.string())
    else:
        yield name, column
