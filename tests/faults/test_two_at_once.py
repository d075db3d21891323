"""Two runs of one stage at once on one lake, however they were started: one waits or says whom it waited for."""

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml
from user_process import ENVIRONMENT, ROOT

from tandemrec.lake import Lake, runs

pytestmark = pytest.mark.slow
COLUMNS = {"user_id": "u", "item_id": "i", "event_time": "t"}
COMMAND = ("-m", "tandemrec", "ingest")
JOB = ("-m", "jobs.ingest")
ROWS = 50


def start(*arguments, wait_s):
    command = [sys.executable, *arguments, "--set", f"lake.wait_s={wait_s}"]
    environment = os.environ | ENVIRONMENT | {"PYTHONUNBUFFERED": "1", "COLUMNS": "300"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, **pipes)


def said_until(process, words):
    """What a process says up to the line with these words; it goes on then."""
    said = []
    while words not in "".join(said):
        said.append(process.stdout.readline())
        assert said[-1], f"it ended and did not say {words!r}: {''.join(said)}"
    return "".join(said)


@pytest.mark.parametrize(("first", "second"), [(COMMAND, JOB), (JOB, COMMAND)], ids=["command first", "job first"])
def test_the_second_run_waits_or_fails_and_nothing_comes_twice(tmp_path, first, second):
    (tmp_path / "data").mkdir()
    lines = [json.dumps({"u": f"u{n}", "i": "i", "t": "2024-05-01T00:00:00Z"}) for n in range(ROWS)]
    (tmp_path / "data" / "log").write_text("\n".join(lines))
    source = {"name": "log", "table": "events", "kind": "json", "path": "log", "columns": COLUMNS}
    roots = {"data": {"root": str(tmp_path / "data")}, "lake": {"root": str(tmp_path / "lake")}}
    config = tmp_path / "settings.yaml"
    config.write_text(yaml.safe_dump(roots | {"sources": [source | {"constants": {"event_type": "click"}}]}))
    named, lake = ("--config", str(config)), Lake(str(tmp_path / "lake"))
    running = start(*first, *named, wait_s=0)
    started = [running]
    try:
        said_until(running, "ingest: files as they are")
        os.kill(running.pid, signal.SIGSTOP)  # it holds the lock, however fast it and slow the others are
        told = f"stage ingest of the lake at {lake.root} is run by process {running.pid} on"
        for refused in (start(*second, *named, wait_s=0), start("-m", "tandemrec", "migrate", *named, wait_s=0)):
            started.append(refused)
            said = refused.communicate()[0]
            assert refused.returncode == 1 and told in said and "waited 0 s" in said
        waiting = start(*second, *named, wait_s=600)
        started.append(waiting)
        assert told in said_until(waiting, "waiting up to 600 s")
        os.kill(running.pid, signal.SIGCONT)
        assert running.communicate() and running.returncode == 0
        said = waiting.communicate()[0]
        assert waiting.returncode == 0 and "ingest: up to date" in said
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    assert sorted(lake.read("events_raw")["raw"].to_pylist()) == sorted(lines)
    assert [run.status for run in runs.every(lake)] == ["done"]
