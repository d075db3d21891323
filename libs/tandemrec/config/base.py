"""What every section of the settings shares: unknown keys are errors, values do not change after they are checked."""

from typing import Annotated, Any, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def _written(value: Any) -> Any:
    """A whole number as files have it; true and 1.0 may be written in several ways there."""
    return str(value) if type(value) is int else value


Cell = Annotated[str, BeforeValidator(_written)]
"""What stands in a field of a file: YAML has codes such as 0 and -1 as numbers."""


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a value of a type is or holds: of what may be null, a list's elements, the values of names."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := section_in(part)) is not None), None)
