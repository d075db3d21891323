"""Files and changes of Delta tables as they arrive into bronze tables: ingest under Structured Streaming.

A query a source, with its checkpoint below the lake. A batch is appended once whenever it is run again: Delta takes
each batch of a query once, and a file that is in bronze, whoever brought it, is not read anew.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.query import StreamingQuery

from jobs.ingest import RAW, Commit, append_files, append_rows, namer
from tandemrec import console
from tandemrec.config import Settings, Source
from tandemrec.errors import SourceError
from tandemrec.lake import Lake, runs, sources
from tandemrec.lake.lock import locked
from tandemrec.lake.spark import read
from tandemrec.pipeline import run_stage, stage
from tandemrec.pipeline.operations import operation_main

AfterBatch = Callable[[SparkSession, Settings], object]


def run(
    spark: SparkSession,
    settings: Settings,
    *,
    follow: bool = False,
    clean: bool = False,
    after_batch: AfterBatch | None = None,
) -> runs.Figures:
    """Append what has arrived since the last run of every source.

    Args:
        follow: go on until interrupted, looking for more every stream.interval_seconds; otherwise end when what is
            there now is in bronze.
        clean: run the stage clean after each batch and, unless it goes on, at the end, where it is not up to date: a
            batch that is run again brings nothing, and may be the one whose cleaning failed.
        after_batch: called after each batch, too.

    Returns:
        By source: files (of a Delta table: none) and rows appended.

    Raises:
        SourceError: a file is unreadable, changed since it was ingested, or lacks a mapped column; its batch is tried
            again by the next run.
    """
    lake = Lake.of(settings.lake)
    for table in RAW:
        lake.ensure(table)
    calls = [call for call in (_clean if clean else None, after_batch) if call]
    streams = [_Stream(spark, settings, lake, source, calls) for source in settings.sources]
    started: list[StreamingQuery] = []
    spark.streams.resetTerminated()  # those of an earlier run of this session
    try:
        for stream in streams:
            started.append(stream.start(follow=follow))
            if not follow:
                stream.await_end(started[-1])
        if follow:
            with suppress(StreamingQueryException):  # of any query: await_end tells which
                spark.streams.awaitAnyTermination()
            for stream, query in zip(streams, started, strict=True):
                if not query.isActive:
                    stream.await_end(query)
    finally:
        for query in started:
            query.stop()
    if clean and not follow:
        _clean(spark, settings)
    for stream in streams:
        console.line(
            f"  {stream.source.name}: {stream.figures['rows']:,} rows of {stream.figures['files']:,} new files"
        )
    return {stream.source.name: stream.figures for stream in streams}


class _Stream:
    """The query of one source."""

    batches = Lock()  # one batch at a time, of all sources: the memory is shared

    def __init__(
        self, spark: SparkSession, settings: Settings, lake: Lake, source: Source, calls: Sequence[AfterBatch]
    ) -> None:
        self.spark, self.settings, self.lake, self.source, self.calls = spark, settings, lake, source, calls
        self.named = namer(settings)
        self.figures = {"files": 0, "rows": 0}
        self.failure: Exception | None = None

    def start(self, *, follow: bool) -> StreamingQuery:
        root, options = self.settings.data.root, self.settings.stream
        if self.source.layout == "delta":
            self._refuse_what_was_ingested()
            rows = sources.changes(self.spark, self.source, root)
        else:
            rows = sources.arrivals(self.spark, self.source, root, files_at_once=options.files_per_batch)
        writer = (
            rows.writeStream.queryName(self.source.name)
            .option("checkpointLocation", f"{self.lake.root}/_checkpoints/{self.source.name}")
            .foreachBatch(self._batch)
        )
        if follow:
            return writer.trigger(processingTime=f"{options.interval_seconds} seconds").start()
        return writer.trigger(availableNow=True).start()

    def await_end(self, query: StreamingQuery) -> None:
        try:
            query.awaitTermination()
        except StreamingQueryException as error:
            raise (self.failure or error) from error

    def _batch(self, batch: DataFrame, number: int) -> None:
        try:
            with self.batches:
                # `ingest` looks at which files are in bronze, too: one of both at a time.
                with locked(self.lake, "ingest", wait_s=self.settings.lake.wait_s):
                    self._append(batch, number)
                for call in self.calls:
                    call(self.spark, self.settings)
        except Exception as error:
            self.failure = error  # the query ends with it, as a text of fifty lines
            raise

    def _append(self, batch: DataFrame, number: int) -> None:
        # Batches are numbered anew where the checkpoint was deleted; the query has another id then.
        query = self.spark.sparkContext.getLocalProperty("sql.streaming.queryId")
        commit = Commit(
            application=f"stream {self.source.name} {query}",
            version=number,
            run_id=runs.fingerprint("stream", query, number),
            started=runs.now(),
        )
        table = f"{self.source.table}_raw"
        before = self.lake.info(table).rows
        if self.source.layout == "delta":
            append_rows(sources.changed(batch, self.source, number), self.lake, self.source, commit, self.named)
        else:
            root = self.settings.data.root
            files = [file for file in sources.arrived(batch, root) if file.size]
            fresh = sources.new_files(self.source, files, self._known([file.name for file in files]))
            if fresh:
                append_files(self.spark, self.lake, self.source, root, fresh, commit, self.named)
            self.figures["files"] += len(fresh)
        self.figures["rows"] += self.lake.info(table).rows - before

    def _known(self, names: Sequence[str]) -> dict[str, int]:
        """Size by name of those of the files that are in bronze, members of archives included."""
        table = f"{self.source.table}_raw"
        archive = F.regexp_replace("file", rf"(?i)(\.zip){sources.MEMBER}.*", "$1")
        rows = read(self.spark, self.lake, table).where((F.col("source") == self.source.name) & archive.isin(names))
        return {row["file"]: row["file_size"] for row in rows.select("file", "file_size").distinct().collect()}

    def _refuse_what_was_ingested(self) -> None:
        rows = read(self.spark, self.lake, f"{self.source.table}_raw").where(F.col("source") == self.source.name)
        first = rows.select("file").first()
        if first is not None and not sources.is_change(first["file"]):
            raise SourceError(
                f"source {self.source.name}: {first['file']} was ingested as a file; the changes of a Delta table are "
                "streamed from the beginning or not at all: give the stream a source name of its own"
            )


def _clean(spark: SparkSession, settings: Settings) -> None:
    run_stage(settings, stage("clean"), spark=spark)


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("stream", argv)


if __name__ == "__main__":
    sys.exit(main())
