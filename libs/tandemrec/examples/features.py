"""What is known of items and users beside single rows."""

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.config import ExamplesSettings
from tandemrec.examples.contacts import owned, positives, targets
from tandemrec.examples.log import TRAIN, moment
from tandemrec.examples.references import last_known, newest, no_items
from tandemrec.examples.splits import Splitter
from tandemrec.examples.vocabularies import BRAND, CATEGORY, value_of
from tandemrec.lake.contracts import FORGOTTEN

_DECILES = [n / 10 for n in range(1, 10)]


def item_attributes(
    items: DataFrame,
    items_vocabulary: DataFrame,
    attributes: DataFrame,
    texts: DataFrame,
    encodings: Mapping[str, str],
    sizes: Mapping[str, int],
) -> DataFrame:
    """Rows (item, category, brand, price, text, attributes), one for every item of the vocabulary; 0 where unknown.

    Price is its decile among the items of the same currency, from 1: one more than the decile bounds below it.

    Args:
        encodings: of attributes beside category and brand, by name: index or one_hot.
        sizes: of the vocabulary of each of these.
    """
    indexed = {CATEGORY: "category", BRAND: "brand"} | {name: f"attribute_{n}" for n, name in enumerate(encodings)}
    described = items.select(
        "item_id",
        "text_hash",
        F.col("price").cast("double"),
        "currency",
        *[value_of(name).alias(column) for name, column in indexed.items()],
    )
    bounds = (
        described.where("price IS NOT NULL").groupBy("currency").agg(F.percentile("price", _DECILES).alias("bounds"))
    )
    by_currency = described["currency"].eqNullSafe(bounds["currency"])
    decile = F.size(F.filter("bounds", lambda bound: bound < F.col("price"))) + 1
    rows = items_vocabulary.join(described.join(F.broadcast(bounds), by_currency, "left"), "item_id", "left").join(
        texts, "text_hash", "left"
    )
    for name, column in indexed.items():
        values = attributes.where(F.col("attribute") == name)
        rows = rows.join(
            values.select(F.col("value").alias(column), F.col("value_index").alias(f"{column}_index")), column, "left"
        )
    encoded = [
        _encoded(_or_0(F.col(f"{indexed[name]}_index")), encoding, sizes[name]) for name, encoding in encodings.items()
    ]
    names = F.array(*map(F.lit, encodings)).cast("array<string>")
    return rows.select(
        F.col("item_index").alias("item"),
        _or_0(F.col("category_index")).alias("category"),
        _or_0(F.col("brand_index")).alias("brand"),
        _or_0(F.when(F.col("price").isNotNull(), decile)).alias("price"),
        _or_0(F.col("text_index")).alias("text"),
        F.map_from_arrays(names, F.array(*encoded).cast("array<array<int>>")).alias("attributes"),
    )


def item_features(
    attributes: DataFrame, contacts: DataFrame, reviews: DataFrame, splitter: Splitter, settings: ExamplesSettings
) -> DataFrame:
    """Rows of gold.item_features: attributes, and what the training split says of each item.

    Args:
        attributes, contacts: of `item_attributes` and `first_contacts`.
        reviews: one a pair, with their split.
    """
    counts = (
        splitter.split(targets(contacts))
        .where(F.col("split") == TRAIN)
        .groupBy("item")
        .agg(F.count("*").alias("interactions"))
    )
    trained = reviews.where(F.col("split") == TRAIN).withColumn("moment", moment("event_time", "pair"))
    texts = _latest(last_known(trained, "item", F.col("text"), settings.item_reviews + 1, "reviews"), "item")
    return (
        attributes.join(texts, "item", "left")
        .join(counts, "item", "left")
        .select(
            F.col("item").alias("item_index"),
            *("category", "brand", "price", "text"),
            F.reverse(newest(F.col("reviews"), settings.item_reviews)).alias("reviews"),
            F.coalesce("interactions", F.lit(0)).alias("interactions"),
            "attributes",
        )
    )


def user_features(
    users_vocabulary: DataFrame, contacts: DataFrame, reviews: DataFrame, settings: ExamplesSettings
) -> DataFrame:
    """Rows of gold.user_features: every user of the vocabulary after everything that happened, of all splits; not
    those who were forgotten.
    """
    written = reviews.withColumn("moment", moment("event_time", "pair"))
    parts = [
        _latest(last_known(positives(contacts), "user", F.col("item"), settings.history_length, "history"), "user"),
        _latest(last_known(written, "user", F.col("text"), settings.user_reviews + 1, "reviews"), "user"),
        owned(contacts).select("user", F.col("owned.item").alias("seen")),
    ]
    users = users_vocabulary.where(~F.col("user_id").startswith(FORGOTTEN)).select(F.col("user_index").alias("user"))
    rows = reduce(lambda rows, part: rows.join(part, "user", "left"), parts, users)
    return rows.select(
        F.col("user").alias("user_index"),
        newest(F.col("history"), settings.history_length).alias("history"),
        newest(F.col("reviews"), settings.user_reviews).alias("reviews"),
        F.coalesce("seen", no_items()).alias("seen"),
    )


def _latest(known: DataFrame, by: str) -> DataFrame:
    """The value of the last fact of each user or item."""
    name = known.columns[-1]
    return known.groupBy(by).agg(F.max_by(name, "moment").alias(name))


def _encoded(index: Column, encoding: str, size: int) -> Column:
    """An index from 1, 0 unknown, as gold.item_features shows it."""
    if encoding == "index" or size == 0:
        return F.array(index) if encoding == "index" else F.array().cast("array<int>")
    return F.transform(F.sequence(F.lit(1), F.lit(size)), lambda place: (place == index).cast("int"))


def _or_0(index: Column) -> Column:
    return F.coalesce(index, F.lit(0))
