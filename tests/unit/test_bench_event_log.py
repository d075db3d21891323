"""What a benchmark reads from Spark's event log, on a log written by hand."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))

from event_log import read_work


def task(stage: int, run_ms: int, *, place: int = 0, read: int = 0, written: int = 0, spilled: int = 0) -> dict:
    metrics = {
        "Executor Run Time": run_ms,
        "Disk Bytes Spilled": spilled,
        "Shuffle Read Metrics": {"Local Bytes Read": read, "Remote Bytes Read": 2 * read},
        "Shuffle Write Metrics": {"Shuffle Bytes Written": written},
    }
    return {"Event": "SparkListenerTaskEnd", "Stage ID": stage, "Task Info": {"Index": place}, "Task Metrics": metrics}


def test_bytes_are_summed_and_skew_is_of_the_worst_stage_that_counts(tmp_path):
    events = [
        {"Event": "SparkListenerApplicationStart"},
        {"Event": "SparkListenerJobStart", "Job ID": 0},
        {"Event": "SparkListenerJobStart", "Job ID": 1},
        {"Event": "SparkListenerTaskEnd", "Stage ID": 1},  # a task that failed before it began has no metrics
        *[task(0, 300, written=10) for _ in range(8)],
        task(0, 9000, written=10),  # uneven, but of a stage that reads files
        *[task(1, 250, read=1, spilled=5) for _ in range(9)],
        task(1, 700, read=3),
        task(1, 9000),  # of a union: reads files
        *[task(2, 20, read=1) for _ in range(9)],
        task(2, 400, read=1),  # uneven, but too short to tell
        *[task(3, 500, read=1) for _ in range(3)],
        task(3, 5000, read=1),  # uneven, but too few
    ]
    (tmp_path / "log").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    work = read_work(tmp_path)
    assert (work.jobs, work.shuffle_written, work.spilled) == (2, 90, 45)
    assert work.shuffle_read == 3 * (12 + 10 + 4)
    assert work.skew == 700 / 250
    told = "stage 1, 10 tasks, median 250 ms, longest 700 ms, which reads 3.00 times the median's bytes"
    assert work.most_uneven == told


def rdd(number: int, name: str, partitions: int, *parents: int) -> dict:
    return {"RDD ID": number, "Name": name, "Number of Partitions": partitions, "Parent IDs": list(parents)}


def test_the_sides_of_a_union_are_told_apart(tmp_path):
    """Twelve short tasks and eight long ones of one stage: no side is uneven until one of its own tasks is."""
    rdds = [
        rdd(1, "ShuffledRowRDD", 12),
        rdd(2, "ShuffledRowRDD", 8),
        rdd(3, "UnionRDD", 20, 1, 2),
        rdd(4, "MapPartitionsRDD", 20, 3),
    ]
    stage = {"Stage ID": 7, "Number of Tasks": 20, "RDD Info": rdds}
    submitted = {"Event": "SparkListenerStageSubmitted", "Stage Info": stage}
    even = [task(7, 200 if place < 12 else 4000, place=place, read=1) for place in range(20)]
    uneven = [*even[:11], task(7, 900, place=11, read=1), *even[12:]]
    for name, tasks in (("even", even), ("uneven", uneven)):
        (tmp_path / name).mkdir()
        lines = "".join(f"{json.dumps(event)}\n" for event in [submitted, *tasks])
        (tmp_path / name / "log").write_text(lines)
    assert read_work(tmp_path / "even").skew == 1
    assert read_work(tmp_path / "uneven").skew == 900 / 200
