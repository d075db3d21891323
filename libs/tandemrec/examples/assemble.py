"""From the log to gold.examples: rows of each kind, their splits, their references, their labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.config import ExamplesSettings, Settings
from tandemrec.config.sources import SPLITS
from tandemrec.errors import ConfigError
from tandemrec.examples.contacts import owned, positives, reviews_of
from tandemrec.examples.exposures import VIEW, exposures
from tandemrec.examples.interactions import interactions, with_aspects
from tandemrec.examples.log import REVIEW, TRAIN
from tandemrec.examples.negatives import against_random
from tandemrec.examples.references import add_references, no_items
from tandemrec.examples.splits import Splitter

OF_TEXT = "review."  # begins the label of an aspect where it is to be told from the text
OF_ITEM = "item."  # begins the label of what is known of the item
NOTHING = (
    "found no event and no review to learn from, expected some: `clean` kept none of what came in, and says what it "
    "rejected and why (table quarantine)"
)
LABELS = ("next_item", "click", "favourite", "cart", "purchase", "rating", "sentiment", "stars", "category")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a look at the log tells. `timeless`: rows know all that train holds, for `examples.known` says so or the
    split is given and no event has a time. `newest`: when the log ends, in microseconds since 1970.
    """

    event_types: frozenset[str]
    timeless: bool
    newest: int


def look_at(log: DataFrame, settings: Settings) -> Known:
    """One pass over the log for what decides how it is read.

    Raises:
        ConfigError: nothing of the log counts as a target of next item, or there is nothing in it.
    """
    types = log.groupBy("event_type").agg(F.max(F.unix_micros("event_time")).alias("newest")).collect()
    newest = {row["event_type"]: row["newest"] for row in types}
    if not newest:
        raise ConfigError(NOTHING)
    chosen = settings.examples.targets or settings.examples.positives
    if not newest.keys() & set(chosen):
        key = "targets" if settings.examples.targets else "positives"
        raise ConfigError(
            f"examples.{key} is {chosen}, found event types {sorted(newest)}, expected one of these in it"
        )
    undated = settings.examples.split == "given" and max(newest.values()) <= 0
    timeless = undated or settings.examples.known == "train"
    return Known(event_types=frozenset(newest), timeless=timeless, newest=max(newest.values()))


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What examples and features are made of.

    `log`, `contacts` and `attributes` are of `build_log`, `first_contacts` and `item_attributes`, `referred` is of
    `first_reviews` with splits. They are read more than once: the caller persists them. `items` is the size of the
    items vocabulary.
    """

    log: DataFrame
    contacts: DataFrame
    referred: DataFrame
    attributes: DataFrame
    splitter: Splitter
    known: Known
    items: int


def build_examples(parts: Parts, settings: Settings) -> DataFrame:
    """Rows of gold.examples.

    Rows of kinds interaction and exposure carry the pair's own review in `review`, whenever it was written, so that
    the model can leave it out where it pools the item's reviews.
    """
    log, contacts, referred = parts.log, parts.contacts, parts.referred
    rows = parts.splitter.split(interactions(log, contacts))
    if any(source.aspects for source in settings.sources):
        rows = with_aspects(rows, log)
    choices = choice_rows(parts, settings)
    if choices is not None:
        rows = rows.unionByName(choices, allowMissingColumns=True)
    rows = rows.join(referred.select("user", "item", F.col("text").alias("review")), ["user", "item"], "left")
    facts = parts.splitter.split(positives(contacts)) if parts.known.timeless else positives(contacts)
    rows = add_references(rows, facts, referred, settings.examples, timeless=parts.known.timeless)
    rows = add_seen(rows, contacts, given=settings.examples.split == "given")
    texts = text_rows(parts.splitter.split(reviews_of(log)), parts.attributes, settings)
    named = [name for name in settings.examples.choices if name not in LABELS and name in rows.columns]
    return _as_examples(rows.unionByName(texts, allowMissingColumns=True), named)


def choice_rows(parts: Parts, settings: Settings) -> DataFrame | None:
    """Rows of kind exposure with a label for each of the choices, or None where neither views nor negatives are to be
    had.

    A label that a later split tells is left out: at the moment when training ends nobody knew of that click. Under
    leave_one_out this is what keeps the test item's click out of training. So may be those of views whose hours are
    not over by then, be they told or not.
    """
    options, log, splitter = settings.examples, parts.log, parts.splitter
    labels = [name for name in options.choices if name in parts.known.event_types]
    if not labels:
        return None
    if options.exposure is not None and VIEW in parts.known.event_types:
        rows = splitter.split(exposures(log, {label: options.choices[label] for label in labels}))
        for label in labels:
            told = splitter.at(F.col(f"{label}_by.event_time"), F.col(f"{label}_by.given"))
            too_late = F.col(f"{label}_by").isNotNull() & (told > F.col("split"))
            if options.open_windows == "leave":
                over = F.unix_micros("event_time") + int(options.choices[label] * 3600e6)
                later = splitter.at(F.timestamp_micros(over), F.col("given")) > F.col("split")
                too_late |= later | (over > parts.known.newest)
            rows = rows.withColumn(label, F.when(~too_late, F.col(label))).drop(f"{label}_by")
        return rows.where(F.coalesce(*labels).isNotNull())
    if options.negatives:
        return splitter.split(against_random(log, labels, parts.items, options.negatives, settings.seed))
    return None


def text_rows(reviews: DataFrame, attributes: DataFrame, settings: Settings) -> DataFrame:
    """Rows of kind review: what the text alone is to tell, of itself and of the item. They refer to nothing else."""
    clean, value = settings.clean, F.col("value")
    sentiment = F.when(value >= clean.high_rating, 1.0).when(value <= clean.low_rating, 0.0)
    of_item = attributes.select("item", "category", _told_of_items(settings.examples).alias("told"))
    said = F.transform("aspects", lambda one: _entry(F.concat(F.lit(OF_TEXT), one["key"]), one["value"]))
    told = F.concat(F.coalesce(said, F.slice("told", 1, 0)), "told")
    return reviews.join(of_item, "item").select(
        F.lit(REVIEW).alias("kind"),
        *("user", "item", "event_time", "event_type", "split"),
        F.col("review_id").alias("key"),
        F.col("text").alias("review"),
        sentiment.alias("sentiment"),
        F.when(value >= 0, F.round("value")).alias("stars"),
        F.when(F.col("category") > 0, F.col("category").cast("double")).alias("category"),
        F.when(F.size(told) > 0, told).alias("aspects"),
    )


def _told_of_items(options: ExamplesSettings) -> Column:
    """Entries (label, number of the value) of what is known of `examples.item_labels`."""

    def number(name: str) -> Column:
        if name not in options.attributes:
            return F.col(name)
        values = F.col("attributes")[name]
        return F.array_position(values, 1) if options.attributes[name] == "one_hot" else values[0]

    entries = [_entry(F.lit(OF_ITEM + name), number(name)) for name in options.item_labels]
    listed = F.array(*entries).cast("array<struct<key:string,value:double>>")  # of no labels too
    return F.filter(listed, lambda one: one["value"] > 0)


def _entry(key: Column, value: Column) -> Column:
    return F.struct(key.alias("key"), value.cast("double").alias("value"))


def _labels(named: Sequence[str]) -> Column:
    return F.create_map(*[part for name in named for part in (F.lit(name), F.col(name))])


def add_seen(rows: DataFrame, contacts: DataFrame, *, given: bool) -> DataFrame:
    """Rows with `seen`: of held-out rows of next item the target items that the user had before.

    Before means an earlier moment or, of given splits, an earlier split.
    """
    here = F.struct(F.col("event_time").alias("time"), "pair")
    rows = rows.join(owned(contacts), "user", "left").withColumn("here", here)
    before = F.filter("owned", lambda one: one["given"] < F.col("split") if given else one["moment"] < F.col("here"))
    asked = (F.col("split") > TRAIN) & F.col("next_item").isNotNull()
    return rows.withColumn("seen", F.when(asked, before["item"])).drop("owned", "here")


def _as_examples(rows: DataFrame, named: Sequence[str]) -> DataFrame:
    """Rows with the contract's columns: what is missing is 0, empty or null, as the column wants it.

    Args:
        named: labels that have no column of their own there.
    """
    absent = {name: F.lit(None).cast("double") for name in LABELS if name not in rows.columns}
    micros, key = F.unix_micros("event_time"), F.coalesce("key", F.lit(""))
    return rows.withColumns(absent).select(
        F.md5(F.concat_ws("|", "kind", "user", "item", micros, "event_type", key)).alias("example_id"),
        "kind",
        F.element_at(F.array(*map(F.lit, SPLITS)), F.col("split") + 1).alias("split"),
        *("event_time", "user", "item"),
        *(F.coalesce(name, no_items()).alias(name) for name in ("history", "user_reviews", "item_reviews")),
        F.coalesce("review", F.lit(0)).alias("review"),
        F.coalesce("seen", no_items()).alias("seen"),
        *LABELS,
        F.coalesce(
            F.map_from_entries("aspects"),
            *([F.map_filter(_labels(named), lambda _, value: value.isNotNull())] if named else []),
        ).alias("labels"),
        F.lit(None).alias("categories"),
        F.lit(None).alias("numbers"),
        F.lit(None).alias("weight"),
    )
