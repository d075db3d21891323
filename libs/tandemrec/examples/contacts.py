"""First contacts of user and item: what histories, candidates and next item rest on."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tandemrec.config import ExamplesSettings
from tandemrec.examples.log import REVIEW, moment, position


def first_contacts(log: DataFrame, settings: ExamplesSettings, event_types: Sequence[str]) -> DataFrame:
    """One row a pair of user and item that has a positive.

    Of contacts at the same time the split's order decides (given splits only), then that of the event types, a review
    last: a rating and the review written with it count as the rating.

    Args:
        event_types: in their order, reviews left out.

    Returns:
        user, item, pair; first: the first positive, target: the first of a target type or null, each a struct
        (event_time, given, order, event_type).
    """
    contact = F.struct(
        "event_time", "given", position((*event_types, REVIEW), F.col("event_type")).alias("order"), "event_type"
    )
    is_target = F.col("event_type").isin(settings.targets or settings.positives)
    return (
        log.where(F.col("event_type").isin(settings.positives))
        .groupBy("user", "item", "pair")
        .agg(F.min(contact).alias("first"), F.min(F.when(is_target, contact)).alias("target"))
    )


def positives(contacts: DataFrame) -> DataFrame:
    """Rows (user, item, pair, event_time, moment, given): what a history may hold."""
    time = "first.event_time"
    return contacts.select("user", "item", "pair", time, moment(time, "pair").alias("moment"), "first.given")


def targets(contacts: DataFrame) -> DataFrame:
    """Rows (user, item, pair, event_time, event_type, given): what next item predicts, once a pair."""
    return contacts.where("target IS NOT NULL").select(
        "user", "item", "pair", "target.event_time", "target.event_type", "target.given"
    )


def owned(contacts: DataFrame) -> DataFrame:
    """Rows (user, owned): every target contact of the user in the declared order, as structs (moment, given, item).

    Only target types count: where next item predicts purchases, what was clicked and not bought stays a candidate,
    as in the published splits of such data, which exclude training purchases only.
    """
    contact = F.struct(moment("event_time", "pair").alias("moment"), "given", "item")
    return targets(contacts).groupBy("user").agg(F.array_sort(F.collect_list(contact)).alias("owned"))


def reviews_of(log: DataFrame) -> DataFrame:
    return log.where(F.col("event_type") == REVIEW)


def first_reviews(reviews: DataFrame) -> DataFrame:
    """One row a pair that has a review: its first.

    References point to a pair's first review only. So a row's own review can be left out of the last R by reading
    R + 1, and nobody fills an item's references by writing ten times.
    """
    others = [name for name in reviews.columns if name not in ("user", "item", "pair", "event_time", "review_id")]
    first = F.min(F.struct("event_time", "review_id", *others)).alias("first")
    return reviews.groupBy("user", "item", "pair").agg(first).select("user", "item", "pair", "first.*")
