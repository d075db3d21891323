"""Rows of tabular data to examples: a split, indices of categories, numbers, labels by name."""

from collections.abc import Callable, Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.parse import NO_TIME
from tandemrec.config import ExamplesSettings
from tandemrec.config.sources import SPLITS
from tandemrec.config.tabular import Label, TabularSettings
from tandemrec.examples.log import TEST, TRAIN, VALID, position
from tandemrec.examples.references import no_items
from tandemrec.examples.splits import hashed_place
from tandemrec.lake.contracts import TABLES
from tandemrec.lake.contracts.model import ORIGIN_COLUMNS

KIND = "row"


def split_rows(rows: DataFrame, settings: ExamplesSettings, seed: int) -> DataFrame:
    """Rows of silver.rows with `split` as a number: what the source says or else by a hash of where the row stands, and
    of `given` splits train or valid, for the source has set its test aside.
    """
    place = hashed_place(F.concat_ws("|", *ORIGIN_COLUMNS), seed)
    test = 0.0 if settings.split == "given" else settings.test_share
    drawn = F.when(place < test, TEST).when(place < test + settings.valid_share, VALID).otherwise(TRAIN)
    return rows.withColumn("split", F.coalesce(position(SPLITS, F.col("split")), drawn))


def category_values(rows: DataFrame, tabular: TabularSettings) -> DataFrame:
    """Rows (space, id): the values of each column that training rows hold often enough, and the classes of each label,
    those of held-out rows too: whoever cannot have learned a class has not told it.

    Args:
        rows: of `split_rows`.
    """
    train = rows.where(F.col("split") == TRAIN)
    counted = _values(train, tabular.categorical, space).groupBy("space", "id").agg(F.count("*").alias("rows"))
    often = counted.where(F.col("rows") >= tabular.min_rows).drop("rows")
    return often.unionByName(_values(rows, _class_columns(tabular), class_space).distinct())


def space(column: str) -> str:
    """The name of a column's values in the vocabulary, where no attribute of items can have it."""
    return f"column {column}"


def class_space(column: str) -> str:
    """The name of the classes that a label's column holds."""
    return f"label {column}"


def _class_columns(tabular: TabularSettings) -> list[str]:
    return sorted({label.column for label in tabular.labels.values() if label.classes})


def _values(rows: DataFrame, columns: Sequence[str], named: Callable[[str], str]) -> DataFrame:
    cells = [F.struct(F.lit(named(name)).alias("space"), F.col("cells")[name].alias("id")) for name in columns]
    listed = F.array(*cells).cast("array<struct<space:string,id:string>>")  # of no columns too
    return rows.select(F.explode(listed).alias("one")).select("one.*").where("id IS NOT NULL")


def row_examples(rows: DataFrame, vocabulary: DataFrame, tabular: TabularSettings) -> DataFrame:
    """Rows of gold.examples.

    Args:
        rows: of `split_rows`.
        vocabulary: attributes_vocabulary; a value that it lacks is 0.
    """
    spaces = [(name, space(name)) for name in tabular.categorical]
    spaces += [(name, class_space(name)) for name in _class_columns(tabular)]
    for number, (name, attribute) in enumerate(spaces):
        values = vocabulary.where(F.col("attribute") == attribute).select(
            F.col("value").alias("_value"), F.col("value_index").alias(f"_{number}")
        )
        rows = rows.join(values, F.col("cells")[name] == F.col("_value"), "left").drop("_value")
    indices = [F.coalesce(f"_{number}", F.lit(0)) for number in range(len(tabular.categorical))]
    classes = {name: F.col(f"_{spaces.index((name, class_space(name)))}") for name in _class_columns(tabular)}
    numbers = [F.col("cells")[name].try_cast("double") for name in tabular.numeric]
    labels = [(F.lit(name), _label(label, classes)) for name, label in tabular.labels.items()]
    told = F.create_map(*[part for pair in labels for part in pair])
    filled = {
        "example_id": F.md5(F.concat_ws("|", *ORIGIN_COLUMNS)),
        "kind": F.lit(KIND),
        "split": F.element_at(F.array(*map(F.lit, SPLITS)), F.col("split") + 1),
        "event_time": F.lit(NO_TIME).cast("timestamp"),
        **dict.fromkeys(("user", "item", "review"), F.lit(0)),
        **dict.fromkeys(("history", "user_reviews", "item_reviews", "seen"), no_items()),
        "categories": F.array(*indices).cast("array<int>"),
        "numbers": F.array(*numbers).cast("array<double>"),
        "weight": F.lit(None) if tabular.weight is None else F.col("cells")[tabular.weight].try_cast("double"),
        "labels": F.map_filter(told, lambda _, value: value.isNotNull()),
    }
    columns = TABLES["examples"].columns
    return rows.select([filled.get(c.name, F.lit(None)).cast(c.type).alias(c.name) for c in columns])


def _label(label: Label, classes: Mapping[str, Column]) -> Column:
    cell = F.col("cells")[label.column]
    if label.classes:
        return classes[label.column].cast("double")
    return cell.try_cast("double") if label.equals is None else (cell == label.equals.strip()).cast("double")
