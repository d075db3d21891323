"""Rows of kind exposure: a user was shown an item. Did a click follow, did a purchase?"""

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

VIEW = "view"


def exposures(log: DataFrame, hours: Mapping[str, float]) -> DataFrame:
    """One row a view, labelled by what followed.

    A click belongs to the latest view of the pair at or before it, and counts where it came within its hours; so one
    click labels one view. Purchases likewise. The window runs backwards in time: the last click it has met is then the
    next one after the view, and every frame grows by one row at a time.

    Args:
        hours: by event type (which is the label's name too), how long after the view it counts.

    Returns:
        kind, user, item, pair, event_time, event_type, given; for each label its value 0 or 1 and `LABEL_by`: the
        struct (event_time, given) of the event that made it 1, else null.
    """
    is_view = F.col("event_type") == VIEW
    backwards = Window.partitionBy("user", "item").orderBy(F.desc("event_time"), is_view)
    so_far = backwards.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    next_view = F.last(F.when(is_view, F.col("event_time")), ignorenulls=True).over(
        backwards.rowsBetween(Window.unboundedPreceding, -1)
    )
    rows = log.where(F.col("event_type").isin(VIEW, *hours)).withColumn("next_view", next_view)
    for label in hours:
        event = F.when(F.col("event_type") == label, F.struct("event_time", "given"))
        rows = rows.withColumn(f"{label}_by", F.last(event, ignorenulls=True).over(so_far))
    rows = rows.where(is_view)
    for label, limit in hours.items():
        by = F.col(f"{label}_by.event_time")
        in_time = F.unix_micros(by) - F.unix_micros("event_time") <= int(limit * 3600e6)
        hit = F.coalesce(in_time & (F.col("next_view").isNull() | (by < F.col("next_view"))), F.lit(False))
        rows = rows.withColumn(label, hit.cast("double"))
        rows = rows.withColumn(f"{label}_by", F.when(hit, F.col(f"{label}_by")))
    return rows.select(
        F.lit("exposure").alias("kind"),
        *("user", "item", "pair", "event_time", "event_type", "given"),
        *(name for label in hours for name in (label, f"{label}_by")),
    )
