"""Rows of kind exposure where no log tells what was shown: positives against items drawn at random."""

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

_DRAWS = 4  # for each negative asked for: what the user had, or was drawn before, falls away
_SPARE = 16


def against_random(log: DataFrame, labels: Sequence[str], items: int, negatives: int, seed: int) -> DataFrame:
    """The first event of each pair and label, with label 1, and `negatives` rows of other items with label 0.

    Items are drawn uniformly from the catalogue by a hash of seed and pair; one that the user ever had anything to do
    with, in whichever split, is no negative. Users who know nearly the whole catalogue get fewer.

    Args:
        labels: event types, which are the labels' names too.
        items: size of the catalogue; indices run from 1.

    Returns:
        kind, user, item, pair, event_time, event_type, given, key and the labels; `pair`, `key` of a negative name the
        positive it stands against.
    """
    first = F.min(F.struct("event_time", "given")).alias("first")
    positives = (
        log.where(F.col("event_type").isin(list(labels)))
        .groupBy("user", "item", "pair", "event_type")
        .agg(first)
        .select("user", "item", "pair", "event_type", "first.*")
    )
    had = log.groupBy("user").agg(F.collect_set("item").alias("had"))
    draws = F.transform(
        F.sequence(F.lit(1), F.lit(_DRAWS * negatives + _SPARE)),
        lambda draw: (F.pmod(F.xxhash64(F.lit(seed), "pair", "event_type", draw), F.lit(items)) + 1).cast("int"),
    )
    others = F.slice(F.array_except(draws, "had"), 1, negatives)
    drawn = positives.join(had, "user").withColumn("drawn", F.explode(F.concat(F.array("item"), others)))
    label = (F.col("drawn") == F.col("item")).cast("double")
    return drawn.select(
        F.lit("exposure").alias("kind"),
        "user",
        F.col("drawn").alias("item"),
        *("pair", "event_time", "event_type", "given"),
        F.col("pair").alias("key"),
        *(F.when(F.col("event_type") == name, label).alias(name) for name in labels),
    )
