"""What keeps tables small and quick, and lets what was deleted go: OPTIMIZE, VACUUM, a shorter log.

None of it changes a row. The commits that it makes say which version's rows they hold (`data_version`), so that no
stage runs because files were packed anew.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from delta.tables import DeltaTable as SparkTable
from deltalake import CommitProperties
from pyarrow import fs
from pyspark.sql import SparkSession

from tandemrec.lake.contracts import CONTRACT_VERSION, VERSION_PROPERTY
from tandemrec.lake.store import Lake, address
from tandemrec.lake.versions import OPTIMIZE, mark, since_data

SMALL_FILE = 32_000_000
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """The live files of a table. `small` are those below 32 MB, `mean_size` is in bytes; `without_statistics` have no
    minimum and maximum by which a reader could skip them.
    """

    files: int
    mean_size: float
    small: int
    without_statistics: int


def file_report(lake: Lake, name: str) -> FileReport:
    """From the transaction log alone."""
    actions = pa.table(lake.open(name).get_add_actions(flatten=True))
    size = actions["size_bytes"]
    return FileReport(
        files=actions.num_rows,
        mean_size=pc.mean(size).as_py() or 0.0,
        small=pc.sum(pc.less(size, SMALL_FILE)).as_py() or 0,
        without_statistics=actions["num_records"].null_count,
    )


def optimize(spark: SparkSession, lake: Lake, name: str) -> bool:
    """Pack small files into larger ones, rows that are looked up together side by side.

    Delta writes the statistics of every file that it packs. Rows are ordered along a Z-curve of the contract's
    `cluster_by`: tables with liquid clustering could not be written by delta-rs. Rows that were packed already are
    left as they are.

    Returns:
        Whether files were written.
    """
    table = lake.open(name)
    if len(table.file_uris()) < 2 or OPTIMIZE in since_data(table):
        return False
    columns = lake.table(name).cluster_by
    with _marked(spark, mark(table)):
        packing = SparkTable.forPath(spark, lake.path(name)).optimize()
        packed = packing.executeZOrderBy(*columns) if columns else packing.executeCompaction()
        first = packed.select("metrics.numFilesAdded").first()
    return first is not None and first[0] > 0


def purge_deletion_vectors(spark: SparkSession, lake: Lake, name: str) -> None:
    """Write anew the files of which rows are only marked as deleted; the library's own tables have none."""
    if "deletionVectors" in (lake.open(name).protocol().writer_features or []):
        spark.sql(f"REORG TABLE delta.`{lake.path(name)}` APPLY (PURGE)")


def vacuum(lake: Lake, name: str, *, retain_hours: int, dry_run: bool = False) -> int:
    """Remove files that no version of the last hours needs, and what killed writers left.

    Returns:
        How many files are removed, or would be.
    """
    table = lake.open(name)
    hours = {"retention_hours": retain_hours, "enforce_retention_duration": False, "full": True}
    needless = table.vacuum(dry_run=True, **hours)
    if needless and not dry_run:
        properties = CommitProperties(custom_metadata={"userMetadata": mark(table)})
        table.vacuum(dry_run=False, commit_properties=properties, **hours)
    return len(needless)


def shorten_log(lake: Lake, name: str) -> None:
    """Leave of a table's log what its newest version needs: a checkpoint and the newest commit.

    The log holds minima and maxima of columns, of files that are gone too. Older versions cannot be read any more.
    """
    table = lake.open(name)
    if since_data(table)[0] not in ("VACUUM END", "SET TBLPROPERTIES"):  # the newest commit stays: one without files
        properties = CommitProperties(custom_metadata={"userMetadata": mark(table)})
        version = {VERSION_PROPERTY: table.metadata().configuration.get(VERSION_PROPERTY, CONTRACT_VERSION)}
        table.alter.set_table_properties(version, raise_if_not_exists=False, commit_properties=properties)
        table = lake.open(name)
    table.create_checkpoint()
    files, folder = fs.FileSystem.from_uri(address(f"{lake.path(name)}/_delta_log"))
    for file in files.get_file_info(fs.FileSelector(folder)):
        numbered = re.match(r"\.?(\d{20})\.", file.base_name)
        # A checksum (.crc) may hold the statistics of all files that were live before the checkpoint.
        if numbered and (int(numbered[1]) < table.version() or file.base_name.endswith(".crc")):
            files.delete_file(file.path)


@contextmanager
def _marked(spark: SparkSession, text: str) -> Iterator[None]:
    spark.conf.set(_METADATA, text)
    try:
        yield
    finally:
        spark.conf.unset(_METADATA)
