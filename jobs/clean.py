"""Bronze rows judged, converted and deduplicated into silver events, items, reviews and quarantine.

All of bronze is cleaned in each run: the same rows again change nothing.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import reduce

import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec import console
from tandemrec.clean.balance import Balance
from tandemrec.clean.events import judge_events, settle_events
from tandemrec.clean.items import judge_items, known_from_behaviour, settle_items
from tandemrec.clean.parse import absent_columns
from tandemrec.clean.relations import judge_relations, settle_relations
from tandemrec.clean.reviews import judge_reviews, settle_reviews
from tandemrec.clean.times import NAMED, moment
from tandemrec.clean.verdicts import count_verdicts, in_sources, kept, quarantined
from tandemrec.config import Settings, Source
from tandemrec.errors import ConfigError, SourceError
from tandemrec.lake import Lake, runs
from tandemrec.lake.spark import read, replace
from tandemrec.lake.types import ddl
from tandemrec.pipeline import stage_main

SILVER = ("items", "events", "reviews", "relations")


def run(spark: SparkSession, settings: Settings) -> runs.Figures:
    """Clean every table that has a source; write silver and quarantine.

    Returns:
        By table: rows in, kept, merged and, by reason, rejected; of items also those known from behaviour only.

    Raises:
        ConfigError: a time format is no pattern.
        SourceError: no line of a json source has a mapped column.
        TableError: rows were lost or came twice.
    """
    lake = Lake(settings.lake.root)
    now = moment(settings.clean.now) if settings.clean.now else runs.now()
    sources = {table: [source for source in settings.sources if source.table == table] for table in SILVER}
    _refuse_unknown_patterns(spark, settings.sources)
    bronze = {table: _bronze(spark, lake, table, own) for table, own in sources.items() if own}
    judged: dict[str, DataFrame] = {}
    known = None
    if "items" in bronze:
        judged["items"] = _on_disk(settle_items(judge_items(bronze["items"], sources["items"], settings.clean)))
        known = kept(judged["items"], "items")
    required = known if settings.clean.unknown_items == "reject" else None
    for table, judge, settle in (
        ("events", judge_events, settle_events),
        ("reviews", judge_reviews, lambda rows: settle_reviews(rows, settings.clean, lines=bronze["reviews"])),
        ("relations", judge_relations, settle_relations),
    ):
        if table in bronze:
            rows = judge(bronze[table], sources[table], settings.clean, now=now, items=required)
            judged[table] = _on_disk(settle(rows))
    try:
        _write(spark, lake, judged, known, any_item=required is None)
        return _balance(lake, bronze, judged)
    finally:
        for rows in judged.values():
            rows.unpersist()


def _bronze(spark: SparkSession, lake: Lake, table: str, sources: Sequence[Source]) -> DataFrame:
    """The bronze rows of the sources of a table."""
    name = f"{table}_raw"
    rows = read(spark, lake, name, version=lake.version(name)).where(in_sources(sources))
    for source in sources:
        if absent := absent_columns(rows.where(F.col("source") == source.name), source):
            raise SourceError(
                f"source {source.name}: no line of {source.path} has {absent[0]!r}, which the source maps; "
                "expected a field of the JSON objects"
            )
    return rows


def _on_disk(rows: DataFrame) -> DataFrame:
    """Judged once, read by the writes and the counts."""
    return rows.persist(StorageLevel.DISK_ONLY)


def _write(
    spark: SparkSession, lake: Lake, judged: Mapping[str, DataFrame], known: DataFrame | None, *, any_item: bool
) -> None:
    rows = {table: kept(judged[table], table) for table in judged}
    if any_item:
        behaviour = [rows[table].select("item_id") for table in ("events", "reviews") if table in rows]
        if behaviour:
            bare = known_from_behaviour(reduce(DataFrame.union, behaviour), known)
            rows["items"] = rows["items"].unionByName(bare) if "items" in rows else bare
    rejected = [quarantined(judged[table], table) for table in judged]
    rows["quarantine"] = reduce(DataFrame.unionByName, rejected)
    for table in (*SILVER, "quarantine"):
        lake.ensure(table)
        if table in rows or lake.info(table).files:
            nothing = spark.createDataFrame([], ddl(lake.table(table)))
            replace(spark, lake, table, rows.get(table, nothing))


def _balance(lake: Lake, bronze: Mapping[str, DataFrame], judged: Mapping[str, DataFrame]) -> runs.Figures:
    """Print and check that every row is accounted for."""
    figures: runs.Figures = {}
    for table, rows in judged.items():
        counts = count_verdicts(rows)
        balance = Balance(table=table, lines=counts.pop("lines"), records=counts)
        console.line(f"  {balance.sentence()}")
        for reason, count in balance.rejected.items():
            console.line(f"    {reason:<20} {count:>10,}")
        described = lake.dataset(table).count_rows(filter=pc.field("source").is_valid())
        rejected = lake.dataset("quarantine").count_rows(filter=pc.field("table_name") == table)
        balance.check(bronze=bronze[table].count(), silver=described, quarantine=rejected)
        figures[table] = balance.figures()
    if from_behaviour := lake.dataset("items").count_rows(filter=pc.field("source").is_null()):
        console.line(f"  items: {from_behaviour:,} known from behaviour only")
        figures.setdefault("items", {})["from_behaviour"] = from_behaviour
    return figures


def _refuse_unknown_patterns(spark: SparkSession, sources: Sequence[Source]) -> None:
    for source in sources:
        for pattern in set(source.time_formats) - NAMED:
            try:
                spark.range(1).select(F.try_to_timestamp(F.lit("x"), F.lit(pattern))).first()
            except PySparkException as error:
                raise ConfigError(
                    f"sources.{source.name}.time_formats: {pattern!r} is neither iso, epoch_s, epoch_ms nor a datetime "
                    "pattern of Spark such as dd/MM/yyyy HH:mm"
                ) from error


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("clean", argv)


if __name__ == "__main__":
    sys.exit(main())
