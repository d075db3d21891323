"""Expectations of tables, measured: all that a stage's tables are asked for in one Spark job.

The gate around it, that fails the stage, warns and records, is in pipeline.gate.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec.config.quality import Expectation
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.lake.spark import read

_WHOLE = ("tinyint", "int", "bigint")
_NUMERIC = ("int", "bigint", "tinyint", "float", "double", "decimal")
_TIMES = ("timestamp", "date")
_TYPES: Mapping[str, tuple[str, ...]] = {"range": _NUMERIC, "freshness": _TIMES}

WORDS = {
    "rows": "rows",
    "null_share": "share of nulls",
    "range": "rows out of range",
    "freshness": "hours since the newest",
    "reference": "share of known values",
    "unique": "rows that repeat a value",
}


@dataclass(frozen=True, kw_only=True)
class Judged:
    """An expectation and what was found. `value` is None where there was nothing to measure it on."""

    expectation: Expectation
    rows: int
    value: float | None

    @property
    def holds(self) -> bool:
        """Without rows everything holds but freshness, and a number of rows."""
        if self.value is None:
            return self.expectation.check != "freshness"
        low, high = self.expectation.bounds
        return (low is None or self.value >= low) and (high is None or self.value <= high)

    @property
    def expected(self) -> str:
        """For instance `at most 0.2`, `1 to 5`, `0 outside 1 to 5`."""
        asked = self.expectation
        if asked.check == "range":
            return f"0 outside {_between(asked.min, asked.max)}"
        if asked.check == "reference":
            return f"{_between(*asked.bounds)} in {asked.of}"
        return "0" if asked.check == "unique" else _between(*asked.bounds)

    @property
    def found(self) -> str:
        return "no value" if self.value is None else _number(self.value)

    @property
    def sentence(self) -> str:
        """Table, column, what was measured, found and expected, in one line."""
        asked = self.expectation
        where = f"{asked.table}.{asked.column}" if asked.column else asked.table
        return f"{where}: {WORDS[asked.check]} is {self.found}, expected {self.expected}"


def refuse_unknown(expectations: Sequence[Expectation], lake: Lake) -> None:
    """Raise a ConfigError for a column that a contract lacks, or has in a type that the check does not fit."""
    for asked in expectations:
        found = _column(lake, asked.table, asked.column, _TYPES.get(asked.check))
        if asked.check in ("unique", "reference") and found.startswith("map<"):
            raise ConfigError(f"quality: {asked.table}.{asked.column} is of type {found}, which Spark compares not")
        if asked.of is not None:
            table, column = asked.of.split(".")
            other = _column(lake, table, column, None)
            if found != other and not {found, other} <= {*_WHOLE}:
                raise ConfigError(
                    f"quality: {asked.table}.{asked.column} is of type {found} and {asked.of} of type {other}, "
                    "expected one type"
                )


def judge(spark: SparkSession, lake: Lake, expectations: Sequence[Expectation], *, now: datetime) -> list[Judged]:
    """Measure all expectations, in one pass over each table and one job for all of them.

    Args:
        now: the moment from which freshness is counted.
    """
    by_table: dict[str, list[Expectation]] = {}
    for asked in expectations:
        by_table.setdefault(asked.table, []).append(asked)
    if not by_table:
        return []
    measured = reduce(DataFrame.union, [_measure(spark, lake, name, own, now) for name, own in by_table.items()])
    found = {row["table"]: row for row in measured.collect()}  # a row a table
    return [
        Judged(expectation=asked, rows=found[name]["rows"], value=value)
        for name, own in by_table.items()
        for asked, value in zip(own, found[name]["values"], strict=True)
    ]


def _measure(
    spark: SparkSession, lake: Lake, table: str, expectations: Sequence[Expectation], now: datetime
) -> DataFrame:
    """One row: table, rows, and the value of each expectation."""
    rows = read(spark, lake, table)
    values = []
    for number, asked in enumerate(expectations):
        found = f"found_{number}"
        if asked.of is not None:
            other, column = asked.of.split(".")
            known = (
                read(spark, lake, other).select(F.col(column).alias(found)).where(F.col(found).isNotNull()).distinct()
            )
            rows = rows.join(known, rows[str(asked.column)] == known[found], "left")  # distinct: no row comes twice
        values.append(_VALUES[asked.check](asked, F.col(asked.column or "*"), found, now).cast("double"))
    return rows.agg(F.count("*").alias("rows"), F.array(*values).alias("values")).select(
        F.lit(table).alias("table"), "rows", "values"
    )


def _out_of_range(asked: Expectation, column: Column, found: str, now: datetime) -> Column:
    outside = F.isnan(column.cast("double"))
    if asked.min is not None:
        outside |= column < asked.min
    if asked.max is not None:
        outside |= column > asked.max
    return F.count_if(outside)


def _age(asked: Expectation, column: Column, found: str, now: datetime) -> Column:
    newest = F.unix_micros(F.max(column.cast("timestamp")))
    return (F.lit(now.timestamp()) - newest / 1e6) / 3600


_VALUES: Mapping[str, Callable[[Expectation, Column, str, datetime], Column]] = {
    "rows": lambda asked, column, found, now: F.count("*"),
    "null_share": lambda asked, column, found, now: F.try_divide(F.count_if(column.isNull()), F.count("*")),
    "range": _out_of_range,
    "freshness": _age,
    "reference": lambda asked, column, found, now: F.try_divide(F.count(found), F.count(column)),
    "unique": lambda asked, column, found, now: F.count(column) - F.count_distinct(column),
}


def _column(lake: Lake, table: str, column: str | None, types: tuple[str, ...] | None) -> str:
    """The type of a column, an empty text where the check asks for none."""
    contract = lake.table(table)
    if column is None:
        return ""
    if column not in contract.column_names:
        raise ConfigError(f"quality: table {table} has no column {column!r}, expected one of {contract.column_names}")
    found = next(c.type for c in contract.columns if c.name == column)
    if types is not None and found.partition("(")[0] not in types:
        raise ConfigError(f"quality: {table}.{column} is of type {found}, expected one of {', '.join(types)}")
    return found


def _between(low: Any, high: Any) -> str:
    if low is None or high is None:
        return f"at most {_number(high)}" if low is None else f"at least {_number(low)}"
    return _number(low) if low == high else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.4g}"
