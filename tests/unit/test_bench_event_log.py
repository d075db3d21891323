"""What a benchmark reads from Spark's event log, on a log written by hand."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from event_log import read_work


def task(stage: int, run_ms: int, *, read: int = 0, written: int = 0, spilled: int = 0) -> dict:
    metrics = {
        "Executor Run Time": run_ms,
        "Disk Bytes Spilled": spilled,
        "Shuffle Read Metrics": {"Local Bytes Read": read, "Remote Bytes Read": 2 * read},
        "Shuffle Write Metrics": {"Shuffle Bytes Written": written},
    }
    return {"Event": "SparkListenerTaskEnd", "Stage ID": stage, "Task Metrics": metrics}


def test_bytes_are_summed_and_skew_is_of_the_worst_stage_that_counts(tmp_path):
    events = [
        {"Event": "SparkListenerApplicationStart"},
        {"Event": "SparkListenerJobStart", "Job ID": 0},
        {"Event": "SparkListenerJobStart", "Job ID": 1},
        {"Event": "SparkListenerTaskEnd", "Stage ID": 1},  # a task that failed before it began has no metrics
        *[task(0, 300, written=10) for _ in range(8)],
        task(0, 9000, written=10),  # uneven, but of a stage that reads files
        *[task(1, 250, read=1, spilled=5) for _ in range(9)],
        task(1, 700, read=1),
        task(1, 9000),  # of a union: reads files
        *[task(2, 20, read=1) for _ in range(9)],
        task(2, 400, read=1),  # uneven, but too short to tell
        *[task(3, 500, read=1) for _ in range(3)],
        task(3, 5000, read=1),  # uneven, but too few
    ]
    (tmp_path / "log").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    work = read_work(tmp_path)
    assert (work.jobs, work.shuffle_written, work.spilled) == (2, 90, 45)
    assert work.shuffle_read == 3 * (10 + 10 + 4)
    assert work.skew == 700 / 250
    assert work.most_uneven == "stage 1, 10 tasks, median 250 ms, longest 700 ms"
