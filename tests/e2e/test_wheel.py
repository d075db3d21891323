"""What a built wheel holds, and that its entry points start from anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pyspark
import pytest
import yaml

from tandemrec.engines.java import find_java
from tandemrec.engines.spark import delta_package
from tandemrec.lake import Lake, runs
from tandemrec.pipeline import STAGES
from tandemrec.sample import generate

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """A folder with the wheel installed, without its dependencies."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT)], check=True)
    wheel = next(folder.glob("tandemrec-*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"tandemrec", "jobs", "ray_train"}
    shown = {f"tandemrec/conf/{path.name}" for path in (ROOT / "conf").glob("*.yaml")}
    assert {name for name in names if name.startswith("tandemrec/conf/")} == shown
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)
    return folder / "site"


@pytest.mark.slow
@pytest.mark.parametrize("module", ["tandemrec", *(stage.module for stage in STAGES)])
def test_an_entry_point_of_the_wheel_says_what_it_takes(site, tmp_path, module):
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0
    assert "usage:" in done.stdout


@pytest.mark.slow
def test_whoever_has_the_wheel_alone_can_begin(site, tmp_path):
    for words in (["settings", "local"], ["sample", "--out", "data/demo", "--users", "20", "--events", "500"]):
        command = [sys.executable, "-m", "tandemrec", *words]
        subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(site)}, check=True)
    text = (tmp_path / "conf" / "local.yaml").read_text()
    assert text == (ROOT / "conf" / "local.yaml").read_text()
    assert all(list((tmp_path / "data" / "demo").glob(source["path"])) for source in yaml.safe_load(text)["sources"])


@pytest.mark.slow
def test_spark_submit_starts_a_job_of_the_wheel(site, tmp_path):
    generate(tmp_path / "data", users=20, items=30, events=500, reviews=40, seed=1)
    raw = yaml.safe_load((ROOT / "conf" / "local.yaml").read_text())
    raw |= {"data": {"root": str(tmp_path / "data")}, "lake": {"root": str(tmp_path / "lake")}}
    (tmp_path / "conf.yaml").write_text(yaml.safe_dump(raw))
    home = Path(pyspark.__file__).parent
    own = {"PYTHONPATH": str(site), "SPARK_HOME": str(home), "JAVA_HOME": str(find_java())}

    def submit(*options, job="ingest"):
        command = [str(home / "bin" / "spark-submit"), "--master", "local[2]", *options, str(site / f"jobs/{job}.py")]
        return subprocess.run(
            [*command, "--config", "conf.yaml", "--set", "spark.master=null"],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if not name.startswith("PYSPARK_")}
            | {"PYSPARK_PYTHON": sys.executable, **own},
            capture_output=True,
            text=True,
        )

    bare = submit()
    assert bare.returncode == 1
    assert f"started Java without Delta, expected --packages {delta_package()}" in " ".join(bare.stdout.split())
    for job in ("ingest", "clean"):
        done = submit("--packages", delta_package(), job=job)
        assert done.returncode == 0, done.stdout + done.stderr
    lake = Lake(str(tmp_path / "lake"))
    assert [run.stage for run in runs.every(lake) if run.status == "done"] == ["clean", "ingest"]
    assert lake.info("events").rows > 400
