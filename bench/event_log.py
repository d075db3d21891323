"""What a run of Spark cost, from its event log (spark.eventLog.enabled, neither compressed nor rolled)."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

FEWEST_TASKS = 8
SHORTEST_MEDIAN_MS = 200  # below it a task is mostly its start


@dataclass(frozen=True, kw_only=True)
class Work:
    """Bytes over all tasks. `skew`: of the tasks that do the same to the parts of one shuffle, FEWEST_TASKS or more
    with a median of SHORTEST_MEDIAN_MS or more, the largest ratio of the longest to the median one; 0 where there are
    none. A stage that is a union does one thing for each of its sides, and what its sides differ in says nothing of
    keys. `most_uneven` says what the longest task reads too: one that reads no more than the others is not late for its
    keys, but for its start (the first tasks of a stage wait for its code to be compiled) or for other work.
    """

    jobs: int
    shuffle_read: int
    shuffle_written: int
    spilled: int
    skew: float
    most_uneven: str


def read_work(folder: Path) -> Work:
    """Sum up the one log in a folder."""
    jobs = read = written = spilled = 0
    sides: dict[int, list[int]] = {}
    tasks: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for path in folder.iterdir():
        with path.open(encoding="utf-8") as lines:
            for event in map(json.loads, lines):
                if event["Event"] == "SparkListenerJobStart":
                    jobs += 1
                elif event["Event"] == "SparkListenerStageSubmitted":
                    sides[event["Stage Info"]["Stage ID"]] = sides_of(event["Stage Info"])
                elif event["Event"] == "SparkListenerTaskEnd" and (metrics := event.get("Task Metrics")):
                    of_shuffle = metrics["Shuffle Read Metrics"]
                    from_shuffle = of_shuffle["Local Bytes Read"] + of_shuffle["Remote Bytes Read"]
                    read += from_shuffle
                    written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                    spilled += metrics["Disk Bytes Spilled"]
                    if from_shuffle:
                        stage, place = event["Stage ID"], event["Task Info"]["Index"]
                        side = sum(place >= first for first in sides.get(stage, []))
                        tasks[stage, side].append((metrics["Executor Run Time"], from_shuffle))
    skew, most_uneven = 0.0, "none"
    for (stage, _), done in tasks.items():
        (longest, its_bytes), middle = max(done), median(milliseconds for milliseconds, _ in done)
        if len(done) >= FEWEST_TASKS and middle >= SHORTEST_MEDIAN_MS and longest / middle > skew:
            skew = longest / middle
            more = its_bytes / median(read for _, read in done)
            times = f"median {middle:.0f} ms, longest {longest} ms"
            most_uneven = f"stage {stage}, {len(done)} tasks, {times}, which reads {more:.2f} times the median's bytes"
    return Work(
        jobs=jobs, shuffle_read=read, shuffle_written=written, spilled=spilled, skew=skew, most_uneven=most_uneven
    )


def sides_of(stage: Mapping[str, Any]) -> list[int]:
    """At which of its tasks the second and each further side of a stage's last union begins."""
    parts = {rdd["RDD ID"]: rdd for rdd in stage["RDD Info"]}
    unions = [
        rdd
        for rdd in parts.values()
        if rdd["Name"] == "UnionRDD"
        and rdd["Number of Partitions"] == stage["Number of Tasks"]
        and parts.keys() >= set(rdd["Parent IDs"])
    ]
    if not unions:
        return []
    starts = [0]
    for parent in max(unions, key=lambda rdd: rdd["RDD ID"])["Parent IDs"]:
        starts.append(starts[-1] + parts[parent]["Number of Partitions"])
    return [end for _, end in pairwise(starts)][:-1]
