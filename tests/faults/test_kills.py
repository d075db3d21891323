"""Executors and drivers killed at a given point, and a full disk: the tables are the old ones or those of a quiet run.

What is killed runs as a user runs it, in a process of its own. The point is a file that appears in a table: a data file
(it is being written and not committed yet) or an entry of its log (it has just been committed).
"""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
import yaml
from user_process import ENVIRONMENT, ROOT, output_of, start

from tandemrec.cli import main
from tandemrec.config import load_settings
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import run_stage, stage
from tandemrec.sample import generate

pytestmark = pytest.mark.slow
CLEANED = ("events", "items", "reviews", "quarantine")
MADE = stage("examples").writes
DEADLINE = 600  # seconds: of a stage that takes ten on a quiet machine


def config(folder: Path, lake: Path, **sections) -> Path:
    """The settings of the demo on a small sample, over a lake of its own."""
    if not (folder / "data").exists():
        generate(folder / "data", users=60, items=40, events=1500, reviews=200, seed=5)
    raw = yaml.safe_load((ROOT / "conf" / "local.yaml").read_text())
    raw |= {"data": {"root": str(folder / "data")}, "lake": {"root": str(lake)}}
    for name, section in sections.items():
        raw[name] = raw.get(name, {}) | section
    path = folder / f"{lake.name}.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def files(lake: Lake, table: str) -> set[Path]:
    return set(Path(lake.path(table)).rglob("*"))


def data_file(lake: Lake, table: str) -> Callable[[], bool]:
    """Whether a data file of the table appeared that was not there."""
    before = files(lake, table)
    return lambda: any(
        file.suffix == ".parquet" and "_delta_log" not in file.parts for file in files(lake, table) - before
    )


def commit(lake: Lake, table: str, rows: int) -> Callable[[], bool]:
    """Whether the table got so many rows in a commit."""
    before = lake.version(table)

    def there() -> bool:
        now = lake.version(table)
        return now is not None and now != before and lake.info(table).rows == rows

    return there


def wait(process: subprocess.Popen, appeared: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not appeared():
        assert process.poll() is None, "the stage ended before the point at which it was to be killed"
        assert time.monotonic() < end, "the point was not reached"
        time.sleep(0.002)


def members(session: int, main_class: bytes) -> list[int]:
    """Process ids of a session of processes that run this class of Java."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            of_session = entry.name.isdigit() and os.getsid(int(entry.name)) == session
            if of_session and main_class in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def rows(lake: Lake, table: str) -> list[str]:
    if not lake.exists(table):
        return []
    return sorted(json.dumps(row, default=str, sort_keys=True) for row in lake.read(table).to_pylist())


def tables(lake: Lake, names: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: rows(lake, name) for name in names}


@pytest.fixture(scope="module")
def quiet(spark, tmp_path_factory):
    """A lake with bronze only, and what clean and examples make of it where nothing disturbs them."""
    folder = tmp_path_factory.mktemp("quiet")
    settings = load_settings(config(folder, folder / "lake"))
    run_stage(settings, stage("ingest"), spark=spark)
    shutil.copytree(folder / "lake", folder / "bronze")
    figures = run_stage(settings, stage("clean"), spark=spark)
    run_stage(settings, stage("examples"), spark=spark)
    lake = Lake(settings.lake.root)
    first = tables(lake, (*CLEANED, *MADE))
    changed = load_settings(config(folder, folder / "lake", examples={"history_length": 3}))
    run_stage(changed, stage("examples"), spark=spark)
    return folder, figures, first, tables(lake, MADE)


def test_a_killed_driver_leaves_whole_tables_and_a_rerun_makes_those_of_a_quiet_run(spark, quiet):
    folder, figures, expected, _ = quiet
    path = config(folder, folder / "killed")
    shutil.copytree(folder / "bronze", folder / "killed")
    settings = load_settings(path)
    lake = Lake(settings.lake.root)
    points = [
        ("clean", lambda: data_file(lake, "events")),  # between write and commit
        ("clean", lambda: commit(lake, "events", len(expected["events"]))),  # between two tables
        ("clean", lambda: commit(lake, "quarantine", len(expected["quarantine"]))),  # before the run is recorded
        ("examples", lambda: commit(lake, "items_vocabulary", len(expected["items_vocabulary"]))),
        ("examples", lambda: data_file(lake, "examples")),
    ]
    for number, (name, point) in enumerate(points):
        names = CLEANED if name == "clean" else MADE
        process = start(name, path)
        try:
            wait(process, point())
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert runs.latest(lake, name) is None, "it was killed too late"
        for table, found in tables(lake, names).items():
            assert found in ([], expected[table]), f"{table} is half written after kill {number}"
        if number in (2, 4):
            again = run_stage(settings, stage(name), spark=spark)
            assert tables(lake, names) == {table: expected[table] for table in names}
            if name == "clean":
                assert again == figures


PUBLISHED = ("predictions", "recommendations")


def stage_answers(lake: Lake, users: int, k: int) -> None:
    """What predict leaves for publish."""
    common = {"run_id": "trained", "model_version": "trained/1"}
    pairs = [{**common, "user_id": f"u{u}", "item_id": "i1", "scores": [("click", u / users)]} for u in range(users)]
    best = [
        {**common, "user_id": f"u{u}", "rank": r, "item_id": f"i{r}", "score": 1 / r, "reason": "popular"}
        for u in range(users)
        for r in range(1, k + 1)
    ]
    for name, found in zip(PUBLISHED, (pairs, best), strict=True):
        contract = lake.table(f"{name}_staging")
        lake.overwrite(contract.name, pa.Table.from_pylist(found, arrow_schema(contract)))


def test_a_killed_publish_leaves_the_old_answers_or_the_new_ones(spark, tmp_path):
    """Fewer users and places than before: rows leave as well, so that a half would show."""
    path = config(tmp_path, tmp_path / "lake")
    settings = load_settings(path)
    lake = Lake(settings.lake.root)
    stage_answers(lake, 500, 10)
    run_stage(settings, stage("publish"), spark=spark)
    old = tables(lake, PUBLISHED)
    stage_answers(lake, 300, 5)
    shutil.copytree(tmp_path / "lake", tmp_path / "quiet")
    again = load_settings(config(tmp_path, tmp_path / "quiet"))
    run_stage(again, stage("publish"), spark=spark)
    new = tables(Lake(again.lake.root), PUBLISHED)
    assert {name: len(found) for name, found in new.items()} == {"predictions": 300, "recommendations": 1500}
    before = runs.latest(lake, "publish")
    points = [
        lambda: data_file(lake, "predictions"),  # between write and commit
        lambda: commit(lake, "predictions", 300),  # between the two tables
        lambda: commit(lake, "recommendations", 1500),  # before the run is recorded
    ]
    for number, point in enumerate(points):
        process = start("publish", path)
        try:
            wait(process, point())
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        found = tables(lake, PUBLISHED)
        if runs.latest(lake, "publish") != before:  # on a busy machine the last kill comes after the run is recorded
            assert number > 0, "it was killed too late"
            assert found == new
            return
        for table in PUBLISHED:
            assert found[table] in (old[table], new[table]), f"{table} is half published after kill {number}"
    run_stage(settings, stage("publish"), spark=spark)
    assert tables(lake, PUBLISHED) == new


def test_a_killed_executor_changes_no_table(spark, quiet):
    folder, _, expected, changed = quiet
    shutil.copytree(folder / "bronze", folder / "cluster")
    of_cluster = {
        "master": "local-cluster[2,1,1024]",
        "conf": {"spark.sql.adaptive.enabled": "false", "spark.executorEnv.PYTHONPATH": ENVIRONMENT["PYTHONPATH"]},
    }
    path = config(folder, folder / "cluster", spark=of_cluster)
    lake = Lake(load_settings(path).lake.root)
    first = ("clean", lambda: data_file(lake, "items"), CLEANED, expected)
    second = ("examples", lambda: commit(lake, "items_vocabulary", len(expected["items_vocabulary"])), MADE, expected)
    merging = ("examples", lambda: data_file(lake, "examples"), MADE, changed)
    for name, point, names, wanted in (first, second, merging):
        if wanted is changed:  # the tables are there: the rows are merged into them
            config(folder, folder / "cluster", spark=of_cluster, examples={"history_length": 3})
        process = start(name, path)
        try:
            wait(process, point())
            victim = members(process.pid, b"CoarseGrainedExecutorBackend")[0]
            os.kill(victim, signal.SIGKILL)
            assert process.wait(DEADLINE) == 0, output_of(name, path).read_text()
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        assert tables(lake, names) == {table: wanted[table] for table in names}


def test_a_lost_java_process_is_one_line_that_says_so(spark, quiet):
    folder, _, expected, _ = quiet
    path = config(folder, folder / "lost")
    shutil.copytree(folder / "bronze", folder / "lost")
    lake = Lake(load_settings(path).lake.root)
    process = start("clean", path)
    wait(process, data_file(lake, "events"))
    os.kill(members(process.pid, b"SparkSubmit")[0], signal.SIGKILL)
    assert process.wait(DEADLINE) == 1
    *_, last = output_of("clean", path).read_text().splitlines()
    assert last.startswith("error: Spark's Java process ended with exit code -9") and "spark.driver_memory is" in last
    for table, found in tables(lake, CLEANED).items():
        assert found in ([], expected[table])
    run_stage(load_settings(path), stage("clean"), spark=spark)
    assert tables(lake, CLEANED) == {table: expected[table] for table in CLEANED}


def test_a_full_disk_is_one_line_and_the_stage_goes_on_when_there_is_space(spark, quiet, capsys):
    folder, figures, expected, _ = quiet
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.copytree(folder / "bronze", disk / "lake")
        path = config(folder, disk / "lake")
        path = path.rename(folder / "disk.yaml")
        lake = Lake(load_settings(path).lake.root)
        assert main(["clean", "--config", str(path), "--set", "clean.behaviour.session_gap_minutes=1"]) == 0
        before = tables(lake, CLEANED)
        free = os.statvfs(disk)
        (disk / "filler").write_bytes(b"0" * (free.f_bavail * free.f_frsize - 20_000))
        capsys.readouterr()
        assert main(["clean", "--config", str(path)]) == 1
        said = capsys.readouterr().err
        assert "no space left on device" in said and str(lake.root) in said.replace("\n", "")
        for table, found in tables(lake, CLEANED).items():
            assert found in (before[table], expected[table])
        assert tables(lake, CLEANED) != {table: expected[table] for table in CLEANED}
        (disk / "filler").unlink()
        assert main(["clean", "--config", str(path)]) == 0
        assert tables(lake, CLEANED) == {table: expected[table] for table in CLEANED}
        assert runs.latest(lake, "clean").figures == figures
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
