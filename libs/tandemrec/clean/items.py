"""Items: bronze lines into judged, standardised items; the newest description of an item wins."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.clean.parse import parse
from tandemrec.clean.prices import amount, currency
from tandemrec.clean.texts import joined, plain, text_hash, trimmed
from tandemrec.clean.times import parse_time
from tandemrec.clean.verdicts import KEPT, ORIGIN, Rule, judge, merge_duplicates
from tandemrec.config.preparing import CleanSettings
from tandemrec.config.sources import Source
from tandemrec.lake.contracts import TABLES


def judge_items(rows: DataFrame, sources: Sequence[Source], clean: CleanSettings) -> DataFrame:
    """Columns of silver.items, part, raw and verdict: one row for each record of bronze rows, each judged by itself.

    Args:
        rows: of items_raw, of these sources at least.
    """
    items = reduce(DataFrame.unionByName, [_convert(rows, source, clean) for source in sources])
    rules = [
        Rule(name="broken_json", holds=F.col("is_record")),
        Rule(name="item_id_missing", holds=F.col("item_id").isNotNull()),
    ]
    return judge(items, rules).select(*TABLES["items"].column_names, "part", "raw", "verdict")


def settle_items(judged: DataFrame) -> DataFrame:
    """The same rows with the verdicts that rows give each other: of one item the latest stays."""
    last = [F.col(name).desc() for name in ("file", "line", "part", "source")]
    merged = merge_duplicates(judged, ["item_id"], [F.col("updated_at").desc_nulls_last(), *last])
    return _one_spelling_of_brands(merged)


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
        F.from_json("attributes", "map<string,string>").alias("attributes"),
        parse_time(F.col("updated_at"), source.time_formats).alias("updated_at"),
    )
    text = joined(F.col("title"), F.col("description"))
    return converted.withColumns({"text": text, "text_hash": text_hash(text)})


def category(text: Column) -> Column:
    """The path from the root: a JSON array (of paths: the first of them), or a string with >, / or | between its steps;
    null where nothing is left.
    """
    paths = F.when(text.startswith("[["), F.get(F.from_json(text, "array<array<string>>"), 0))
    listed = F.when(text.startswith("["), F.from_json(text, "array<string>"))
    steps = F.coalesce(paths, listed, F.split(text, r"[>/|]"))
    clean_steps = F.filter(F.transform(steps, lambda step: F.trim(step)), lambda step: step.isNotNull() & (step != ""))
    return F.when(F.size(clean_steps) > 0, clean_steps)


def _one_spelling_of_brands(judged: DataFrame) -> DataFrame:
    """Brands that differ in case only are shown as most kept items spell them; of equals, the first in the alphabet."""
    is_kept = F.col("verdict") == KEPT
    alone = F.when(F.col("brand").isNull(), F.col("item_id"))  # spreads what has no brand over the partitions
    spelling = F.mode(F.when(is_kept, F.col("brand")), True).over(Window.partitionBy(F.lower("brand"), alone))
    return judged.withColumn("brand", F.when(is_kept, spelling))
