"""Versions of items in time: a slowly changing dimension of type 2.

A version holds from the moment at which the source described the item so until its next version. A description without
a time counts as of 1970, before all that have one; of several the last in the files is the only one that stays, for
nothing tells when the others held.
"""

from datetime import UTC, datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.clean.verdicts import FORMER, KEPT, MERGED, ORIGIN
from tandemrec.lake.contracts import TABLES

UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
_CONTENT = ("title", "brand", "category", "price", "currency", "description")
_LAST_FIRST = ("file", "line", "part", "source")


def versions(judged: DataFrame) -> DataFrame:
    """The same rows with what they make of each other: kept is the current version of an item, former an earlier one,
    merged what adds no version, being of the same moment as another record or saying what the version before says.

    Adds valid_from, valid_to (null: until now) and, for each version, `confirmed`: the later records that said the
    same. These are remembered because a description that comes in late may fall between them.
    """
    is_good = F.col("verdict") == KEPT
    # Rejected rows have each a partition of their own, so that they are spread and change nothing.
    of_item = ["item_id", "alone"]
    rows = judged.withColumns(
        {
            "alone": F.when(~is_good, F.struct(*ORIGIN)),
            "valid_from": F.when(is_good, F.coalesce("updated_at", F.lit(UNDATED))),
            "content": _content(),
        }
    )
    in_time = Window.partitionBy(*of_item).orderBy("valid_from", *[F.col(name).desc() for name in _LAST_FIRST])
    so_far = in_time.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    # Of the records of one moment the last in the files counts.
    counts = ~F.col("valid_from").eqNullSafe(F.lag("valid_from").over(in_time))
    rows = rows.withColumn("counts", counts)
    before = in_time.rowsBetween(Window.unboundedPreceding, -1)
    said_before = F.last(F.when(F.col("counts"), F.col("content")), ignorenulls=True).over(before)
    rows = rows.withColumn("is_version", F.col("counts") & ~F.col("content").eqNullSafe(said_before))
    rows = rows.withColumn("number", F.count_if("is_version").over(so_far))
    next_version = F.lead("valid_from").over(Window.partitionBy(*of_item, "is_version").orderBy("valid_from"))
    again = F.when(F.col("counts") & ~F.col("is_version"), F.struct("updated_at", *ORIGIN))
    rows = rows.withColumns(
        {
            "valid_to": F.when(F.col("is_version"), next_version),
            "confirmed": F.array_sort(F.collect_list(again).over(Window.partitionBy(*of_item, "number"))),
        }
    )
    verdict = (
        F.when(~is_good, F.col("verdict"))
        .when(~F.col("is_version"), F.lit(MERGED))
        .when(F.col("valid_to").isNotNull(), F.lit(FORMER))
        .otherwise(F.lit(KEPT))
    )
    return rows.withColumn("verdict", verdict).drop("alone", "content", "counts", "is_version", "number")


def history(settled: DataFrame) -> DataFrame:
    """Rows of silver.items_history."""
    return settled.where(F.col("verdict").isin(KEPT, FORMER)).select(*TABLES["items_history"].column_names)


def records(versions: DataFrame) -> DataFrame:
    """Rows of silver.items_history as the judged records that they came from, to be settled together with new ones;
    `was` is the verdict that each had.
    """
    own = F.struct("updated_at", *ORIGIN)
    each = versions.select("*", F.posexplode(F.concat(F.array(own), "confirmed")).alias("place", "record"))
    current = F.when(F.col("valid_to").isNull(), F.lit(KEPT)).otherwise(F.lit(FORMER))
    as_judged = each.withColumns(
        {name: F.col(f"record.{name}") for name in ("updated_at", *ORIGIN)}
        | {"brand": F.col("given_brand"), "category": F.col("given_category")}
        | {"raw": F.lit(None).cast("string"), "verdict": F.lit(KEPT)}
        | {"was": F.when(F.col("place") > 0, F.lit(MERGED)).otherwise(current)}
    )
    return as_judged.select(*TABLES["items"].column_names, "part", "raw", "verdict", "was")


def as_of(versions: DataFrame, moment: datetime) -> DataFrame:
    """Items as they were described at a moment, with the columns of silver.items: of each item at most one row.

    Args:
        versions: silver.items_history.
        moment: with a time zone.

    Raises:
        ValueError: the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"found the moment {moment.isoformat()}, expected one with a time zone")
    held = (F.col("valid_from") <= moment) & (F.col("valid_to").isNull() | (F.col("valid_to") > moment))
    return versions.where(held).select(*TABLES["items"].column_names)


def _content() -> Column:
    """What makes a version: two records of equal content say the same."""
    attributes = F.array_sort(F.map_entries("attributes"))
    return F.md5(F.to_json(F.struct(*_CONTENT, attributes.alias("attributes"))))
