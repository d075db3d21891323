"""One Spark session and one Ray instance for the whole run, both started through the library.

With several processes (pytest -n 2) all tests that need Spark run in one of them, and all of them join the Ray instance
of the process that hands out the tests.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandemrec.config.root import RaySettings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

RAY_SETTINGS = RaySettings(cpus=2, object_store_mb=300)
SHARED_DATA = Path(os.environ.get("TANDEMREC_DATA", Path(__file__).parents[2] / "shared" / "data"))
RAY = "TANDEMREC_TEST_RAY"  # address of the instance to join
OF_SPARK = ("spark", "faults", "e2e")  # folders, in the order in which one process takes them


def pytest_configure(config: pytest.Config) -> None:
    hands_out = config.getoption("numprocesses", None) and not hasattr(config, "workerinput")
    if hands_out and not config.option.collectonly:
        import ray

        from tandemrec.engines.ray import start

        start(RAY_SETTINGS)
        os.environ[RAY] = ray.get_runtime_context().gcs_address
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # who joins an instance on loopback has to be on loopback


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = [item.path.parent.name for item in items]
    turns = [OF_SPARK.index(folder) if folder in OF_SPARK else len(OF_SPARK) for folder in folders]
    items[:] = [items[place] for place in sorted(range(len(items)), key=turns.__getitem__)]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    """Files of these folders go to one process, which is handed them first; of the others, file by file."""
    from xdist.scheduler import LoadScopeScheduling

    class ByEngine(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "spark" if Path(file).parent.name in OF_SPARK else file

    return ByEngine(config, log)


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    from tandemrec.config.root import SparkSettings
    from tandemrec.engines.spark import build_session

    # For tables of a hundred rows, adaptive execution makes a job of each shuffle and code is compiled that runs once:
    # together half of the time. Stages that run in processes of their own (test_local_cluster.py, test_kills.py) have
    # both. A session of two hundred tests fills 1 GB, and then collects garbage a sixth of the time.
    conf = {
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    }
    settings = SparkSettings(master="local[2]", driver_memory="2g", shuffle_partitions=2, conf=conf)
    session = build_session(settings, "tests")
    yield session
    session.stop()


@pytest.fixture(scope="module", autouse=True)
def _delta_forgets() -> Iterator[None]:
    """Delta keeps the log of each table that it has seen, a megabyte each: those of hundreds of lakes fill the heap."""
    yield
    if "pyspark.sql" in sys.modules and (session := sys.modules["pyspark.sql"].SparkSession.getActiveSession()):
        session._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    from tandemrec.engines.ray import ray_cluster

    with ray_cluster(RAY_SETTINGS.model_copy(update={"address": os.environ.get(RAY)})):
        yield


@pytest.fixture
def lake(tmp_path: Path):
    from tandemrec.lake import Lake

    return Lake(str(tmp_path / "lake"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data sets beside the checkout; never committed."""
    if not SHARED_DATA.is_dir():
        pytest.skip("public data sets are not here (TANDEMREC_DATA names their folder)")
    return SHARED_DATA
