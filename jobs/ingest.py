"""Files as they are into bronze tables, each file once: one atomic append a source."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec import console
from tandemrec.clean import people
from tandemrec.config import Settings, Source
from tandemrec.lake import Lake, runs, sources
from tandemrec.lake.pseudonyms import pseudonym_key
from tandemrec.lake.scratch import UNPACKED
from tandemrec.lake.spark import append_once, read
from tandemrec.pipeline import run_identity, stage_main

RAW = ("events_raw", "items_raw", "reviews_raw", "relations_raw", "rows_raw")
Namer = Callable[[DataFrame, Source], DataFrame]


@dataclass(frozen=True, kw_only=True)
class Commit:
    """One append to bronze: Delta takes each version of an application once."""

    application: str
    version: int
    run_id: str
    started: datetime


def run(spark: SparkSession, settings: Settings) -> runs.Figures:
    """Append what is new of every source.

    Returns:
        By source: files and rows appended, and files that were in the lake already.

    Raises:
        ConfigError: ids shall become pseudonyms and there is no key; nothing is written then.
        SourceError: a file is missing, unreadable, changed since it was ingested, or lacks a mapped column; nothing of
            its source is appended then.
    """
    lake, named = Lake.of(settings.lake), namer(settings)
    for table in RAW:
        lake.ensure(table)
    known = _known_files(spark, lake)
    run_id, started = run_identity(settings, "ingest"), runs.now()
    return {
        source.name: _ingest(
            spark, lake, source, settings, known.get((f"{source.table}_raw", source.name), {}), run_id, started, named
        )
        for source in settings.sources
    }


def depends_on(settings: Settings) -> object:
    """Name and size of every source file. What lies behind a URL is listed by Spark, each time the stage is called."""
    if not sources.is_local(settings.data.root):
        return runs.now()
    return {
        source.name: [(file.name, file.size) for file in sources.list_files(source, settings.data.root)]
        for source in settings.sources
    }


def namer(settings: Settings) -> Namer:
    """What gives the people in a source's lines their pseudonyms; without the setting, lines as they are.

    Raises:
        ConfigError: the key is not there.
    """
    chosen = settings.data.pseudonymise
    if chosen is None:
        return lambda rows, _: rows
    key = pseudonym_key(chosen)

    def named(rows: DataFrame, source: Source) -> DataFrame:
        where = people.places(source, settings.sources, chosen.also)
        return rows.withColumn(
            "raw", people.on_lines(F.col("raw"), partial(people.pseudonymised, where=where, key=key))
        )

    return named


def _known_files(spark: SparkSession, lake: Lake) -> dict[tuple[str, str], dict[str, int]]:
    """By bronze table and source, which may have fed another table once: size by name of the files that are there."""
    known: dict[tuple[str, str], dict[str, int]] = {}
    for table in RAW:
        if lake.info(table).files:
            files = read(spark, lake, table).select("source", "file", "file_size").distinct()
            for source, file, size in files.collect():
                known.setdefault((table, source), {})[file] = size
    return known


def _ingest(
    spark: SparkSession,
    lake: Lake,
    source: Source,
    settings: Settings,
    known: Mapping[str, int],
    run_id: str,
    started: datetime,
    named: Namer,
) -> dict[str, int]:
    if any(sources.is_change(file) for file in known):
        console.line(f"  {source.name}: its changes are streamed")
        return {"files": 0, "rows": 0, "known_files": len(known)}
    table, root = f"{source.table}_raw", settings.data.root
    before = lake.info(table)
    files = sources.list_files(source, root, spark)
    # A file without a byte has no header either, which is told of a source that has nothing yet.
    fresh = [file for file in sources.new_files(source, files, known) if file.size or not known]
    appended = 0
    if fresh:
        # A retry of this append finds its version taken; a later run sees a newer table, thus a newer version.
        commit = Commit(application=f"ingest {source.name}", version=before.version, run_id=run_id, started=started)
        append_files(spark, lake, source, root, fresh, commit, named)
        appended = lake.info(table).rows - before.rows
    console.line(f"  {source.name}: {appended:,} rows of {len(fresh):,} new files, {len(files) - len(fresh):,} known")
    return {"files": len(fresh), "rows": appended, "known_files": len(files) - len(fresh)}


def append_files(
    spark: SparkSession,
    lake: Lake,
    source: Source,
    root: str,
    files: Sequence[sources.SourceFile],
    commit: Commit,
    named: Namer,
) -> None:
    """Append the rows of these files to the source's bronze table, all of them or none.

    Raises:
        SourceError: a file is unreadable or lacks a mapped column.
    """
    with sources.unpacked(files, f"{lake.root}/{UNPACKED}/{source.name}") as plain_files:
        with sources.readable(source, plain_files), sources.read_source(spark, source, plain_files, root) as rows:
            append_rows(rows, lake, source, commit, named)


def append_rows(rows: DataFrame, lake: Lake, source: Source, commit: Commit, named: Namer) -> None:
    """Append rows `file, file_size, line, raw` to the source's bronze table, unless this commit was made before."""
    rows = named(rows, source).select(
        F.lit(source.name).alias("source"),
        "file",
        "file_size",
        "line",
        "raw",
        F.lit(commit.run_id).alias("ingest_run"),
        F.lit(commit.started).alias("ingested_at"),
    )
    append_once(rows, lake, f"{source.table}_raw", application=commit.application, version=commit.version)


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("ingest", argv)


if __name__ == "__main__":
    sys.exit(main())
