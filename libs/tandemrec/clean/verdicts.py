"""Judge rows by named rules and merge those of one key: each row is kept, former, merged or rejected for one reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.config.sources import Source
from tandemrec.lake.contracts import TABLES
from tandemrec.lake.contracts.model import ORIGIN_COLUMNS

KEPT, MERGED = "kept", "merged"
FORMER = "former"  # a good record that a later one of the same item supersedes: it stays readable in the history
REPEATED = "repeated"  # merged into the event that it repeats, which counts it
ACCEPTED = (KEPT, FORMER, MERGED, REPEATED)  # every other verdict is the reason of a rejection
ORIGIN = ORIGIN_COLUMNS
UNMAPPED = {"event_type_unknown": ("event_type", "event_types"), "relation_unknown": ("relation", "relations")}
"""Reasons that a mapping of the source would lift: the column it is of, and the setting of the source."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a good row satisfies. `holds` that is null counts as broken: an unknown is not a pass."""

    name: str
    holds: Column


def judge(rows: DataFrame, rules: Sequence[Rule]) -> DataFrame:
    """Add `verdict`: the name of the first broken rule, or kept. Neither drops nor adds a row.

    `raw` leaves the good rows: only a rejected row is kept as it came.
    """
    broken = [F.when(~F.coalesce(rule.holds, F.lit(False)), F.lit(rule.name)) for rule in rules]
    judged = rows.withColumn("verdict", F.coalesce(*broken, F.lit(KEPT)))
    return judged.withColumn("raw", F.when(F.col("verdict") != KEPT, F.col("raw")))


def merge_duplicates(
    judged: DataFrame, key: Sequence[str], order: Sequence[Column], *, verdict: str = MERGED
) -> DataFrame:
    """Of the kept rows of one key only the first in `order` stays kept, the others get the verdict.

    Rejected rows have each a key of their own, so that they are spread over the partitions and change nothing.
    """
    alone = F.when(F.col("verdict") != KEPT, F.struct(*ORIGIN))
    window = Window.partitionBy(*key, alone).orderBy(*order)
    later = (F.col("verdict") == KEPT) & (F.row_number().over(window) > 1)
    return judged.withColumn("verdict", F.when(later, F.lit(verdict)).otherwise(F.col("verdict")))


def kept(judged: DataFrame, table: str) -> DataFrame:
    """The rows of the silver table."""
    return judged.where(F.col("verdict") == KEPT).select(*TABLES[table].column_names)


def quarantined(judged: DataFrame, table: str) -> DataFrame:
    """The rejected rows as rows of the table quarantine."""
    rejected = judged.where(~F.col("verdict").isin(*ACCEPTED))
    return rejected.select(F.lit(table).alias("table_name"), *ORIGIN, F.col("verdict").alias("reason"), "raw")


def unmapped(judged: DataFrame, reason: str, *, most: int = 3) -> DataFrame:
    """The values that new rows are rejected for most often, by source: `source`, `value` and `rows`.

    Args:
        judged: rows with `was`.
        reason: one of UNMAPPED.
        most: how many values.
    """
    value = F.substring(UNMAPPED[reason][0], 1, 40).alias("value")
    rows = judged.where(F.col("was").isNull() & (F.col("verdict") == reason)).select("source", value)
    counts = rows.where("value IS NOT NULL").groupBy("source", "value").agg(F.count("*").alias("rows"))
    return counts.orderBy(F.desc("rows"), "source", "value").limit(most)


def time_rules(time: str, has_time: Column, now: Column, earliest: Column) -> list[Rule]:
    """The rules of a time column; a source that has no time is not asked for a plausible one."""
    return [
        Rule(name="time_unreadable", holds=F.col(time).isNotNull()),
        Rule(name="time_in_future", holds=F.col(time) <= now),
        Rule(name="time_too_early", holds=~has_time | (F.col(time) >= earliest)),
    ]


def where_given(given: Column, rules: Sequence[Rule]) -> list[Rule]:
    """The same rules, of which a row that lacks the value breaks none."""
    return [Rule(name=rule.name, holds=given.isNull() | rule.holds) for rule in rules]


def in_sources(sources: Sequence[Source]) -> Column:
    """Whether a row is of one of these sources."""
    return F.col("source").isin([source.name for source in sources])
