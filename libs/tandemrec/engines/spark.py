"""The only place that builds a SparkSession."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession

from tandemrec.config.root import SparkSettings
from tandemrec.errors import MissingDependencyError

JAVA_ADVICE = (
    "Java 17 or 21 is needed by Spark and was not found: install one (Debian: apt-get install openjdk-17-jre-headless) "
    "or point JAVA_HOME at it"
)


def build_session(settings: SparkSettings, name: str = "tandemrec") -> SparkSession:
    """A session with Delta, UTC time and quiet logs; the one that runs already is used again."""
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None and not _on_a_cluster():
        raise MissingDependencyError(JAVA_ADVICE)
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    builder = SparkSession.builder.appName(name)
    if settings.master is not None:
        builder = builder.master(settings.master)
        if settings.master.startswith("local-cluster"):
            os.environ.setdefault("SPARK_HOME", str(Path(pyspark.__file__).parent))
    options = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(settings.shuffle_partitions),
        "spark.log.level": "ERROR",
    }
    if settings.master is not None and settings.master.startswith("local"):
        options |= {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.driver.memory": settings.driver_memory,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.databricks.delta.snapshotPartitions": "2",  # 50 by default: 50 tasks to read a log of ten lines
            "spark.sql.warehouse.dir": "spark-warehouse",
        }
    for key, value in (options | settings.conf).items():
        builder = builder.config(key, value)
    if not _on_a_cluster():
        builder = configure_spark_with_delta_pip(builder)
    return builder.getOrCreate()


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


def _on_a_cluster() -> bool:
    """On Databricks the session and Delta are there already."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ
