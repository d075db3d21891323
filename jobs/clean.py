"""Bronze rows judged, converted and deduplicated into the tables of silver.

New files are cleaned together with those rows of the lake that they may change, and merged. Everything is cleaned anew
where the settings, the code or the tables themselves changed since the last run, and where nothing is new.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

import pyarrow.compute as pc
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec import console
from tandemrec.clean import batches
from tandemrec.clean.balance import Balance, verdicts_of
from tandemrec.clean.batches import Batch
from tandemrec.clean.categories import as_in_tree, category_tree
from tandemrec.clean.cleaners import CLEANERS
from tandemrec.clean.history import history
from tandemrec.clean.items import known_from_behaviour
from tandemrec.clean.parse import absent_columns
from tandemrec.clean.rows import columns_of
from tandemrec.clean.times import NAMED, moment
from tandemrec.clean.unread import UNREAD, unread_times
from tandemrec.clean.verdicts import ACCEPTED, ORIGIN, UNMAPPED, in_sources, kept, quarantined, unmapped
from tandemrec.config import Settings, Source
from tandemrec.errors import ConfigError, SourceError, TableError
from tandemrec.lake import Lake, runs
from tandemrec.lake.scratch import Scratch
from tandemrec.lake.spark import merge, read, replace, since
from tandemrec.lake.types import ddl
from tandemrec.lake.versions import only_grew
from tandemrec.pipeline import stage, stage_main
from tandemrec.pipeline.harness import settings_hash

BEHAVIOUR = ("events", "reviews", "relations")
CATALOGUE = ("items", "items_history", "categories")


def run(spark: SparkSession, settings: Settings) -> runs.Figures:
    """Clean every table that has a source; write silver and quarantine.

    Returns:
        By table, of all rows that ever came in: how many, kept, former, merged and, by reason, rejected; of items also
        those known from behaviour only.

    Raises:
        ConfigError: a time format is no pattern.
        SourceError: no line of a json source has a mapped column.
        TableError: rows were lost or came twice.
    """
    _refuse_unknown_patterns(spark, settings.sources)
    lake = Lake.of(settings.lake)
    with Scratch(spark, lake, "clean") as scratch:
        cleaning = _Cleaning(spark, settings, lake, scratch)
        for table in CLEANERS:
            cleaning.settle(table)
        cleaning.write()
        return cleaning.balance()


@dataclass
class _Cleaning:
    """One run over all tables. `last` is the run that it goes on from; None: everything anew."""

    spark: SparkSession
    settings: Settings
    lake: Lake
    scratch: Scratch
    settled: dict[str, DataFrame] = field(default_factory=dict)
    moves: dict[str, batches.Moves] = field(default_factory=dict)
    held: dict[str, DataFrame] = field(default_factory=dict)
    bronze: dict[str, DataFrame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = moment(self.settings.clean.now) if self.settings.clean.now else runs.now()
        self.last = _continued(self.lake, self.settings)

    def sources(self, table: str) -> list[Source]:
        return [source for source in self.settings.sources if source.table == table]

    def settle(self, table: str) -> None:
        if not self.sources(table):
            return
        self.bronze[table] = self._new_lines(table)
        fresh = batches.new_rows(self._judge(table, self.bronze[table]))
        if self.last:
            fresh = self._with_revised(table, fresh)
            cleaner, fresh = CLEANERS[table], self.scratch.keep(fresh)
            batch = cleaner.batch(fresh, read(self.spark, self.lake, cleaner.cleaned), self.settings.clean)
            if batch.held is not None:
                self.held[table] = batch.held
        else:
            batch = Batch(rows=fresh)
        self.settled[table] = self.scratch.keep(CLEANERS[table].settle(batch, self.settings.clean))
        self.moves[table] = batches.count_moves(self.settled[table])

    def _judge(self, table: str, lines: DataFrame) -> DataFrame:
        known = None if self.any_item else self.known_items
        return CLEANERS[table].judge(lines, self.sources(table), self.settings, self.now, known)

    @property
    def known_items(self) -> DataFrame:
        """Of the sources; those of this run where items came in."""
        return kept(self.settled["items"], "items")

    @property
    def any_item(self) -> bool:
        return "items" not in self.settled or self.settings.clean.unknown_items == "keep"

    def _new_lines(self, table: str) -> DataFrame:
        """Lines in bronze of the sources of a table; of the files that are not cleaned yet where a run is continued."""
        name, sources = f"{table}_raw", self.sources(table)
        rows = read(self.spark, self.lake, name, version=self.lake.version(name)).where(in_sources(sources))
        rows = rows.where("raw IS NOT NULL")  # without lines of people who were forgotten
        if self.last:
            then = self.last.inputs[name]
            late = since(self.lake, name, then, "ingested_at")
            cleaned = read(self.spark, self.lake, name, version=then).where(late).select("source", "file").distinct()
            rows = rows.where(late).join(cleaned, ["source", "file"], "left_anti")
        for source in sources:
            own = rows.where(F.col("source") == source.name)
            self._refuse_absent(source, own)
            if (absent := absent_columns(own, source)) and not self._was_read(source):
                raise SourceError(
                    f"source {source.name}: no line of {source.path} has {absent[0]!r}, which the source maps; "
                    "expected a field of the JSON objects"
                )
        return rows

    def _was_read(self, source: Source) -> bool:
        """Whether the run before, whose settings were these, had lines of a source: then its fields are what they are
        called, and a few late lines need not show each of them.
        """
        if self.last is None:
            return False
        name = f"{source.table}_raw"
        before = read(self.spark, self.lake, name, version=self.last.inputs[name])
        return not before.where(in_sources([source]) & F.col("raw").isNotNull()).isEmpty()

    def _refuse_absent(self, source: Source, rows: DataFrame) -> None:
        """Refuse columns of `tabular` that a tabular source lacks."""
        if self.settings.tabular is None or not (found := columns_of(rows)):
            return
        for name, key in self.settings.tabular.columns.items():
            if name not in found:
                raise SourceError(
                    f"source {source.name}: {source.path} has no column {name!r}, which tabular.{key} names; "
                    f"found {found}"
                )

    def _with_revised(self, table: str, fresh: DataFrame) -> DataFrame:
        """With the rejected rows that may be accepted now."""
        reasons = CLEANERS[table].revisable
        where = (pc.field("table_name") == table) & pc.field("reason").isin(list(reasons))
        if not reasons or not self.lake.dataset("quarantine").count_rows(filter=where):
            return fresh
        quarantine = read(self.spark, self.lake, "quarantine")
        revised = quarantine.where((F.col("table_name") == table) & F.col("reason").isin(*reasons))
        lines = revised.select("source", "file", "line", "raw").distinct()
        return fresh.unionByName(batches.again(self._judge(table, lines), revised))

    def write(self) -> None:
        """What people did first: items known from it are read from there."""
        rows = {table: kept(self.settled[table], table) for table in self.settled}
        for table in (*BEHAVIOUR, "rows"):
            self._write(table, rows.get(table))
        if "items" in self.settled:
            rows["categories"] = self.scratch.keep(category_tree(self.settled["items"]))
            rows["items_history"] = as_in_tree(history(self.settled["items"]), rows["categories"])
            rows["items"] = as_in_tree(rows["items"], rows["categories"])
        if self.any_item and (bare := self._bare_items(rows)):
            rows["items"] = rows["items"].unionByName(bare) if "items" in rows else bare
        for table in CATALOGUE:
            self._write(table, rows.get(table))
        rejected = [quarantined(self.settled[table], table) for table in self.settled]
        self._write("quarantine", self._whole(reduce(DataFrame.unionByName, rejected)))

    def _write(self, table: str, rows: DataFrame | None) -> None:
        self.lake.ensure(table)
        if rows is not None and self.last and (table in self.held or table == "quarantine"):
            self._merge(table, rows)
        elif rows is not None or (not self.last and self.lake.info(table).files):
            nothing = self.spark.createDataFrame([], ddl(self.lake.table(table)))
            replace(self.spark, self.lake, table, nothing if rows is None else rows)

    def _bare_items(self, rows: dict[str, DataFrame]) -> DataFrame | None:
        tables = [table for table in ("events", "reviews") if table in rows]
        if not tables:
            return None
        if self.last and not self._rejected_again():
            known = read(self.spark, self.lake, "items").where(F.col("source").isNull())
            behaviour = [known, *(rows[table] for table in tables)]
        else:  # in columns, which a checkpoint is not
            behaviour = [read(self.spark, self.lake, table) for table in tables]
        ids = [table.select("item_id") for table in behaviour]
        return self.scratch.keep(known_from_behaviour(reduce(DataFrame.union, ids), rows.get("items")))

    def _rejected_again(self) -> bool:
        """Whether a row that was kept is rejected now: it may have been the last of its item."""
        moves = [move for moves in self.moves.values() for move in moves.counts]
        return any(was in ACCEPTED and verdict not in ACCEPTED for was, verdict in moves)

    def _merge(self, table: str, rows: DataFrame) -> None:
        key = list(self.lake.table(table).key)
        held = self._lifted() if table == "quarantine" else self.held[table].select(key)
        if self.lake.info(table).files or not rows.isEmpty():  # an append of nothing would be a version
            merge(self.spark, self.lake, table, rows, gone=held.join(rows, key, "left_anti"))

    def _lifted(self) -> DataFrame:
        """Origins of the rows that were in quarantine and were judged again."""
        was_rejected = F.col("was").isNotNull() & ~F.col("was").isin(*ACCEPTED)
        return reduce(DataFrame.union, [s.where(was_rejected).select(*ORIGIN) for s in self.settled.values()])

    def _whole(self, rejected: DataFrame) -> DataFrame:
        """Rejected rows with their lines, which bronze has of those that other rows have rejected."""
        names = [f"{table}_raw" for table, moves in self.moves.items() if moves.without_line]
        if not names:
            return rejected
        bare = rejected.where(F.col("raw").isNull())
        lines = reduce(DataFrame.union, [
            read(self.spark, self.lake, name).select("source", "file", "line", "raw") for name in names
        ])  # fmt: skip
        whole = bare.drop("raw").join(lines, ["source", "file", "line"], "left")
        return rejected.where(F.col("raw").isNotNull()).unionByName(whole)

    def balance(self) -> runs.Figures:
        """Print and check that every row is accounted for."""
        figures: runs.Figures = {}
        for table, moves in self.moves.items():
            before = verdicts_of(self.last.figures[table]) if self.last else {}
            balance = Balance(table=table, moves=moves.counts, lines=moves.lines, before=before)
            console.line(f"  {balance.sentence()}")
            for reason, count in sorted(balance.new.items()):
                if reason not in ACCEPTED:
                    console.line(f"    {reason:<20} {count:>10,}")
                if reason in UNMAPPED:
                    self._say_unmapped(table, reason)
                if reason == UNREAD:
                    self._say_unread(table)
            described = self.lake.dataset(table).count_rows(filter=pc.field("source").is_valid())
            rejected = self.lake.dataset("quarantine").count_rows(filter=pc.field("table_name") == table)
            versions = self.lake.dataset("items_history").count_rows() if table == "items" else None
            bronze = self.bronze[table].count()
            balance.check(bronze=bronze, silver=described, quarantine=rejected, history=versions)
            figures[table] = balance.figures()
        if from_behaviour := self.lake.dataset("items").count_rows(filter=pc.field("source").is_null()):
            console.line(f"  items: {from_behaviour:,} known from behaviour only")
            figures.setdefault("items", {})["from_behaviour"] = from_behaviour
        return figures

    def _say_unmapped(self, table: str, reason: str) -> None:
        for row in unmapped(self.settled[table], reason).collect():
            where = f"sources.{row['source']}.{UNMAPPED[reason][1]}"
            console.line(f"      {row['value']!r} {row['rows']:,}: map it in {where}")

    def _say_unread(self, table: str) -> None:
        for source in self.sources(table):
            for row in unread_times(self.settled[table], source).collect():
                where = f"sources.{source.name}.time_formats"
                console.line(f"      {row['value']!r} {row['rows']:,}: name its pattern in {where}")


def _continued(lake: Lake, settings: Settings) -> runs.Run | None:
    """The last run where only bronze grew since: same settings and code, and the tables as that run left them."""
    last = runs.latest(lake, "clean")
    if last is None or (last.config_hash, last.code_version) != (settings_hash(settings, "clean"), stage("clean").code):
        return None
    if any(lake.data_version(table) != version for table, version in last.outputs.items()):
        return None
    versions = [(version, lake.data_version(table) or 0) for table, version in last.inputs.items()]
    if any(now < then for then, now in versions) or not any(now > then for then, now in versions):
        return None  # --as-of; --force
    try:
        for table, version in last.inputs.items():
            lake.refuse_vacuumed(table, version)
            if not only_grew(lake.open(table), version):  # somebody took lines away, to have a file read anew
                return None
    except TableError:  # which files were cleaned is not known any more
        return None
    return last


def _refuse_unknown_patterns(spark: SparkSession, sources: Sequence[Source]) -> None:
    for source in sources:
        for pattern in set(source.time_formats) - NAMED:
            try:
                spark.range(1).select(F.try_to_timestamp(F.lit("x"), F.lit(pattern))).first()
            except PySparkException as error:
                raise ConfigError(
                    f"sources.{source.name}.time_formats: {pattern!r} is neither iso, epoch_s, epoch_ms, epoch_us, "
                    "epoch_ns nor a datetime pattern of Spark such as dd/MM/yyyy HH:mm"
                ) from error


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("clean", argv)


if __name__ == "__main__":
    sys.exit(main())
