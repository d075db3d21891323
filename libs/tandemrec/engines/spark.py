"""The only place that builds a SparkSession."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession

from tandemrec.config.root import SparkSettings
from tandemrec.engines.java import find_java
from tandemrec.errors import MissingDependencyError


def build_session(settings: SparkSettings, name: str = "tandemrec") -> SparkSession:
    """A session with Delta, UTC time and quiet logs; the one that runs already is used again."""
    if SparkSession.getActiveSession() is None and not _on_a_cluster():
        os.environ["JAVA_HOME"] = str(find_java())
    builder = SparkSession.builder.appName(name)
    options = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.log.level": "ERROR",
    }
    if settings.master is not None:
        builder = builder.master(settings.master)
    if settings.master is not None and settings.master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # not the first python3 of PATH
        os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))  # for local-cluster
        options |= {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": settings.driver_memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.databricks.delta.snapshotPartitions": "2",  # 50 by default: 50 tasks to read a log of ten lines
            "spark.sql.warehouse.dir": tempfile.gettempdir(),
        }
    for key, value in (options | settings.conf).items():
        builder = builder.config(key, value)
    if not _on_a_cluster():
        builder = configure_spark_with_delta_pip(builder)
    with _java_speaks_to_a_file() as log:
        try:
            return builder.getOrCreate()
        except Exception as error:
            raise MissingDependencyError(f"Spark did not start: {_last_line(log)} (all it said: {log})") from error


@contextmanager
def spark_session(settings: SparkSettings) -> Iterator[SparkSession]:
    """A session that is stopped at the end, unless it ran before (a notebook's, the tests')."""
    outer = SparkSession.getActiveSession()
    session = build_session(settings)
    try:
        yield session
    finally:
        if outer is None and not _on_a_cluster():
            session.stop()


@contextmanager
def _java_speaks_to_a_file() -> Iterator[Path]:
    """Java inherits our standard error when it starts; what it says there (a hundred lines of package resolution,
    then logs) goes to a file, so that a person reads only what the stage prints.
    """
    log = Path(tempfile.gettempdir()) / f"tandemrec-spark-{os.getpid()}.log"
    own = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield log
    finally:
        os.dup2(own, 2)
        os.close(own)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    telling = [line for line in lines if line.strip() and not line.startswith("\tat")]
    return telling[-1] if telling else "it said nothing"


def _on_a_cluster() -> bool:
    """On Databricks the session and Delta are there already."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ
