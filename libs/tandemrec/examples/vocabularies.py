"""Integer indices for users, items, texts, categories and brands: contiguous from 1, and never changed once given.

All vocabularies are numbered together, as rows (space, id): one sort, one count.
"""

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

USER, ITEM, TEXT, CATEGORY, BRAND = SPACES = ("user", "item", "text", "category", "brand")

_TABLES = {  # space: table, column of the id, column of the index
    USER: ("users_vocabulary", "user_id", "user_index"),
    ITEM: ("items_vocabulary", "item_id", "item_index"),
    TEXT: ("texts_vocabulary", "text_hash", "text_index"),
    CATEGORY: ("attributes_vocabulary", "value", "value_index"),
    BRAND: ("attributes_vocabulary", "value", "value_index"),
}
TABLES = tuple(dict.fromkeys(table for table, _, _ in _TABLES.values()))


def ids_of(events: DataFrame, items: DataFrame, reviews: DataFrame, min_category_items: int) -> DataFrame:
    """Every id that occurs: rows (space, id), repeated. Categories of fewer items than the minimum are left out."""
    categories = (
        items.select(category_path().alias("id"))
        .where("id IS NOT NULL")
        .groupBy("id")
        .agg(F.count("*").alias("items"))
        .where(F.col("items") >= min_category_items)
    )
    parts = [
        *((USER, rows.select(F.col("user_id").alias("id"))) for rows in (events, reviews)),
        *((ITEM, rows.select(F.col("item_id").alias("id"))) for rows in (events, items, reviews)),
        *((TEXT, rows.select(F.col("text_hash").alias("id"))) for rows in (items, reviews)),
        (CATEGORY, categories.select("id")),
        (BRAND, items.select(F.col("brand").alias("id"))),
    ]
    return _union([rows.where("id IS NOT NULL").select(F.lit(space).alias("space"), "id") for space, rows in parts])


def known_ids(tables: Mapping[str, DataFrame]) -> DataFrame:
    """The vocabularies of the lake, by table name, as rows (space, id, index)."""
    parts = []
    for space, (table, id_, index) in _TABLES.items():
        rows = tables[table]
        if table == "attributes_vocabulary":
            rows = rows.where(F.col("attribute") == space)
        parts.append(rows.select(F.lit(space).alias("space"), F.col(id_).alias("id"), F.col(index).alias("index")))
    return _union(parts)


def new_ids(ids: DataFrame, known: DataFrame) -> DataFrame:
    """Ids that no vocabulary has, each once, sorted over all partitions: rows (space, id, partition, place).

    Computed at once and cut from where it came from: its places hold only as long as the rows do, and once a
    vocabulary is written Spark would read it anew and find that nothing is new.
    """
    fresh = ids.distinct().join(known, ["space", "id"], "left_anti").orderBy("space", "id")
    place = F.monotonically_increasing_id().alias("place")
    return fresh.select("space", "id", F.spark_partition_id().alias("partition"), place).localCheckpoint()


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
        offsets.append((row["partition"], row["space"], sizes[row["space"]] + 1 - row["first"]))
        sizes[row["space"]] += row["rows"]
        grown.add(row["space"])
    starts = fresh.sparkSession.createDataFrame(offsets, "partition int, space string, offset long")
    numbered = fresh.join(F.broadcast(starts), ["partition", "space"])
    return numbered.select("space", "id", (F.col("place") + F.col("offset")).cast("int").alias("index")), sizes, grown


def vocabulary(numbered: DataFrame, table: str) -> DataFrame:
    """The rows of numbered ids that belong to a vocabulary table, with the columns of its contract."""
    spaces = spaces_of(table)
    _, id_, index = _TABLES[spaces[0]]
    columns = [F.col("id").alias(id_), F.col("index").alias(index)]
    if table == "attributes_vocabulary":
        columns.append(F.col("space").alias("attribute"))
    return numbered.where(F.col("space").isin(spaces)).select(columns)


def category_path() -> Column:
    """A category is told by its whole path: the strings of guitars and of violins are two. Null without one."""
    return F.when(F.size("category") > 0, F.array_join("category", " > "))


def spaces_of(table: str) -> list[str]:
    return [space for space, (name, _, _) in _TABLES.items() if name == table]


def _union(parts: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, parts)
