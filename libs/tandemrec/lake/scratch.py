"""Rows that a stage computes once and reads several times, in files of the lake until the stage ends."""

from types import TracebackType
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from tandemrec.lake.store import Lake, address

FOLDER = "_scratch"
UNPACKED = "unpacked"  # members of archives, which Spark would not read below a name that begins with _


class Scratch:
    """A folder `_scratch/STAGE` of the lake, emptied when the stage begins and removed when it ends.

    Checkpoints of Spark, so what is kept has a plan of one step, whatever led to it, and a lost executor takes nothing
    with it. Measured against `persist(DISK_ONLY)`, filled and read three times: 10.8 against 13.1 seconds of processor
    time for a million events. `localCheckpoint` is a little faster, but fails with an executor.
    """

    def __init__(self, spark: SparkSession, lake: Lake, stage: str) -> None:
        self._spark, self._folder = spark, f"{address(lake.root)}/{FOLDER}/{stage}"
        self._before: str | None = None

    def __enter__(self) -> "Scratch":
        _remove(self._spark, self._folder)
        before = self._spark.sparkContext.getCheckpointDir()  # of Spark's own making, in the one that was asked for
        if before is not None and f"/{FOLDER}/" not in before:
            self._before = before.rsplit("/", 1)[0]
        self._spark.sparkContext.setCheckpointDir(self._folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._before is not None:
            self._spark.sparkContext.setCheckpointDir(self._before)
        _remove(self._spark, self._folder)

    def keep(self, rows: DataFrame) -> DataFrame:
        """The same rows, computed now."""
        return rows.checkpoint(eager=True)


def remove_scratch(spark: SparkSession, lake: Lake) -> None:
    """What stages that were killed have left; none may be running."""
    for folder in (FOLDER, UNPACKED):
        _remove(spark, f"{address(lake.root)}/{folder}")


def _remove(spark: SparkSession, folder: str) -> None:
    context: Any = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(folder)
    path.getFileSystem(context._jsc.hadoopConfiguration()).delete(path, True)
