"""One small lake for all end-to-end tests."""

from pathlib import Path

import pytest
import yaml

from tandemrec.cli import main

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def line(tmp_path_factory, spark, ray_local):
    """A lake that `tandemrec run` has filled from a small sample; returns its config file."""
    folder = tmp_path_factory.mktemp("line")
    sizes = ["--users", "150", "--items", "80", "--events", "4000", "--reviews", "400"]
    assert main(["sample", "--out", str(folder / "data"), *sizes]) == 0
    raw = yaml.safe_load((ROOT / "conf" / "local.yaml").read_text())
    raw["data"]["root"], raw["lake"]["root"] = str(folder / "data"), str(folder / "lake")
    raw["report"] = {"path": str(folder / "report.html")}
    raw["embed"] = {"encoder": {"model": "tiny:1"}}
    raw.setdefault("train", {})["max_epochs"] = 2
    raw["evaluate"] = {"resamples": 50}
    config = folder / "conf.yaml"
    config.write_text(yaml.safe_dump(raw))
    assert main(["run", "--config", str(config)]) == 0
    return config
