"""One Spark session and one Ray instance for the whole run, both started through the library."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

SHARED_DATA = Path(os.environ.get("TANDEMREC_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def spark() -> Iterator[object]:
    from tandemrec.config.root import SparkSettings
    from tandemrec.engines.spark import build_session

    # Adaptive execution makes a job of each shuffle: for tables of a hundred rows it is most of the time.
    conf = {"spark.sql.adaptive.enabled": "false"}
    session = build_session(SparkSettings(master="local[2]", shuffle_partitions=2, conf=conf), "tests")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def ray_local() -> Iterator[None]:
    from tandemrec.config.root import RaySettings
    from tandemrec.engines.ray import ray_cluster

    with ray_cluster(RaySettings(cpus=2, object_store_mb=200)):
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
