"""Items: bronze lines into judged, standardised items; the newest description of an item wins, former ones are kept."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.brands import one_spelling
from tandemrec.clean.categories import category_code
from tandemrec.clean.history import versions
from tandemrec.clean.parse import OWN, parse
from tandemrec.clean.prices import amount, currency, priced
from tandemrec.clean.texts import joined, normalised_each, plain, text_hash, trimmed, trimmed_values
from tandemrec.clean.times import moment, parse_time
from tandemrec.clean.units import in_base_unit
from tandemrec.clean.verdicts import ORIGIN, Rule, judge, time_rules, where_given
from tandemrec.config.preparing import CleanSettings
from tandemrec.config.sources import Source
from tandemrec.lake.contracts import TABLES


def judge_items(rows: DataFrame, sources: Sequence[Source], clean: CleanSettings, *, now: datetime) -> DataFrame:
    """Columns of silver.items, part, raw and verdict: one row for each record of bronze rows, each judged by itself.

    The latest description wins, so its time has to be a plausible one where it is given.

    Args:
        rows: of items_raw, of these sources at least.
    """
    items = reduce(DataFrame.unionByName, [_convert(rows, source, clean) for source in sources])
    times = time_rules("updated_at", F.lit(True), F.lit(now), F.lit(moment(clean.earliest)))
    rules = [
        Rule(name="broken_json", holds=F.col("is_record")),
        Rule(name="item_id_missing", holds=F.col("item_id").isNotNull()),
        *where_given(F.col("given_updated_at"), times),
    ]
    return judge(items, rules).select(*TABLES["items"].column_names, "part", "raw", "verdict")


def settle_items(judged: DataFrame) -> DataFrame:
    """The same rows with the verdicts that rows give each other: of one item the latest stays, its earlier versions are
    former, and what says nothing new is merged. One spelling of each brand.

    Adds the columns that silver.items_history has beside those of silver.items; `category` is still as given.

    Args:
        judged: of `judge_items`, and of `history.records` where there are earlier runs: all at once or in parts and in
            any order, the versions are the same.
    """
    given = judged.withColumns({f"given_{name}": F.col(name) for name in ("brand", "category")})
    return one_spelling(versions(given))


def known_from_behaviour(behaviour: DataFrame, described: DataFrame | None) -> DataFrame:
    """A bare row of silver.items for each item that people dealt with and no source describes.

    Args:
        behaviour: has item_id, of kept events and reviews.
        described: has item_id, of the items of the sources; None: there is none.
    """
    items = behaviour.select("item_id").distinct()
    if described is not None:
        items = items.join(described, "item_id", "left_anti")
    others = [column for column in TABLES["items"].columns if column.name != "item_id"]
    return items.withColumns({column.name: F.lit(None).cast(column.type) for column in others})


def _convert(rows: DataFrame, source: Source, clean: CleanSettings) -> DataFrame:
    parsed = parse(rows.where(F.col("source") == source.name), source)
    parsed = plain(parsed, ["title", "brand", "category", "price", "description"])
    parsed = parsed.withColumns({name: trimmed(F.col(name)) for name in ("item_id", "currency", "updated_at")})
    parsed = parsed.withColumn("price", priced(F.col("price")))
    price = amount(F.col("price"))
    converted = parsed.select(
        *ORIGIN,
        "raw",
        "is_record",
        "item_id",
        "title",
        "brand",
        category(F.col("category")).alias("category"),
        price.alias("price"),
        F.when(price.isNotNull(), currency(F.col("price"), F.col("currency"), clean.currency)).alias("currency"),
        "description",
        _attributes(source, clean).alias("attributes"),
        F.col("updated_at").alias("given_updated_at"),
        parse_time(F.col("updated_at"), source.time_formats).alias("updated_at"),
    )
    text = joined(F.col("title"), F.col("description"))
    code = category_code(F.col("category"))
    return converted.withColumns({"text": text, "text_hash": text_hash(text), "category_code": code})


def category(text: Column) -> Column:
    """The path from the root: a JSON array (of paths: the first of them), or a string with > between its steps, else |,
    else /; null where nothing is left.
    """
    paths = F.when(text.startswith("[["), F.get(F.from_json(text, "array<array<string>>"), 0))
    listed = F.when(text.startswith("["), F.from_json(text, "array<string>"))
    parted = F.when(text.contains(">"), F.split(text, ">")).when(text.contains("|"), F.split(text, r"\|"))
    steps = F.coalesce(paths, listed, parted, F.split(text, "/"))
    clean_steps = F.filter(F.transform(steps, lambda step: F.trim(step)), lambda step: step.isNotNull() & (step != ""))
    return F.when(F.size(clean_steps) > 0, clean_steps)


def _attributes(source: Source, clean: CleanSettings) -> Column:
    given = F.from_json("attributes", "map<string,string>")
    if source.attributes:
        held = trimmed_values(F.col(OWN))
        given = F.when(F.size(held) > 0, held)
    attributes = F.when(
        _keys_differ(given), F.map_from_arrays(F.map_keys(given), normalised_each(F.map_values(given)))
    ).otherwise(given)
    return F.transform_values(attributes, lambda _, value: in_base_unit(value)) if clean.units else attributes


def _keys_differ(given: Column) -> Column:
    """JSON may name a key twice; a map made of arrays may not."""
    return F.size(F.array_distinct(F.map_keys(given))) == F.size(F.map_keys(given))
