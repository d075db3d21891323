"""A disk that is full while files are ingested: one line, no table half written, and later a run that does it."""

import json
import random
import subprocess

import pytest

from tandemrec.config import parse_settings
from tandemrec.errors import TableError
from tandemrec.lake import Lake
from tandemrec.pipeline import run_stage, stage


@pytest.fixture
def disk(tmp_path):
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_full_disk_is_one_line_and_the_stage_goes_on_when_there_is_space(spark, tmp_path, disk):
    draw = random.Random(1)
    (tmp_path / "data").mkdir()
    lines = [json.dumps({"i": f"{draw.getrandbits(400):x}"}) for _ in range(20_000)]  # 2 MB that do not shrink
    (tmp_path / "data" / "items.json").write_text("\n".join(lines))
    items = {"name": "goods", "table": "items", "kind": "json", "path": "items.json", "columns": {"item_id": "i"}}
    roots = {"data": {"root": str(tmp_path / "data")}, "lake": {"root": str(disk / "lake")}}
    settings = parse_settings(roots | {"sources": [items]})
    with pytest.raises(TableError, match=r"^ingest: no space left on device, which is that of .*lake") as caught:
        run_stage(settings, stage("ingest"), spark=spark)
    assert "\n" not in str(caught.value)
    assert Lake(str(disk / "lake")).read("items_raw").num_rows == 0
    subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
    assert run_stage(settings, stage("ingest"), spark=spark)["goods"]["rows"] == len(lines)
    assert sorted(Lake(str(disk / "lake")).read("items_raw")["raw"].to_pylist()) == sorted(lines)
