"""What a table must be like after the stage that writes it: expectations as data."""

from typing import Literal

from pydantic import Field, model_validator

from tandemrec.config.base import Section


class Expectation(Section):
    """One thing that holds for a table, and what happens where it does not.

    rows: there are min to max of them. null_share: of a column, between min and max (0 to 1). range: every value of
    a column lies between min and max. freshness: the newest time of a column is at most max hours before clean.now
    (of a stage that is up to date it is judged anew). reference: at least min (default 1) of the values of a
    column, as a share, are among those of `of`. unique: no value of a column comes twice. Nulls count in null_share
    only.
    """

    table: str = Field(description="one that a stage of Spark writes")
    check: Literal["rows", "null_share", "range", "freshness", "reference", "unique"] = Field(
        description="what is measured, see above"
    )
    column: str | None = Field(default=None, description="of the table; for all checks but rows")
    min: float | None = Field(default=None, description="the least that is allowed; null: no bound (of reference: 1)")
    max: float | None = Field(default=None, description="the most that is allowed; null: no bound")
    of: str | None = Field(default=None, pattern=r"^\w+\.\w+$", description="reference only: TABLE.COLUMN")
    on_fail: Literal["fail", "warn"] = Field(
        default="fail", description="fail: the stage fails, and stages that read the table wait; warn: a line says so"
    )
    name: str = Field(default="", description="the metric's name in gold.metrics; default: the check and the column")

    @property
    def metric(self) -> str:
        return self.name or " ".join(filter(None, [self.check, self.column]))

    @property
    def bounds(self) -> tuple[float | None, float | None]:
        """Between what the measured figure must lie: of range and unique it is the number of rows that break it."""
        if self.check in ("range", "unique"):
            return None, 0.0
        if self.check == "reference" and self.min is None:
            return 1.0, self.max
        return self.min, self.max

    @model_validator(mode="after")
    def _check_has_what_it_needs(self) -> "Expectation":
        where = f"{self.check} of {self.table}"
        if (self.check == "rows") != (self.column is None):
            raise ValueError(f"{where}: column is {self.column!r}, expected one, of every check but rows")
        if (self.check == "reference") != (self.of is not None):
            raise ValueError(f"{where}: of is {self.of!r}, expected TABLE.COLUMN, of reference only")
        if self.check == "unique" and (self.min, self.max) != (None, None):
            raise ValueError(f"{where}: expected neither min nor max")
        if self.check in ("rows", "null_share", "range") and self.min is None and self.max is None:
            raise ValueError(f"{where}: expected min, max or both")
        if self.check == "freshness" and self.max is None:
            raise ValueError(f"{where}: expected max, in hours")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"{where}: min is {self.min:g}, expected at most max, which is {self.max:g}")
        if self.check in ("null_share", "reference") and any(
            not 0 <= b <= 1 for b in (self.min, self.max) if b is not None
        ):
            raise ValueError(f"{where}: min is {self.min} and max {self.max}, expected shares from 0 to 1")
        return self
