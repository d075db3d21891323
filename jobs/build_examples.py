"""Silver tables into what the model learns from: vocabularies, examples, item and user features."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec import console, examples
from tandemrec.config import ExamplesSettings, Settings
from tandemrec.config.sources import SPLITS
from tandemrec.errors import ConfigError
from tandemrec.examples import vocabularies
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.lake.spark import merge, read
from tandemrec.lake.types import ddl
from tandemrec.pipeline import stage_main


def run(spark: SparkSession, settings: Settings) -> Figures:
    """Write the vocabularies, then examples and features in their terms.

    Returns:
        vocabularies: their sizes; rows: by split and kind; labels: by split and task; cuts: of a split by time, when
        validation and test begin.

    Raises:
        ConfigError: an attribute has too many values to be one_hot, or nothing in the log is what
            examples.positives (or targets) calls an interaction.
    """
    lake, options = Lake(settings.lake.root), settings.examples
    with ExitStack() as stack:

        def kept(rows: DataFrame) -> DataFrame:
            stack.callback(rows.persist().unpersist)
            return rows

        events, items, reviews = (_rows(spark, lake, name) for name in ("events", "items", "reviews"))
        ids = vocabularies.ids_of(events, items, reviews, options.min_category_items, options.attributes)
        sizes = _number(spark, lake, ids, options)
        users, catalogue, texts, values = (kept(read(spark, lake, table)) for table in vocabularies.TABLES)

        log = kept(examples.build_log(events, reviews, users, catalogue, texts, given=options.split == "given"))
        known = examples.look_at(log, settings)
        contacts = kept(examples.first_contacts(log, options))
        splitter = examples.splitter(contacts, options, settings.seed)
        referred = kept(examples.first_reviews(splitter.split(examples.reviews_of(log))))
        attributes = kept(examples.item_attributes(items, catalogue, values, texts, options.attributes, sizes))
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
        merge(spark, lake, "examples", rows, replace=True)
        of_items = examples.item_features(attributes, contacts, referred, splitter, options)
        merge(spark, lake, "item_features", of_items, replace=True)
        of_users = examples.user_features(users, contacts, referred, options)
        merge(spark, lake, "user_features", of_users, replace=True)
        cuts = [cut.isoformat() for cut in splitter.cuts or ()]
        figures = {"vocabularies": sizes, **_count(rows), "cuts": cuts}
    _say(figures)
    return figures


def _rows(spark: SparkSession, lake: Lake, name: str) -> DataFrame:
    """A table; no rows where it is not there: no source feeds it, or it is made in this run."""
    return read(spark, lake, name) if lake.exists(name) else spark.createDataFrame([], ddl(lake.table(name)))


def _number(spark: SparkSession, lake: Lake, ids: DataFrame, options: ExamplesSettings) -> dict[str, int]:
    """Add new ids to the vocabularies of the lake. Returns the size of each space."""
    known = vocabularies.known_ids({table: _rows(spark, lake, table) for table in vocabularies.TABLES})
    fresh = vocabularies.new_ids(ids, known)
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


def _count(rows: DataFrame) -> Figures:
    counts = rows.groupBy("split", "kind").agg(
        F.count("*").alias("rows"), *(F.count(n).alias(n) for n in examples.LABELS)
    )
    by_split: Figures = {"rows": {}, "labels": {}}
    for row in sorted(counts.collect()):
        by_split["rows"].setdefault(row["split"], {})[row["kind"]] = row["rows"]
        labels = by_split["labels"].setdefault(row["split"], dict.fromkeys(examples.LABELS, 0))
        for name in examples.LABELS:
            labels[name] += row[name]
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
