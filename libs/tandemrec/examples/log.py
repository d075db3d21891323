"""Everything that happened, in integers: events and reviews in one log, of which the other modules take their part."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.config.sources import SPLITS

TRAIN, VALID, TEST = range(len(SPLITS))

REVIEW = "review"


def build_log(
    events: DataFrame, reviews: DataFrame, users: DataFrame, items: DataFrame, texts: DataFrame, *, given: bool
) -> DataFrame:
    """Events and reviews as rows of one shape.

    Args:
        events, reviews: silver.
        users, items, texts: the vocabularies.
        given: the sources say which split a row belongs to; a row that says nothing is of train.

    Returns:
        user, item, text: indices, text 0 for events; pair: md5 of "user_id|item_id"; event_type: a review's is
        `review`; event_time; value: stars; given: number of the split or null; review_id: empty for events; aspects:
        entries (key, value) by key, null where none came with it.
    """
    written = (
        reviews.drop("text")
        .join(texts, "text_hash")
        .withColumn("event_type", F.lit(REVIEW))
        .withColumnsRenamed({"review_time": "event_time", "rating": "value", "text_index": "text"})
    )
    nothing = {"text": F.lit(0), "review_id": F.lit("")}
    if "aspects" not in events.columns:  # a version of the past
        nothing["aspects"] = F.lit(None).cast("map<string,double>")
    done = events.withColumns(nothing)
    shape = ["user_id", "item_id", "event_type", "event_time", "value", "split", "text", "review_id", "aspects"]
    rows = done.select(shape).unionByName(written.select(shape))
    split = F.coalesce("split", F.lit(SPLITS[TRAIN])) if given else F.lit(None).cast("string")
    return (
        rows.join(users, "user_id")
        .join(items, "item_id")
        .select(
            F.col("user_index").alias("user"),
            F.col("item_index").alias("item"),
            F.md5(F.concat_ws("|", "user_id", "item_id")).alias("pair"),
            "event_type",
            "event_time",
            "value",
            position(SPLITS, split).alias("given"),
            "text",
            "review_id",
            F.array_sort(F.map_entries("aspects")).alias("aspects"),
        )
    )


def position(names: tuple[str, ...], value: Column) -> Column:
    """Place of a value among names, from 0; -1 for another one, null for null."""
    return (F.array_position(F.array(*map(F.lit, names)), value) - 1).cast("int")


def moment(time: str | Column, pair: str | Column) -> Column:
    """A place in the declared order: time, then md5 of "user_id|item_id".

    Source order is no tie-break: files are often sorted by item, and a sequence model then learns the file.
    """
    time = F.col(time) if isinstance(time, str) else time
    pair = F.col(pair) if isinstance(pair, str) else pair
    return F.struct(time.alias("time"), pair.alias("pair"))
