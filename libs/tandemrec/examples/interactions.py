"""Rows of kind interaction: next item and rating, by the moment at which they happened."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tandemrec.examples.contacts import targets
from tandemrec.examples.log import REVIEW

_EVENT = ["user", "item", "pair", "event_time", "event_type"]


def interactions(log: DataFrame, contacts: DataFrame) -> DataFrame:
    """One row for each first target contact, and one for each rating, and each event with aspects, that is none.

    Returns:
        kind, user, item, pair, event_time, event_type, given, next_item (null for what is no first contact), rating
        (null where no stars were given).
    """
    predicted = targets(contacts).select(
        *_EVENT, "given", F.col("item").alias("next_item"), F.lit(None).cast("double").alias("rating")
    )
    counted = log.where((F.col("event_type") != REVIEW) & (F.size("aspects") > 0))
    told = ratings(log).unionByName(counted.select(*_EVENT, "given", F.lit(None).cast("double").alias("rating")))
    return (
        predicted.unionByName(told.withColumn("next_item", F.lit(None).cast("int")))
        .groupBy(_EVENT)
        .agg(F.min("given").alias("given"), F.max("next_item").alias("next_item"), F.max("rating").alias("rating"))
        .withColumn("kind", F.lit("interaction"))
    )


def with_aspects(rows: DataFrame, log: DataFrame) -> DataFrame:
    """Rows of `interactions` with the `aspects` of the event, or the review, of that moment; null where none came."""
    rated = log.where(F.size("aspects") > 0)
    return rows.join(rated.groupBy(_EVENT).agg(F.max("aspects").alias("aspects")), _EVENT, "left")


def ratings(log: DataFrame) -> DataFrame:
    """Every rating once: the rating events; of pairs that have none, the stars of their reviews.

    A shop that logs a rating and a review tells the same stars twice, seconds apart.
    """
    rated = log.where("value IS NOT NULL").select(*_EVENT, "given", F.col("value").alias("rating"))
    events = rated.where(F.col("event_type") == "rating")
    reviews = rated.where(F.col("event_type") == REVIEW)
    return events.unionByName(reviews.join(events, ["user", "item"], "left_anti"))
