"""Executors of their own, each in a process: the tables are what one process makes, row for row."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tandemrec.config import load_settings
from tandemrec.lake import Lake

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / "local.yaml"
OF_THE_RUN = {"ingest_run", "ingested_at"}
TABLES = (
    *("events_raw", "items_raw", "reviews_raw"),
    *("events", "items", "items_history", "categories", "reviews", "quarantine"),
    *("users_vocabulary", "items_vocabulary", "texts_vocabulary", "attributes_vocabulary"),
    *("examples", "item_features", "user_features"),
)
STAGES = """
import sys
from jobs import build_examples, clean, ingest
from tandemrec.config import load_settings
from tandemrec.engines.spark import spark_session
settings = load_settings(sys.argv[1], sys.argv[2:])
with spark_session(settings.spark) as spark:
    for job in (ingest, clean, build_examples):
        job.run(spark, settings)
    print("executors", spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() - 1)
"""


def lake_made_by(master: str, data: Path, root: Path) -> tuple[Lake, str]:
    """Ingest, clean and examples in a process of their own."""
    overrides = [f"data.root={data}", f"lake.root={root}", f"spark.master={master}"]
    python_path = os.pathsep.join([str(ROOT / "libs"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", STAGES, str(CONF), *overrides],
        env=os.environ | {"PYTHONPATH": python_path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Lake.of(load_settings(CONF, overrides).lake), done.stdout


def rows_of(lake: Lake, table: str) -> list[str]:
    return sorted(
        repr(sorted((name, value) for name, value in row.items() if name not in OF_THE_RUN))
        for row in lake.read(table).to_pylist()
    )


def test_a_cluster_makes_the_same_tables_as_one_process(tmp_path):
    data = tmp_path / "data"
    sizes = {"users": 200, "items": 300, "events": 4_000, "reviews": 300, "seed": 3}
    words = [word for name, size in sizes.items() for word in (f"--{name}", str(size))]
    subprocess.run(
        [sys.executable, "-m", "tandemrec", "sample", "--engine", "spark", "--out", str(data), *words], check=True
    )
    alone, _ = lake_made_by("local[2]", data, tmp_path / "local")
    spread, said = lake_made_by("local-cluster[2,1,1024]", data, tmp_path / "cluster")
    assert "executors 2" in said
    for table in TABLES:
        expected = rows_of(alone, table)
        assert expected, table
        assert rows_of(spread, table) == expected, table
