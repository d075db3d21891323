"""Times that no format of a source reads, as examples of how they are written: for whoever is to name their pattern."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.parse import parse
from tandemrec.clean.verdicts import ORIGIN
from tandemrec.config.sources import Source

UNREAD = "time_unreadable"
TIMES = {"events": "event_time", "items": "updated_at", "reviews": "review_time", "relations": "since"}


def unread_times(judged: DataFrame, source: Source, *, most: int = 3) -> DataFrame:
    """How the times of a source are written that new rows are rejected for, most often first: an example, `value`, and
    `rows` that differ from it in digits only. Rows without a time are not told of.

    Args:
        judged: rows with `was` and, where they are rejected, `raw`.
        most: how many ways to write.
    """
    rows = judged.where(F.col("was").isNull() & (F.col("verdict") == UNREAD) & (F.col("source") == source.name))
    records = parse(rows.select("source", "file", "line", "raw").distinct(), source)
    if source.explode:  # the line has other records, which may be good
        records = records.join(rows.select(*ORIGIN), list(ORIGIN), "left_semi")
    value = F.substring(TIMES[source.table], 1, 40).alias("value")
    written = records.select(value).where("trim(value) != ''").groupBy(_without_digits(F.col("value")))
    counts = written.agg(F.min("value").alias("value"), F.count("*").alias("rows"))
    return counts.select("value", "rows").orderBy(F.desc("rows"), "value").limit(most)


def _without_digits(text: Column) -> Column:
    return F.regexp_replace(text, r"\d", "0")
