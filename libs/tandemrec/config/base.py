"""What every section of the settings shares: unknown keys are errors, values do not change after they are checked."""

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


def section_in(annotation: Any) -> type[Section] | None:
    """The section that a value of a type is or holds: of what may be null, a list's elements, the values of names."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next((found for part in get_args(annotation) if (found := section_in(part)) is not None), None)
