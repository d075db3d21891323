"""Category paths of items as a tree whose codes never change."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.verdicts import FORMER, KEPT

CODE_DIGITS = 16  # 64 bits: among a million categories two collide with a chance of 3 in 10^8
_BETWEEN_STEPS = "\x1f"  # no cleaned text has it


def category_code(path: Column) -> Column:
    """The code of a path: the first 16 hex digits of sha256 of its steps in lower case, whatever the run or machine.

    Args:
        path: from the root, its steps as `clean.texts.plain` leaves them.
    """
    steps = F.array_join(F.transform(path, F.lower), _BETWEEN_STEPS)
    return F.substring(F.sha2(steps, 256), 1, CODE_DIGITS)


def category_tree(settled: DataFrame) -> DataFrame:
    """Rows of silver.categories: every step of every path that an item has or had, with all steps above it.

    A step is named as most current items spell it, or most former versions where no item is below it any more; of
    equals, the first in the alphabet.

    Args:
        settled: of `settle_items`.
    """
    places = F.sequence(F.lit(1), F.size("category"))
    codes = F.transform(places, lambda place: category_code(F.slice("category", 1, place)))
    paths = settled.where(F.col("verdict").isin(KEPT, FORMER) & (F.size("category") > 0)).select(
        "verdict", "category", codes.alias("codes")
    )
    steps = paths.select("verdict", "codes", F.posexplode("category").alias("above", "name"))
    nodes = (
        steps.withColumn("lineage", F.slice("codes", 1, F.col("above") + 1))
        .groupBy(F.get("codes", F.col("above")).alias("code"))
        .agg(
            F.coalesce(*[F.mode(F.when(F.col("verdict") == who, F.col("name")), True) for who in (KEPT, FORMER)]).alias(
                "name"
            ),
            F.first("lineage").alias("lineage"),  # one code, one lineage
        )
    )
    names = nodes.select(F.col("code").alias("step"), F.col("name").alias("step_name"))
    spelled = (
        nodes.select("*", F.posexplode("lineage").alias("place", "step"))
        .join(names, "step")
        .groupBy("code", "name", "lineage")
        .agg(F.array_sort(F.collect_list(F.struct("place", "step_name"))).alias("steps"))
    )
    depth = F.size("lineage")
    return spelled.select(
        "code",
        F.get("lineage", depth - 2).alias("parent_code"),
        "name",
        F.col("steps.step_name").alias("path"),
        depth.alias("depth"),
    )


def as_in_tree(rows: DataFrame, tree: DataFrame) -> DataFrame:
    """Rows with a category_code, their `category` spelled as the tree spells it."""
    paths = tree.select(F.col("code").alias("category_code"), F.col("path").alias("category"))
    return rows.drop("category").join(paths, "category_code", "left")
