"""Settings of tabular data: what its columns are, and which of them become labels."""

from typing import Annotated

from pydantic import Field, model_validator

from tandemrec.config.base import Cell, Section

LabelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class Label(Section):
    """A label from a column: whether it holds a value (1 or 0), which of several, or else the number that it holds."""

    column: str = Field(description="its name in the files")
    equals: Cell | None = Field(default=None, description="the value that makes it 1; null: the number in the cell")
    classes: bool = Field(
        default=False, description="each value is a class of its own, numbered: for tasks of kind multiclass"
    )

    @model_validator(mode="after")
    def _one_way(self) -> "Label":
        if self.classes and self.equals is not None:
            raise ValueError(f"equals is {self.equals!r} and classes true, expected one of the two only")
        return self


class TabularSettings(Section):
    """The columns of tabular sources, by their names in the files. Columns that are not named here are not read."""

    categorical: list[str] = Field(default_factory=list, description="columns that are read as one value of several")
    numeric: list[str] = Field(default_factory=list, description="columns that are read as numbers")
    labels: dict[LabelName, Label] = Field(min_length=1, description="for tasks to name")
    weight: str | None = Field(
        default=None, description="column: how much a row's losses count; figures count all alike"
    )
    missing: list[Cell] = Field(
        default=["?", "NA", "NaN", "nan", "null"], description="what stands in cells without a value, beside nothing"
    )
    min_rows: int = Field(
        default=1, ge=1, description="training rows that a value of a category needs; rarer ones are unknown"
    )

    @property
    def numbers(self) -> list[str]:
        """Columns that have to hold numbers."""
        told = [label.column for label in self.labels.values() if label.equals is None and not label.classes]
        return list(dict.fromkeys([*self.numeric, *told, *([self.weight] if self.weight else [])]))

    @property
    def columns(self) -> dict[str, str]:
        """Every column, and the key that names it."""
        names = {label.column: f"labels.{name}" for name, label in self.labels.items()}
        names |= {self.weight: "weight"} if self.weight else {}
        return names | dict.fromkeys(self.numeric, "numeric") | dict.fromkeys(self.categorical, "categorical")

    @model_validator(mode="after")
    def _columns_fit(self) -> "TabularSettings":
        features = [*self.categorical, *self.numeric]
        if not features:
            raise ValueError("categorical and numeric are empty, expected a column")
        if twice := sorted({name for name in features if features.count(name) > 1}):
            raise ValueError(f"column {twice[0]!r} is named twice, expected once, in categorical or in numeric")
        for name, label in self.labels.items():
            if label.column in features:
                raise ValueError(f"labels.{name} is of column {label.column!r}, which is read too: the answer is given")
        return self
