"""Silver tables into what the model learns from: vocabularies, examples, item and user features.

Rows of tabular data become examples by themselves; their categories are numbered with the vocabularies of attributes.
"""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec import console, examples
from tandemrec.config import ExamplesSettings, Settings, TabularSettings, without_labels
from tandemrec.config.sources import SPLITS
from tandemrec.errors import ConfigError
from tandemrec.examples import vocabularies
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.lake.scratch import Scratch
from tandemrec.lake.spark import merge, read
from tandemrec.lake.types import ddl
from tandemrec.pipeline import stage_main

_LOGS = ("events", "reviews")  # what a log is made of
_NAMES_SHOWN = 20  # of attributes


def run(spark: SparkSession, settings: Settings) -> Figures:
    """Write the vocabularies, then examples and features in their terms.

    Returns:
        vocabularies: their sizes; rows: by split and kind; labels: by split and task; cuts: of a split by time, when
        validation and test begin.

    Raises:
        ConfigError: an attribute has too many values to be one_hot, nothing in the log is what examples.positives (or
            targets) calls an interaction, or a label that the settings name has the name of another.
    """
    lake, named = Lake.of(settings.lake), _named_labels(settings)
    if settings.tabular is None and not any(lake.exists(name) and lake.info(name).files for name in _LOGS):
        raise ConfigError(examples.NOTHING)  # before anything is written
    with ExitStack() as stack:
        options, scratch = settings.examples, stack.enter_context(Scratch(spark, lake, "examples"))
        if settings.tabular is None:
            ids = vocabularies.ids_of(*_silver(spark, lake), options.min_category_items, options.attributes)
        else:
            rows = examples.split_rows(_rows(spark, lake, "rows"), options, settings.seed)
            ids = examples.category_values(rows, settings.tabular)
        sizes = _number(spark, lake, ids, options, scratch)
        tables, cuts = build(spark, lake, settings, stack, sizes=sizes)
        for name in ("item_features", "user_features"):
            lake.ensure(name)
        for name, rows in tables.items():
            merge(spark, lake, name, rows, replace=True)
        figures = {"vocabularies": sizes, **_count(tables["examples"], named), "cuts": cuts}
    _say(figures)
    _warn_of_absent(spark, lake, [name for name in options.attributes if not sizes[name]])
    # A warning: `tasks` are settings of train, which refuses them; the tables are as good without.
    if said := without_labels(settings.tasks, figures["labels"].get("train", {})):
        console.warn(f"train will refuse the tasks: {said}")
    return figures


def build(
    spark: SparkSession, lake: Lake, settings: Settings, stack: ExitStack, *, sizes: Mapping[str, int]
) -> tuple[dict[str, DataFrame], list[str]]:
    """Examples and features of the lake's silver tables, in terms of its vocabularies; nothing is written.

    Args:
        stack: until it is closed the rows can be read.
        sizes: of the vocabulary of each space.

    Returns:
        Rows by table, and the cuts of a split by time.
    """
    if settings.tabular is not None:
        return {"examples": _of_rows(spark, lake, settings, settings.tabular, stack)}, []
    options = settings.examples

    def kept(rows: DataFrame) -> DataFrame:
        stack.callback(rows.persist().unpersist)
        return rows

    events, offered, reviews = _silver(spark, lake)
    users, catalogue, texts, values = (kept(read(spark, lake, table)) for table in vocabularies.TABLES)
    log = kept(examples.build_log(events, reviews, users, catalogue, texts, given=options.split == "given"))
    known = examples.look_at(log, settings)
    contacts = kept(examples.first_contacts(log, options, settings.clean.behaviour.event_types))
    splitter = examples.splitter(contacts, options, settings.seed)
    referred = kept(examples.first_reviews(splitter.split(examples.reviews_of(log))))
    attributes = kept(examples.item_attributes(offered, catalogue, values, texts, options.attributes, sizes))
    parts = examples.Parts(
        log=log,
        contacts=contacts,
        referred=referred,
        attributes=attributes,
        splitter=splitter,
        known=known,
        items=sizes[vocabularies.ITEM],
    )
    rows = kept(examples.build_examples(parts, settings))
    tables = {
        "examples": rows,
        "item_features": examples.item_features(attributes, contacts, referred, splitter, options),
        "user_features": examples.user_features(users, contacts, referred, options),
    }
    return tables, [cut.isoformat() for cut in splitter.cuts or ()]


def _of_rows(
    spark: SparkSession, lake: Lake, settings: Settings, tabular: TabularSettings, stack: ExitStack
) -> DataFrame:
    rows = examples.split_rows(_rows(spark, lake, "rows"), settings.examples, settings.seed)
    made = examples.row_examples(rows, read(spark, lake, "attributes_vocabulary"), tabular).persist()
    stack.callback(made.unpersist)
    return made


def _named_labels(settings: Settings) -> list[str]:
    """The labels that the settings name: of tabular data, of aspects, of choices of one's own, of items."""
    aspects = sorted({name for source in settings.sources for name in source.aspects})
    of_texts = sorted({name for source in settings.sources if source.table == "reviews" for name in source.aspects})
    choices = [name for name in settings.examples.choices if name not in examples.LABELS]
    if both := set(aspects).intersection(choices):
        raise ConfigError(f"{min(both)!r} is an aspect of a source and one of examples.choices, expected two names")
    named = list(settings.tabular.labels) if settings.tabular is not None else [*aspects, *choices]
    if taken := set(named).intersection(examples.LABELS):
        raise ConfigError(f"a label is named {min(taken)!r}, as is a column of gold.examples, expected another name")
    of_items = [examples.OF_ITEM + name for name in settings.examples.item_labels]
    return [*named, *[examples.OF_TEXT + name for name in of_texts], *of_items]


def _silver(spark: SparkSession, lake: Lake) -> tuple[DataFrame, DataFrame, DataFrame]:
    return _rows(spark, lake, "events"), _rows(spark, lake, "items"), _rows(spark, lake, "reviews")


def _rows(spark: SparkSession, lake: Lake, name: str) -> DataFrame:
    """A table; no rows where it is not there: no source feeds it, or it is made in this run."""
    return read(spark, lake, name) if lake.exists(name) else spark.createDataFrame([], ddl(lake.table(name)))


def _number(
    spark: SparkSession, lake: Lake, ids: DataFrame, options: ExamplesSettings, scratch: Scratch
) -> dict[str, int]:
    """Add new ids to the vocabularies of the lake. Returns the size of each space."""
    known = vocabularies.known_ids({table: _rows(spark, lake, table) for table in vocabularies.TABLES})
    fresh = scratch.keep(vocabularies.new_ids(ids, known))
    numbered, sizes, grown = vocabularies.number(fresh, known)
    sizes |= {name: sizes.get(name, 0) for name in options.attributes}
    _refuse_wide_one_hot(options, sizes)
    tables = {vocabularies.table_of(space) for space in grown}
    for table in vocabularies.TABLES:
        lake.ensure(table)
        if table in tables:
            merge(spark, lake, table, vocabularies.vocabulary(numbered, table), update=False)
    return sizes


def _refuse_wide_one_hot(options: ExamplesSettings, sizes: Mapping[str, int]) -> None:
    for name, encoding in options.attributes.items():
        if encoding == "one_hot" and sizes[name] > options.one_hot_values:
            raise ConfigError(
                f"examples.attributes.{name}: one_hot of {sizes[name]:,} values, expected at most "
                f"{options.one_hot_values} (examples.one_hot_values): encode it as index"
            )


def _warn_of_absent(spark: SparkSession, lake: Lake, absent: Sequence[str]) -> None:
    """Attributes that the settings name and no item has, with those that there are: most often a name is misspelled."""
    if not absent:
        return
    items = _rows(spark, lake, "items")
    names = items.select(F.explode(F.map_keys("attributes")).alias("name")).distinct().orderBy("name")
    found = [row["name"] for row in names.limit(_NAMES_SHOWN).collect()]
    console.warn(
        f"examples.attributes names {', '.join(absent)}, which no item has, so nothing is learned of it; items have "
        f"{', '.join(found) or 'no attributes'}"
    )


def _count(rows: DataFrame, named: Sequence[str]) -> Figures:
    labels = {name: F.col(name) for name in examples.LABELS} | {name: F.col("labels")[name] for name in named}
    counts = rows.groupBy("split", "kind").agg(
        F.count("*").alias("rows"), *(F.count(label).alias(name) for name, label in labels.items())
    )
    by_split: Figures = {"rows": {}, "labels": {}}
    for row in sorted(counts.collect()):
        by_split["rows"].setdefault(row["split"], {})[row["kind"]] = row["rows"]
        known = by_split["labels"].setdefault(row["split"], dict.fromkeys(labels, 0))
        for name in labels:
            known[name] += row[name]
    return by_split


def _say(figures: Figures) -> None:
    sizes = ", ".join(f"{size:,} {space}" for space, size in figures["vocabularies"].items())
    console.line(f"  vocabularies: {sizes}")
    for split in SPLITS:
        kinds = figures["rows"].get(split, {})
        labels = ", ".join(f"{count:,} {name}" for name, count in figures["labels"].get(split, {}).items() if count)
        console.line(f"  {split}: {sum(kinds.values()):,} rows; labels: {labels or 'none'}")
        if not kinds:
            console.warn(f"no example is of split {split}: examples.split is what decides")
    if figures["cuts"]:
        console.line(f"  cut at {' and '.join(figures['cuts'])}")


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("examples", argv)


if __name__ == "__main__":
    sys.exit(main())
