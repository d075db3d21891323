"""Read settings from a YAML file and from --set; turn what is wrong into one line that names the key."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tandemrec.config.root import Settings
from tandemrec.errors import ConfigError


class _Plain(yaml.SafeLoader):
    """YAML whose times stay texts, as our settings have them: `now: 2024-05-31` needs no quotes."""


_Plain.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
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
        raise ConfigError(f"{path}: cannot be read ({error.strerror}), expected a YAML file of settings") from error
    try:
        raw = _values(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: holds {type(raw).__name__}, expected keys and values")
    for override in overrides:
        _override(raw, override)
    return parse_settings(raw, where=str(path))


def parse_settings(raw: dict[str, Any], where: str = "settings") -> Settings:
    """Settings from plain values; the first thing that is wrong becomes a ConfigError of one line."""
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first(error)}") from error


def _values(text: str) -> Any:
    return yaml.load(text, _Plain)  # noqa: S506 - a SafeLoader


def _first(error: ValidationError) -> str:
    first, more = error.errors(include_url=False)[0], error.error_count() - 1
    key = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "unknown key"
    elif first["type"] == "missing":
        message = "missing"
    elif not first["msg"].startswith("Value error"):
        message = f"found {_short(first['input'])}, expected: {message}"
    return f"{key + ': ' if key else ''}{message}{f' (and {more} more)' if more else ''}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _override(raw: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"--set {override!r}: expected key.path=value")
    try:
        value = _values(text) if text else ""
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is no YAML") from error
    *parents, last = path.split(".")
    node: Any = raw
    for part in parents:
        if isinstance(node, list):
            node = _element(node, part, override)
        else:
            if node.get(part) is None:
                node[part] = {}
            node = node[part]
        if not isinstance(node, dict | list):
            raise ConfigError(f"--set {override!r}: {part} holds a value, not keys")
    if isinstance(node, list):
        node[node.index(_element(node, last, override))] = value
    else:
        node[last] = value


def _element(node: list[Any], part: str, override: str) -> Any:
    """An element of a list: by its number, or by its `name` (sources.events.path)."""
    for number, element in enumerate(node):
        if part == str(number) or (isinstance(element, dict) and element.get("name") == part):
            return element
    raise ConfigError(f"--set {override!r}: no element {part!r}, expected a number below {len(node)} or a name")
