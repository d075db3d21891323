"""The settings as a page of documentation: docs/settings.md, written by `make docs` and held current by a test."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tandemrec.config.root import Settings

Schema = Mapping[str, Any]

_HEAD = (
    "# Settings\n\n"
    "Every key of the YAML file of a deployment, from `libs/tandemrec/config/`; written by `make docs`. Keys in bold "
    "have to be there. Any key\ncan be overridden on the command line: `--set train.max_epochs=5`, one within a list "
    "by the element's number or name `--set sources.events.path=FILE`.\n"
)
_PLAIN = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false", "null": "null"}
_BOUNDS = {
    "minimum": "{} or more",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
}


def markdown() -> str:
    """One section a section of the settings, in their order, those within another behind it."""
    schema = Settings.model_json_schema()
    places = dict(_places("", schema, schema["$defs"]))
    sections = [("The file", schema), *((place, schema["$defs"][name]) for name, place in places.items())]
    return "\n".join([_HEAD, *(_section(place, section, places, schema["$defs"]) for place, section in sections)])


def _places(place: str, section: Schema, defs: Schema, seen: frozenset[str] = frozenset()) -> Iterator[tuple[str, str]]:
    """Each section's name and the key that leads to it, the first where there are several."""
    for key, value in section["properties"].items():
        name = _name(value)
        if name is not None and name not in seen:
            here = f"{place}{key}"
            yield name, here
            seen |= {name}
            for found, below in _places(f"{here}.", defs[name], defs, seen):
                seen |= {found}
                yield found, below


def _name(value: Schema) -> str | None:
    """Which section a value is or holds."""
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    inner = [*value.get("anyOf", []), value.get("items"), value.get("additionalProperties")]
    inner += value.get("patternProperties", {}).values()
    return next((found for one in inner if isinstance(one, dict) and (found := _name(one)) is not None), None)


def _section(place: str, section: Schema, places: Mapping[str, str], defs: Schema) -> str:
    told = [" ".join(paragraph.split()) for paragraph in section.get("description", "").split("\n\n")]
    required = section.get("required", [])
    rows = [
        f"| {f'**{key}**' if key in required else key} | {_cell(_type(value, places))} "
        f"| {'' if key in required else _cell(_default(value))} | {_cell(_told(value, defs))} |"
        for key, value in section["properties"].items()
    ]
    lines = [f"## {place}", "", *(line for one in told if one for line in (one, ""))]
    return "\n".join([*lines, "| key | type | default | |", "|---|---|---|---|", *rows, ""])


def _told(value: Schema, defs: Schema) -> str:
    """Its description or, of a section, the first sentence of what is said of that."""
    if "description" in value:
        return str(value["description"])
    told: str = " ".join(defs[_name(value) or ""]["description"].split())
    return told.partition(". ")[0].removesuffix(".")


def _type(value: Schema, places: Mapping[str, str]) -> str:
    if "$ref" in value:
        place = places[_name(value) or ""]
        return f"[{place}](#{place.replace('.', '')})"
    if "anyOf" in value:
        return ", or ".join(_type(one, places) for one in value["anyOf"])
    if "enum" in value or "const" in value:
        return ", ".join(f"`{one}`" for one in value.get("enum", [value.get("const")]))
    if "prefixItems" in value:
        return "list: " + ", ".join(_type(one, places) for one in value["prefixItems"])
    if value["type"] == "array":
        return f"list of {_type(value['items'], places)}"
    if value["type"] == "object":
        (of,) = [*value.get("patternProperties", {}).values()] or [value["additionalProperties"]]
        return f"by name: {_type(of, places)}"
    return ", ".join(
        [_PLAIN[value["type"]], *(told.format(value[key]) for key, told in _BOUNDS.items() if key in value)]
    )


def _default(value: Schema) -> str:
    """Nothing for a section, whose keys have theirs, nor for a list of sections that is not empty."""
    if "$ref" in value or (_name(value) is not None and value["default"]):
        return ""
    if "default" not in value:  # a factory makes it
        return "`{}`" if value["type"] == "object" else "`[]`"
    return f"`{json.dumps(value['default'], ensure_ascii=False)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
