"""Rows of tabular data: bronze lines into judged rows, each a map from the column's name to what stands in the cell."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.events import known_split
from tandemrec.clean.parse import partition
from tandemrec.clean.texts import trimmed
from tandemrec.clean.verdicts import Rule, judge
from tandemrec.config.sources import Source
from tandemrec.config.tabular import TabularSettings
from tandemrec.lake.contracts import TABLES

_CELLS = "map<string,string>"


def judge_rows(rows: DataFrame, sources: Sequence[Source], tabular: TabularSettings) -> DataFrame:
    """Columns of silver.rows, raw and verdict: one row for each of the bronze rows, each judged by itself.

    Args:
        rows: of rows_raw, of these sources at least.
    """
    cells = reduce(DataFrame.unionByName, [_convert(rows, source, tabular) for source in sources])
    unreadable = [F.col("cells")[name].isNotNull() & ~_is_number(F.col("cells")[name]) for name in tabular.numbers]
    rules = [
        Rule(name="broken_record", holds=F.col("cells").isNotNull()),
        Rule(name="number_unreadable", holds=~reduce(Column.__or__, unreadable, F.lit(False))),
    ]
    if tabular.weight is not None:
        weight = F.col("cells")[tabular.weight]
        rules.append(Rule(name="weight_not_positive", holds=weight.isNull() | (weight.try_cast("double") > 0)))
    return judge(cells, rules).select(*TABLES["rows"].column_names, "raw", "verdict")


def columns_of(rows: DataFrame) -> list[str]:
    """The columns of the first line that is whole: all files of a source have the same."""
    first = rows.select(F.json_object_keys("raw").alias("names")).where("names IS NOT NULL").first()
    return [] if first is None else list(first["names"])


def _convert(rows: DataFrame, source: Source, tabular: TabularSettings) -> DataFrame:
    read = F.transform_values(F.from_json("raw", _CELLS), lambda _, cell: trimmed(cell))
    cells = F.map_filter(read, lambda _, cell: cell.isNotNull() & ~cell.isin(*tabular.missing))
    if (name := source.columns.get("split")) is None:
        own = F.lit(source.constants.get("split"))
    else:
        own = partition(name) if name in source.partitions else F.col("cells")[name]
    return (
        rows.where(F.col("source") == source.name)
        .select("source", "file", "line", F.lit(0).alias("part"), "raw", cells.alias("cells"))
        .withColumn("split", known_split(own))
    )


def _is_number(text: Column) -> Column:
    number = text.try_cast("double")
    return number.isNotNull() & ~F.isnan(number) & (F.abs(number) < float("inf"))
