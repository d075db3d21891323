"""Two sets of rows of one table, told apart row by row and column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.lake.contracts import Table
from tandemrec.lake.spark import conform

KEYS_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Differences:
    """Of a table: rows that are the same in both, rows of one of them only, and differing rows by column.

    `keys` are of a few rows that are not the same, in their order.
    """

    same: int
    found_only: int
    expected_only: int
    by_column: Mapping[str, int]
    keys: Sequence[Mapping[str, Any]]

    @property
    def none(self) -> bool:
        return not (self.found_only or self.expected_only or self.by_column)


def differences(found: DataFrame, expected: DataFrame, contract: Table) -> Differences:
    """Compare rows with the columns of a contract by its key. Nulls equal nulls, and NaN equals NaN."""
    sides = [
        conform(rows, contract).select(F.struct("*").alias(name)) for name, rows in (("f", found), ("e", expected))
    ]
    same_key = [F.col(f"f.{key}") == F.col(f"e.{key}") for key in contract.key]
    pairs = sides[0].join(sides[1], same_key, "full_outer")
    both = F.col("f").isNotNull() & F.col("e").isNotNull()
    differs = {
        column.name: both & ~_value(f"f.{column.name}", column.type).eqNullSafe(_value(f"e.{column.name}", column.type))
        for column in contract.columns
        if column.name not in contract.key
    }
    apart = pairs.select(
        F.coalesce("f", "e").alias("row"),
        F.col("e").isNull().alias("found only"),
        F.col("f").isNull().alias("expected only"),
        *(flag.alias(f"differs {name}") for name, flag in differs.items()),
    )
    flags = [name for name in apart.columns if name != "row"]
    counts = apart.agg(
        F.count("*").alias("all"), *(F.count_if(F.col(f"`{name}`")).alias(name) for name in flags)
    ).first()
    assert counts is not None  # an aggregate without groups has one row
    told = {name: counts[name] for name in flags if counts[name]}
    unlike = F.greatest(F.lit(False), F.lit(False), *(F.col(f"`{name}`") for name in flags))
    key = [F.col(f"row.{column}") for column in contract.key]
    shown = apart.where(unlike).select(key).orderBy(*contract.key).limit(KEYS_SHOWN).collect() if told else []
    same = apart.where(~unlike).count() if told else counts["all"]
    return Differences(
        same=same,
        found_only=told.pop("found only", 0),
        expected_only=told.pop("expected only", 0),
        by_column={name.removeprefix("differs "): count for name, count in told.items()},
        keys=[row.asDict() for row in shown],
    )


def _value(path: str, type_: str) -> Column:
    """Spark compares no maps; as JSON it does."""
    return F.to_json(path) if type_.startswith("map<") else F.col(path)
