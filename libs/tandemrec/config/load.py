"""Read settings from a YAML file and from --set; turn what is wrong into one line that names the key."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tandemrec.config.base import Section, section_in
from tandemrec.config.root import Settings, counted_from
from tandemrec.errors import ConfigError

SHOWN = 3  # of what is wrong, at most
_UNKNOWN = "extra_forbidden"
Place = tuple[int | str, ...]  # the keys that lead to a value, and the numbers of elements


class _Plain(yaml.SafeLoader):
    """YAML whose times stay texts, as our settings have them: `now: 2024-05-31` needs no quotes, nor does a code: 007
    and 12:30 are numbers to the library, to the base of 8 and 60. Keys stand once, as YAML 1.2 wants it: of two with
    one name the library would drop the first with all that is below it.
    """

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                continue
            name, line = (key.tag, key.value), key.start_mark.line + 1
            if name in lines:
                raise yaml.YAMLError(f"{key.value} stands in line {lines[name]} and in line {line}, expected it once")
            lines[name] = line
        return node


_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)$")
_Plain.yaml_implicit_resolvers = {
    first: [
        (tag, _WHOLE if tag == "tag:yaml.org,2002:int" else pattern)
        for tag, pattern in resolvers
        if tag != "tag:yaml.org,2002:timestamp"
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> Settings:
    """The settings of a YAML file, with `key.path=value` overrides (values are YAML too).

    Raises:
        ConfigError: the file is missing or no YAML, or a key is unknown or its value wrong.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        from_where = "" if Path(path).is_absolute() else counted_from(str(path))
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}), expected a YAML file of settings{from_where}"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}: line {line} has bytes that are no UTF-8, expected a YAML file in UTF-8") from error
    try:
        raw = read_yaml(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        found = "nothing" if raw is None else type(raw).__name__
        raise ConfigError(f"{path}: holds {found}, expected keys and values")
    placed = [(_override(raw, override), override) for override in overrides]
    return _checked(raw, str(path), placed)


def parse_settings(raw: dict[str, Any], where: str = "settings") -> Settings:
    """Settings from plain values; what is wrong, unknown keys first, becomes a ConfigError of one line."""
    return _checked(raw, where)


def _checked(raw: dict[str, Any], where: str, placed: Sequence[tuple[Place, str]] = ()) -> Settings:
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        # A key that is misspelled is often missing too: what is unknown explains the rest.
        found = sorted(error.errors(include_url=False), key=lambda one: one["type"] != _UNKNOWN)
        by_origin = groupby(found[:SHOWN], lambda one: _origin(one, where, placed))
        said = "; ".join(f"{origin}: {'; '.join(map(_said, some))}" for origin, some in by_origin)
        more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
        raise ConfigError(said + more) from error


def read_yaml(text: str) -> Any:
    """Plain values, as settings have them."""
    return yaml.load(text, _Plain)  # noqa: S506 - a SafeLoader


def _said(error: ErrorDetails) -> str:
    """The key, what was found there and what was expected."""
    *section, last = error["loc"] or ("",)
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == _UNKNOWN:
        known = _keys(section)
        near = get_close_matches(str(last), known, n=1)
        message = (
            f"unknown key, did you mean {near[0]}?" if near else f"unknown key, expected one of {', '.join(known)}"
        )
    elif error["type"] == "missing":
        message = "missing"
    elif error["type"] != "value_error":
        quoted = ", in quotes" if error["type"] == "string_type" and isinstance(error["input"], int | float) else ""
        message = f"found {_short(error['input'])}, expected {_expected(error)}{quoted}"
    key = ".".join(str(part) for part in error["loc"])
    return f"{key}: {message}" if key else message


def _expected(error: ErrorDetails) -> str:
    """Of `Input should be a valid integer, unable to parse string as an integer`: a valid integer."""
    if error["type"] in ("model_type", "dict_type"):
        return "keys and values"
    wanted = re.split(", unable to | after validation", error["msg"].partition(" should ")[2])[0] or error["msg"]
    return wanted.removeprefix("be ").removeprefix("have ").replace("match pattern", "a match of", 1)


def _keys(section: Sequence[int | str]) -> list[str]:
    """The keys of a section of the settings; numbers and names of elements on the way to it lead no further."""
    here: type[Section] = Settings
    for part in section:
        field = here.model_fields.get(str(part))
        here = (field and section_in(field.annotation)) or here
    return list(here.model_fields)


def _origin(error: ErrorDetails, where: str, placed: Sequence[tuple[Place, str]]) -> str:
    """Where the wrong value came from: an override, or the file, with the overrides that had a part in it."""
    place = error["loc"]
    if given := [override for at, override in placed if place[: len(at)] == at]:
        return f"--set {given[-1]}"
    named = [
        f"--set {override}"
        for at, override in placed
        if at[: len(place)] == place and (error["type"] == _UNKNOWN or str(at[-1]) in error["msg"])
    ]
    return " ".join([where, "with", *named]) if named else where


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _override(raw: dict[str, Any], override: str) -> Place:
    """Put the value into the raw settings; where it stands there, elements of lists by their numbers."""
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {override!r}: expected key.path=value")
    try:
        value = read_yaml(text) if text else ""
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is no YAML") from error
    *parents, last = path.split(".")
    node: Any = raw
    place: list[int | str] = []
    for part in parents:
        if isinstance(node, dict) and node.get(part) is None:
            node[part] = {}
        place.append(_number(node, part, override) if isinstance(node, list) else part)
        node = node[place[-1]]
        if not isinstance(node, dict | list):
            raise ConfigError(f"--set {override!r}: {part} holds a value, not keys")
    place.append(_number(node, last, override) if isinstance(node, list) else last)
    node[place[-1]] = value
    return tuple(place)


def _number(node: list[Any], part: str, override: str) -> int:
    """Which element of a list is meant: by its number, or by its `name` (sources.events.path)."""
    for number, element in enumerate(node):
        if part == str(number) or (isinstance(element, dict) and element.get("name") == part):
            return number
    raise ConfigError(f"--set {override!r}: no element {part!r}, expected a number below {len(node)} or a name")
