"""The only place that builds a SparkSession.

`python -m tandemrec.engines.spark` prints the Maven coordinates of Delta, for `spark-submit --packages`.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pyspark
from delta import configure_spark_with_delta_pip
from py4j.protocol import Py4JError, Py4JJavaError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from tandemrec.config.root import SparkSettings
from tandemrec.engines.java import find_java
from tandemrec.engines.quiet import log_of, standard_error_in_a_file
from tandemrec.errors import EngineError, MissingDependencyError


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
        "spark.checkpoint.compress": "true",
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
            # What was run is kept for a page that nobody sees: a megabyte a query, until memory runs out.
            "spark.sql.ui.retainedExecutions": "5",
            "spark.ui.retainedJobs": "20",
            "spark.ui.retainedStages": "20",
            "spark.ui.retainedTasks": "100",
            "spark.driver.memory": settings.driver_memory,
            # Of a small heap on few cores: the whole of ingest, clean and examples took a fifth less time.
            "spark.driver.defaultJavaOptions": "-XX:+UseSerialGC",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            # By default a log of ten lines is read in 50 tasks and summed up at each commit: a third of a small write.
            "spark.databricks.delta.snapshotPartitions": "1",
            "spark.databricks.delta.writeChecksumFile.enabled": "false",
            "spark.sql.warehouse.dir": tempfile.gettempdir(),
        }
    for key, value in (options | settings.conf).items():
        builder = builder.config(key, value)
    if not _on_a_cluster():
        builder = configure_spark_with_delta_pip(builder)
    with standard_error_in_a_file("spark") as log:
        try:
            session = builder.getOrCreate()
        except Exception as error:
            raise MissingDependencyError(f"Spark did not start: {_last_line(log)} (all it said: {log})") from error
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        _refuse_without_delta(session)
    return session


def delta_package() -> str:
    """Maven coordinates of the Delta that goes with the installed pyspark and delta-spark."""
    package: str = configure_spark_with_delta_pip(SparkSession.Builder())._options["spark.jars.packages"]
    return package


def _refuse_without_delta(session: SparkSession) -> None:
    """spark-submit starts Java before the settings are read: the packages that they name come too late."""
    java: Any = session.sparkContext._jvm
    loader = java.java.lang.Thread.currentThread().getContextClassLoader()
    try:
        loader.loadClass("io.delta.sql.DeltaSparkSessionExtension")
    except Py4JJavaError as error:
        raise MissingDependencyError(
            f"spark-submit started Java without Delta, expected --packages {delta_package()} (or its jars in --jars)"
        ) from error


@contextmanager
def spark_session(settings: SparkSettings) -> Iterator[SparkSession]:
    """A session that is stopped at the end, unless it ran before (a notebook's, the tests')."""
    outer = SparkSession.getActiveSession()
    session = build_session(settings)
    try:
        yield session
    finally:
        if outer is None and not _on_a_cluster() and _ended() is None:
            session.stop()


def refuse_lost(error: Exception, settings: SparkSettings) -> None:
    """Where Java is gone, say so: what comes of it in Python is a refused connection or a call without an answer, as it
    happens, and neither names a cause.

    Raises:
        EngineError: `error` is of a Java process, started by this one, that has ended.
    """
    answered = isinstance(error, Py4JJavaError)  # then Java lives, and is not waited for
    lost = isinstance(error, Py4JError | ConnectionError) and not answered
    if lost and (code := _ended(wait_s=3)) is not None:
        raise EngineError(
            f"Spark's Java process ended with exit code {code}, most often for want of memory (spark.driver_memory is "
            f"{settings.driver_memory}) or killed as the machine had none left; no table is half written: give it more "
            f"and run the stage again (what it said: {log_of('spark')})"
        ) from error


def _ended(*, wait_s: float = 0) -> int | None:
    """The exit code of the Java process that this one started; None while it lives, or where another started it."""
    process = getattr(SparkContext._gateway, "proc", None)
    try:
        return None if process is None else process.wait(wait_s)
    except TimeoutExpired:
        return None


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    telling = [line for line in lines if line.strip() and not line.startswith("\tat")]
    return telling[-1] if telling else "it said nothing"


def _on_a_cluster() -> bool:
    """On Databricks the session and Delta are there already."""
    return "DATABRICKS_RUNTIME_VERSION" in os.environ


if __name__ == "__main__":
    print(delta_package())
