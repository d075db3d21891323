"""What a built wheel holds, and that its entry points start from anywhere."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tandemrec.pipeline import STAGES

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
