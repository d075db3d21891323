"""What a row may know: references to items and texts strictly before its moment, and never to its own review.

A range join of rows with all that came before would square with a busy user or a popular item. Instead, in two passes:

1. Over facts of one kind alone (positives, or reviews) a window of the last n rows collects an array at each fact:
   what is known from that fact on. Because the window sees one kind only, its n rows are n facts.
2. Rows and facts are laid on one time line for each user (or item), and each row takes the array of the last fact
   before it: a running `last` that skips nulls, so facts of several kinds share the line.

Both sort by user or item and hold n elements at a time, however many rows one of them has. Reviews of an item are few
beside the rows that refer to them, and one item may be in a tenth of all rows: these are spread over ITEM_LINES time
lines, each with all facts of the item, so that no task has them all.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.config import ExamplesSettings
from tandemrec.examples.log import TRAIN, moment

ITEM_LINES = 8
_END = "9999-12-31"  # the time of rows that have none: after everything


def last_known(facts: DataFrame, by: str, value: Column, count: int, name: str) -> DataFrame:
    """Rows (by, moment, name): from each fact on, `value` of the last `count` facts, oldest first.

    Args:
        facts: `by`, `moment` (unique within `by`) and what `value` reads.
    """
    recent = Window.partitionBy(by).orderBy("moment").rowsBetween(1 - count, Window.currentRow)
    return facts.select(by, "moment", F.collect_list(value).over(recent).alias(name))


def as_of(rows: DataFrame, facts: Sequence[DataFrame], by: str, now: Column, *, lines: int = 1) -> DataFrame:
    """Rows with the value of the last fact of each kind strictly before `now`; null where there is none.

    Args:
        facts: frames (by, moment, value) with one value column each, of names that rows lack.
        now: the moment of a row.
        lines: time lines of each user or item that its rows are spread over.
    """
    values = [fact.columns[-1] for fact in facts]
    line_of_row = F.pmod(F.xxhash64("user", "item"), F.lit(lines)).cast("int")
    line = rows.withColumns({"moment": now, "is_fact": F.lit(False), "line": line_of_row})
    every_line = F.explode(F.sequence(F.lit(0), F.lit(lines - 1)))
    for fact in facts:
        line = line.unionByName(
            fact.withColumns({"is_fact": F.lit(True), "line": every_line}), allowMissingColumns=True
        )
    before = Window.partitionBy(by, "line").orderBy("moment", "is_fact").rowsBetween(Window.unboundedPreceding, 0)
    filled = line.withColumns({value: F.last(value, ignorenulls=True).over(before) for value in values})
    return filled.where(~F.col("is_fact")).drop("moment", "is_fact", "line")


def add_references(
    rows: DataFrame, positives: DataFrame, reviews: DataFrame, settings: ExamplesSettings, *, timeless: bool
) -> DataFrame:
    """Rows with history, user_reviews and item_reviews as of their moment.

    An interaction knows what stands before it in the declared order; an exposure what happened strictly before its
    time; both know an item's reviews of strictly before their time only. A pair's own review is left out always.

    With `timeless` (random splits, data without times) all rows know all that train holds, the newest of it; a row of
    train does not find its own item in the history.

    Args:
        rows: kind, user, item, pair, event_time, split and whatever else; kept as they are.
        positives: rows (user, item, moment) and, where `timeless`, split.
        reviews: rows (user, item, pair, event_time, text, split), one a pair.
    """
    reviews = reviews.withColumn("moment", moment("event_time", "pair"))
    if timeless:
        positives = positives.where(F.col("split") == TRAIN)
        reviews = reviews.where(F.col("split") == TRAIN)
    time = F.lit(_END).cast("timestamp") if timeless else F.col("event_time")
    at_once = moment(time, F.lit(""))  # before everything of the same time
    in_order = moment(time, F.when(F.col("kind") == "interaction", F.col("pair")).otherwise(""))
    # One more than asked for: the row's own may be among them.
    history = last_known(positives, "user", F.col("item"), settings.history_length + 1, "history")
    by_user = last_known(reviews, "user", F.struct("item", "text"), settings.user_reviews + 1, "user_reviews")
    by_item = last_known(reviews, "item", F.struct("user", "text"), settings.item_reviews + 1, "item_reviews")
    rows = as_of(rows, [by_item], "item", at_once, lines=ITEM_LINES)
    rows = as_of(rows, [history, by_user], "user", in_order)
    own_history = F.filter("history", lambda item: (item != F.col("item")) | (F.col("split") != TRAIN))
    of_others = {
        name: _texts_of_others(name, other) for name, other in (("user_reviews", "item"), ("item_reviews", "user"))
    }
    return rows.withColumns(
        {
            "history": newest(own_history if timeless else F.col("history"), settings.history_length),
            "user_reviews": newest(of_others["user_reviews"], settings.user_reviews),
            "item_reviews": newest(of_others["item_reviews"], settings.item_reviews),
        }
    )


def newest(values: Column, count: int) -> Column:
    """The last `count` of an array of integers; an empty one for null."""
    values = F.coalesce(values, no_items())
    return F.slice(values, F.greatest(F.size(values) - count, F.lit(0)) + 1, count)


def no_items() -> Column:
    return F.array().cast("array<int>")


def _texts_of_others(name: str, other: str) -> Column:
    """Texts of the structs (other, text) whose `other` is not the row's."""
    kept = F.filter(name, lambda review: review[other] != F.col(other))
    return F.transform(kept, lambda review: review["text"])
