"""Where the lines of a source name people, and lines in which they are named otherwise or no more.

Lines are read by Python's JSON here: Spark has no function that changes one field of a line and leaves the rest.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from math import isfinite
from typing import Any

import pandas as pd
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import StringType

from tandemrec.clean.parse import AROUND, constants, mapped_columns, ways
from tandemrec.config import Source
from tandemrec.config.sources import TARGET_KINDS
from tandemrec.lake.pseudonyms import SPACES, pseudonym

THINGS = tuple(kind for kind in TARGET_KINDS if kind != "user")  # kinds of targets that are no people
_SEPARATORS = (",", ":")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A field that holds a person's id: its path in the line or, with `records`, in each record of that field.

    `target`: the person is a relation's target, unless the line says at `kind` that this is one of THINGS.
    """

    records: tuple[str, ...] = ()
    path: tuple[str, ...]
    target: bool = False
    kind: "Place | None" = None


def places(source: Source, sources: Sequence[Source], also: Sequence[str] = ()) -> list[Place]:
    """The fields of a source's lines that hold ids of people: what it or another source of the same files maps to
    user_id or, where the target of a relation may be a person, to target_id, and the fields of `also`.
    """
    found: dict[Place, None] = {}
    for one in sources:
        if (one.path, one.kind) == (source.path, source.kind):
            mapped = mapped_columns(one).get("user_id")
            for name in (*([mapped] if mapped else []), *also):
                found |= dict.fromkeys(_places(one, name))
            found |= dict.fromkeys(_targets(one))
    return list(found)


def pseudonymised(raw: str, where: Sequence[Place], key: bytes) -> str:
    """A line with pseudonyms in place of ids. One that is no JSON object may hold an id anywhere: only its own
    pseudonym is left, which no source can read.
    """
    if not raw.strip(SPACES):
        return raw
    try:
        line = _object(raw, where)
    except (ValueError, RecursionError):
        return pseudonym(raw, key)
    # All are found before one is changed: two places may be one field, which becomes the pseudonym of the id once.
    found = {(id(holder), name): holder for place in where for holder, name in _holders(line, place)}
    for (_, name), holder in found.items():
        holder[name] = pseudonym(_text(holder[name]), key)
    return _written(line)


def without(raw: str, where: Sequence[Place], user: str) -> str | None:
    """A line without the records of a person, or without the field in which it names that person as a target; None
    where the line itself is the person's, or cannot be read.
    """
    try:
        line = _object(raw, where)
    except (ValueError, RecursionError):
        return None
    if any(_names(line, line, place, user) for place in where if not place.records and not place.target):
        return None
    for place in where:
        if not place.records:
            for mine, name in [*_held(line, line, place)]:
                if _is(mine[name], user):
                    del mine[name]
            continue
        holder, last = _reach(line, place.records[:-1]), place.records[-1]
        if holder is not None and last in holder:
            kept = [one for one in _listed(holder[last]) if not _names(line, one, place, user)]
            holder[last] = kept if isinstance(holder[last], list) else next(iter(kept), None)
    return _written(line)


def names(raw: str, where: Sequence[Place], user: str) -> bool:
    """Whether a line names a person; one that cannot be read does where the id stands in it as a word."""
    try:
        line = _object(raw, where)
    except (ValueError, RecursionError):
        return re.search(word(user), raw) is not None
    return any(_is(holder[name], user) for place in where for holder, name in _holders(line, place))


@lru_cache(maxsize=16)
def word(user: str) -> str:
    """A pattern, for Python and Java alike, of an id that is not part of a longer word or number."""
    return rf"(?<![\w-]){spelled(user)}(?![\w-])"


def spelled(text: str) -> str:
    """A pattern of a text as it is and as JSON writes it, be it JSON within JSON."""
    return "".join(map(_spelled, text))


def _spelled(character: str) -> str:
    if character == "\\":
        return r"\\+"
    if character in '"/':
        return rf"\\*{character}"
    if character.isascii():
        return character if character.isalnum() or character == "_" else rf"\{character}"
    units = character.encode("utf-16-be", "surrogatepass").hex()
    escaped = "".join(rf"\\+u(?i:{units[at : at + 4]})" for at in range(0, len(units), 4))
    return f"(?:{character}|{escaped})"


def on_lines(raw: Column, change: Callable[[str], str | None]) -> Column:
    """A function over lines as a column of Spark."""

    def changed(lines: pd.Series) -> pd.Series:
        return lines.map(change, na_action="ignore").astype(object)

    # The function travels to the workers as it is: what it holds, a key, stands in no plan and no log of Spark.
    column: Column = pandas_udf(changed, StringType())(raw)  # type: ignore[call-overload]
    return column


def _places(source: Source, name: str) -> Iterator[Place]:
    starts = source.explode if source.explode and not name.startswith(AROUND) else [""]
    for way in ways(name if source.layout == "csv" else name.removeprefix(AROUND), source):
        for field in starts:
            yield Place(records=tuple(field.split(".")) if field else (), path=tuple(way))


def _targets(source: Source) -> Iterator[Place]:
    """The fields of relations' targets that may be people."""
    columns = mapped_columns(source)
    target, kind = columns.get("target_id"), columns.get("target_kind")
    if target is None or _is_thing(constants(source).get("target_kind", "")):
        return
    kinds: list[Place | None] = [None] if kind is None else [*_places(source, kind)]
    for place in _places(source, target):
        for told in kinds:
            if told is None or () in (told.records, place.records) or told.records == place.records:
                yield replace(place, target=True, kind=told)


def _object(raw: str, where: Sequence[Place]) -> dict[str, Any]:
    """The object that a line is. Records that stand in it as a text of JSON, which Spark reads too, become objects.

    Raises:
        ValueError: the line is no JSON object, or the text of records none.
    """
    line = json.loads(raw)
    if not isinstance(line, dict):
        raise ValueError("no object")
    for place in where:
        if place.records:
            holder = _reach(line, place.records[:-1])
            if holder is not None and isinstance(holder.get(place.records[-1]), str):
                holder[place.records[-1]] = json.loads(holder[place.records[-1]])
    return line


def _holders(line: dict[str, Any], place: Place) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects that hold the place's field with a value that may be a person's id, and the field's name."""
    for start in _starts(line, place):
        yield from _held(line, start, place)


def _starts(line: dict[str, Any], place: Place) -> list[Any]:
    """Where the place's path begins: the line, or the records of one of its fields."""
    if not place.records:
        return [line]
    holder = _reach(line, place.records[:-1])
    return [] if holder is None else [one for one in _listed(holder.get(place.records[-1])) if one]


def _held(line: dict[str, Any], start: Any, place: Place) -> Iterator[tuple[dict[str, Any], str]]:
    """The object that holds the place's field, on its path from the line or one of its records."""
    kinds = []
    if place.kind is not None:
        starts = [start] if place.kind.records == place.records else _starts(line, place.kind)
        kinds = [_text(holder[name]) for one in starts for holder, name in _filled(one, place.kind.path)]
    if not kinds or not all(map(_is_thing, kinds)):
        yield from _filled(start, place.path)


def _filled(start: Any, path: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    *above, last = path
    holder = _reach(start, above)
    if holder is not None and holder.get(last) is not None and _text(holder[last]).strip(SPACES):
        yield holder, last


def _reach(start: Any, path: Sequence[str]) -> dict[str, Any] | None:
    for step in path:
        start = start.get(step) if isinstance(start, dict) else None
    return start if isinstance(start, dict) else None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _names(line: dict[str, Any], start: Any, place: Place, user: str) -> bool:
    return any(_is(holder[name], user) for holder, name in _held(line, start, place))


def _is_thing(kind: str) -> bool:
    return kind.strip(SPACES).lower() in THINGS


def _is(value: Any, user: str) -> bool:
    return _text(value).strip(SPACES) == user


def _text(value: Any) -> str:
    """A value as Spark reads it, where a string is asked for."""
    if isinstance(value, float) and isfinite(value) and value and not 1e-3 <= abs(value) < 1e7:
        sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
        first, *rest = map(str, digits)
        return f"{'-' * sign}{first}.{''.join(rest) or '0'}E{int(exponent) + len(rest)}"  # as Java does
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=_SEPARATORS)


def _written(line: dict[str, Any]) -> str:
    return json.dumps(line, ensure_ascii=False, separators=_SEPARATORS)
