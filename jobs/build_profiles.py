"""Reviews into what their writers are interested in: terms of texts, which models read, and a profile of each user.

What models read rests on reviews of the training split alone: which words and phrases are terms is learned there.
A profile rests on the reviews before its moment, and on no other: which of them are terms, too.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec import console, interest
from tandemrec.config import Settings
from tandemrec.lake import Lake, runs
from tandemrec.lake.runs import Figures
from tandemrec.lake.spark import read, replace
from tandemrec.lake.types import ddl
from tandemrec.pipeline import stage_main

_READ = ("review_id", "user_id", "review_time", "rating", "language", "text_hash", "clean_text", "tokens")


def run(spark: SparkSession, settings: Settings) -> Figures:
    """Write the terms that models read, then the profiles; terms, texts that name some, profiles, keywords of one."""
    lake = Lake.of(settings.lake)
    with ExitStack() as stack:

        def kept(rows: DataFrame) -> DataFrame:
            stack.callback(rows.persist().unpersist)
            return rows

        reviews = _rows(spark, lake, "reviews").select(*_READ)
        said = kept(_said(reviews, settings))
        terms = kept(_of_training(spark, lake, said, settings))
        by_text = interest.named_by_text(interest.mentions(said, terms), _texts(spark, lake, reviews))
        replace(spark, lake, "terms_vocabulary", terms)
        replace(spark, lake, "text_terms", kept(by_text))
        profiles = _profiles(spark, lake, reviews, said, settings, settings.profiles.moment)
        replace(spark, lake, "user_profiles", kept(profiles))
    figures: Figures = {name: lake.info(name).rows for name in ("terms_vocabulary", "text_terms", "user_profiles")}
    console.line(
        "  {terms_vocabulary:,} terms in the training split, {text_terms:,} texts name some; "
        "{user_profiles:,} profiles".format(**figures)
    )
    return figures


def profile_as_of(spark: SparkSession, settings: Settings, user: str, moment: datetime) -> dict[str, Any] | None:
    """The row of gold.user_profiles that the user would have had at a moment; None for one who had no review."""
    lake = Lake.of(settings.lake)
    reviews = _rows(spark, lake, "reviews").select(*_READ)
    profiles = _profiles(spark, lake, reviews, _said(reviews, settings), settings, moment)
    # Through Arrow: rows that Spark hands to Python tell times by the clock of the machine, without a zone.
    rows: list[dict[str, Any]] = profiles.where(F.col("user_id") == user).toArrow().to_pylist()
    return rows[0] if rows else None


def _said(reviews: DataFrame, settings: Settings) -> DataFrame:
    return interest.phrases(reviews.drop("rating"), settings.clean.stop_words)


def _of_training(spark: SparkSession, lake: Lake, said: DataFrame, settings: Settings) -> DataFrame:
    """Rows of terms_vocabulary."""
    examples = _rows(spark, lake, "examples").where("kind = 'review' AND split = 'train'")
    trained = examples.select(F.col("user").alias("user_index"), F.col("review").alias("text_index")).distinct()
    trained = trained.join(_rows(spark, lake, "users_vocabulary"), "user_index")
    trained = trained.join(_rows(spark, lake, "texts_vocabulary"), "text_index")
    # By both: of a text that others wrote too, in the test split say, their reviews do not count.
    return interest.numbered(_vocabulary(said.join(trained, ["user_id", "text_hash"], "left_semi"), settings))


def _texts(spark: SparkSession, lake: Lake, reviews: DataFrame) -> DataFrame:
    """Rows (review_id, text_index)."""
    texts = _rows(spark, lake, "texts_vocabulary")
    return reviews.join(texts, "text_hash").select("review_id", "text_index")


def _profiles(
    spark: SparkSession,
    lake: Lake,
    reviews: DataFrame,
    said: DataFrame,
    settings: Settings,
    moment: datetime | None,
) -> DataFrame:
    """Rows of user_profiles as of a moment; None: as of now."""
    options = settings.profiles
    if moment is not None:
        before = F.col("review_time") < F.lit(moment)
        reviews, said = reviews.where(before), said.where(before)
    named = interest.mentions(said, _vocabulary(said, settings))
    rows = interest.user_profiles(reviews, named, options, settings.clean)
    encoder = _encoder(lake)
    vectors = _rows(spark, lake, "text_vectors").where(F.col("encoder").eqNullSafe(F.lit(encoder)))
    vector = interest.pooled(reviews, vectors.select("text_hash", "vector"), options.half_life)
    rows = rows.join(vector, "user_id", "left")
    told = F.when(F.col("vector").isNotNull(), F.lit(encoder)).cast("string").alias("encoder")
    return rows.select("*", F.lit(moment).cast("timestamp").alias("as_of"), told)


def _vocabulary(said: DataFrame, settings: Settings) -> DataFrame:
    options = settings.profiles
    return interest.vocabulary(said, longest=options.longest, min_users=options.min_users, max_terms=options.max_terms)


def _encoder(lake: Lake) -> str | None:
    """Of the newest finished run of embed."""
    run = runs.latest(lake, "embed")
    return None if run is None else run.figures["encoder"]


def _rows(spark: SparkSession, lake: Lake, name: str) -> DataFrame:
    return read(spark, lake, name) if lake.exists(name) else spark.createDataFrame([], ddl(lake.table(name)))


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("profiles", argv)


if __name__ == "__main__":
    sys.exit(main())
