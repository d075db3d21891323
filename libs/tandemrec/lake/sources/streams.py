"""Sources as streams: the files that arrive in a folder by name, and the changes of a Delta table as rows.

A stream of files only names them; they are read as ingest reads them, so that rows and line numbers are the same.
"""

import os
import re

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from tandemrec.config import Source
from tandemrec.errors import SourceError
from tandemrec.lake.sources.layouts import record
from tandemrec.lake.sources.listing import SourceFile, is_local, listed_by_spark, plain_path

_NAMED = "path string, modificationTime timestamp, length long, content binary"  # of binaryFile; no content is read
_CHANGE = "@version="
_CHANGE_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")


def arrivals(spark: SparkSession, source: Source, root: str, *, files_at_once: int) -> DataFrame:
    """A stream of the source's files: path, length.

    Raises:
        SourceError: there is no such folder.
    """
    place = f"{root.rstrip('/')}/{source.path}"
    if is_local(root) and os.path.exists(plain_path(place)):
        place = re.sub(r"([\[\]{}*?\\])", r"\\\1", place)  # a name, not a glob
    reader = (
        spark.readStream.format("binaryFile")
        .schema(_NAMED)
        .options(
            recursiveFileLookup="true",
            ignoreMissingFiles="true",  # one that was taken away again before it was read
            maxFilesPerTrigger=files_at_once,
            maxFileAge="36500d",  # by default Spark passes over files that are a week older than the newest
        )
    )
    try:
        return reader.load(place).select("path", "length")
    except AnalysisException as error:
        raise SourceError(
            f"source {source.name}: nothing at {source.path} below data.root, which is {root}; expected a folder that "
            "files arrive in, or a glob that matches some"
        ) from error


def arrived(batch: DataFrame, root: str) -> list[SourceFile]:
    """The files that a batch of `arrivals` names."""
    return sorted((listed_by_spark(row, root) for row in batch.collect()), key=lambda file: file.name)


def changes(spark: SparkSession, source: Source, root: str) -> DataFrame:
    """A stream of a Delta table's rows as they are now and then of its changes.

    Raises:
        SourceError: there is no such table.
    """
    place = f"{root.rstrip('/')}/{source.path}".rstrip("/")
    try:
        return spark.readStream.format("delta").option("readChangeFeed", "true").load(place)
    except AnalysisException as error:
        raise SourceError(f"source {source.name}: {place} is no Delta table with a change data feed") from error


def changed(batch: DataFrame, source: Source, batch_id: int) -> DataFrame:
    """Bronze rows `file, file_size, line, raw` of a batch of `changes`: inserted rows and what rows were updated to.

    What was deleted stays in bronze, as a line does whose file is gone. `file` is TABLE@version=V,batch=B, as rows
    of a stream have no file, and `line` only tells its rows apart. V and B are of one width: where nothing else tells
    the later of two rows, the order of their files does, and as texts 10 comes before 9.
    """
    schema = StructType([field for field in batch.schema if field.name not in _CHANGE_COLUMNS])
    version = F.lpad(F.col("_commit_version").cast("string"), 20, "0")
    return batch.where(F.col("_change_type").isin("insert", "update_postimage")).select(
        F.concat(F.lit(source.path.rstrip("/") + _CHANGE), version, F.lit(f",batch={batch_id:010}")).alias("file"),
        F.lit(0).cast("bigint").alias("file_size"),
        (F.monotonically_increasing_id() + 1).alias("line"),
        record(source, schema, file=source.path).alias("raw"),
    )


def is_change(file: str) -> bool:
    """Whether the `file` of a bronze row is a change of a Delta table."""
    return _CHANGE in file
