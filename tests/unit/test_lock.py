"""Two processes on one lake: one waits or says who it waited for, a killed one holds nothing, and nothing is lost."""

import os
import signal
import subprocess
import sys
from argparse import Namespace

import pyarrow as pa
import pytest

from tandemrec.config import parse_settings
from tandemrec.errors import LockError
from tandemrec.lake import Lake, runs
from tandemrec.lake.lock import locked
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import run_stage, stage
from tandemrec.pipeline.operations import operation, run_operation

PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}

HOLD = """
import sys
from tandemrec.lake import Lake
from tandemrec.lake.lock import locked
with locked(Lake(sys.argv[1]), "report", wait_s=float(sys.argv[2])):
    print("holds it", flush=True)
    sys.stdin.readline()
"""
RECORD = """
import sys
from tandemrec.lake import Lake, runs
lake = Lake(sys.argv[1])
sys.stdin.readline()
for number in range(6):
    for name in (sys.argv[2], f"{sys.argv[2]}{number}"):
        runs.record(lake, runs.Run(run_id=name, stage="clean", status="done", started_at=runs.now(),
                                   seconds=float(number), inputs={}, outputs={}, config_hash="", code_version=""))
"""


def start(code, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_the_second_run_fails_or_waits_and_a_killed_one_holds_nothing(lake, capsys):
    first = start(HOLD, lake.root, "0")
    assert first.stdout.readline() == "holds it\n"
    settings = parse_settings({"data": {"root": "in"}, "lake": {"root": lake.root, "wait_s": 0}, "sources": [PAIRS]})
    with pytest.raises(
        LockError, match=rf"stage report of the lake at .* process {first.pid} on .* since 2\S+; waited 0"
    ):
        run_stage(settings, stage("report"))
    lake.ensure("items")
    with pytest.raises(LockError, match=rf"stage report .* process {first.pid}"):  # it changes tables of any stage
        run_operation(settings, operation("migrate"), Namespace(dry_run=False))
    run_operation(settings, operation("migrate"), Namespace(dry_run=True))
    with locked(lake, "clean", wait_s=0):  # another stage is another lock
        pass
    waiting = start(HOLD, lake.root, "60")
    assert f"is run by process {first.pid}" in " ".join(waiting.stdout.readline().split())
    os.kill(first.pid, signal.SIGKILL)
    said = ""
    while "holds it" not in said:  # the line that tells of waiting may be broken in two
        said = waiting.stdout.readline()
        assert said, "the waiting process ended without the lock"
    with pytest.raises(LockError, match=f"process {waiting.pid} on"):
        run_stage(settings, stage("report"))
    waiting.communicate("\n")
    with locked(lake, "report", wait_s=0):
        pass
    first.wait()


def test_rows_that_two_processes_record_at_once_are_all_kept(lake):
    one = {"stage": "clean", "status": "done", "started_at": runs.now(), "seconds": 9.0, "config_hash": ""}
    rows = [one | {"run_id": name, "code_version": "", "figures": "{}", "inputs": [], "outputs": []} for name in "ab"]
    lake.merge("runs", pa.Table.from_pylist(rows, arrow_schema(lake.table("runs"))))  # two rows in one file
    both = [start(RECORD, lake.root, name) for name in "ab"]
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    assert [process.wait() for process in both] == [0, 0]
    found = {run.run_id: run.seconds for run in runs.every(Lake(lake.root))}
    assert found == {f"{name}{n}": n for name in "ab" for n in range(6)} | {"a": 5, "b": 5}
