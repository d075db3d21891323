"""Integer indices for users, items, texts and attributes of items: contiguous from 1, never changed once given.

All vocabularies are numbered together, as rows (space, id): one sort, one count.
"""

from collections.abc import Iterable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

USER, ITEM, TEXT, CATEGORY, BRAND = SPACES = ("user", "item", "text", "category", "brand")

TABLES = {  # table: its space (None: all that have no table of their own), column of the id, column of the index
    "users_vocabulary": (USER, "user_id", "user_index"),
    "items_vocabulary": (ITEM, "item_id", "item_index"),
    "texts_vocabulary": (TEXT, "text_hash", "text_index"),
    "attributes_vocabulary": (None, "value", "value_index"),
}


def ids_of(
    events: DataFrame, items: DataFrame, reviews: DataFrame, min_category_items: int, attributes: Iterable[str] = ()
) -> DataFrame:
    """Every id that occurs, once: rows (space, id). Categories of fewer items than the minimum are left out.

    Args:
        attributes: names in the attributes of items, each a space of its own.
    """
    user, item, text = ((USER, F.col("user_id")), (ITEM, F.col("item_id")), (TEXT, F.col("text_hash")))
    parts = [
        _ids(events, user, item),
        _ids(reviews, user, item, text),
        _ids(items, item, text, *[(name, value_of(name)) for name in (CATEGORY, BRAND, *attributes)]),
    ]
    counted = reduce(DataFrame.unionByName, parts).groupBy("space", "id").agg(F.count("*").alias("rows"))
    frequent = (F.col("space") != CATEGORY) | (F.col("rows") >= min_category_items)
    return counted.where(frequent & F.col("id").isNotNull()).drop("rows")


def known_ids(tables: Mapping[str, DataFrame]) -> DataFrame:
    """The vocabularies of the lake, by table name, as rows (space, id, index)."""
    parts = []
    for table, (own, id_, index) in TABLES.items():
        space = F.lit(own) if own else F.col("attribute")
        parts.append(tables[table].select(space.alias("space"), F.col(id_).alias("id"), F.col(index).alias("index")))
    return reduce(DataFrame.unionByName, parts)


def new_ids(ids: DataFrame, known: DataFrame) -> DataFrame:
    """Ids that no vocabulary has, each once, sorted over all partitions: rows (space, id, partition, place).

    To be computed once and kept: places hold only as long as the rows do, and once a vocabulary is written Spark would
    read it anew and find that nothing is new.
    """
    fresh = ids.join(known, ["space", "id"], "left_anti").orderBy("space", "id")
    place = F.monotonically_increasing_id().alias("place")
    return fresh.select("space", "id", F.spark_partition_id().alias("partition"), place)


def number(fresh: DataFrame, known: DataFrame) -> tuple[DataFrame, dict[str, int], set[str]]:
    """Give the next numbers to new ids, in the order of the id.

    A range-partitioned sort numbers itself: a row's place within its partition, plus the rows of the same space in
    the partitions before. Only those counts come to the driver, at most one for each partition and space.

    Args:
        fresh: of `new_ids`.
        known: rows (space, id, index).

    Returns:
        Rows (space, id, index), how large each space is with them, and the spaces that have new ids.
    """
    counts = fresh.groupBy("partition", "space").agg(F.count("*").alias("rows"), F.min("place").alias("first"))
    sizes = dict.fromkeys(SPACES, 0)
    sizes |= {row["space"]: row["size"] for row in known.groupBy("space").agg(F.count("*").alias("size")).collect()}
    offsets, grown = [], set()
    for row in sorted(counts.collect(), key=lambda row: (row["space"], row["partition"])):
        size = sizes.get(row["space"], 0)
        offsets.append((row["partition"], row["space"], size + 1 - row["first"]))
        sizes[row["space"]] = size + row["rows"]
        grown.add(row["space"])
    starts = fresh.sparkSession.createDataFrame(offsets, "partition int, space string, offset long")
    numbered = fresh.join(F.broadcast(starts), ["partition", "space"])
    return numbered.select("space", "id", (F.col("place") + F.col("offset")).cast("int").alias("index")), sizes, grown


def vocabulary(numbered: DataFrame, table: str) -> DataFrame:
    """The rows of numbered ids that belong to a vocabulary table, with the columns of its contract."""
    own, id_, index = TABLES[table]
    columns = [F.col("id").alias(id_), F.col("index").alias(index)]
    if own:
        return numbered.where(F.col("space") == own).select(columns)
    return numbered.where(~F.col("space").isin(USER, ITEM, TEXT)).select(F.col("space").alias("attribute"), *columns)


def table_of(space: str) -> str:
    """The vocabulary table that holds a space."""
    return next((table for table, (own, *_) in TABLES.items() if own == space), "attributes_vocabulary")


def value_of(attribute: str) -> Column:
    """The value of an item's category, brand, or what its attributes hold by that name; null without one."""
    if attribute == CATEGORY:
        return category_path()
    if attribute == BRAND:
        return F.col("brand")
    value = F.try_element_at("attributes", F.lit(attribute))
    return F.nullif(F.lower(F.trim(value)), F.lit(""))


def category_path() -> Column:
    """A category is told by its whole path: the strings of guitars and of violins are two. Null without one."""
    return F.when(F.size("category") > 0, F.array_join("category", " > "))


def _ids(rows: DataFrame, *columns: tuple[str, Column]) -> DataFrame:
    """Rows (space, id) of several columns, in one pass over the rows."""
    each = [F.struct(F.lit(space).alias("space"), id_.alias("id")) for space, id_ in columns]
    return rows.select(F.explode(F.array(*each)).alias("one")).select("one.*")
