"""What a run of Spark cost, from its event log (spark.eventLog.enabled, neither compressed nor rolled)."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

FEWEST_TASKS = 8
SHORTEST_MEDIAN_MS = 200  # below it a task is mostly its start


@dataclass(frozen=True, kw_only=True)
class Work:
    """Bytes over all tasks. `skew`: of the tasks of a stage that read a shuffle, of FEWEST_TASKS and a median of
    SHORTEST_MEDIAN_MS or more, the largest ratio of the longest to the median one; 0 where there is no such stage. What
    else a stage does (a union has tasks that read files) says nothing of keys.
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
    durations: dict[int, list[int]] = defaultdict(list)
    for path in folder.iterdir():
        with path.open(encoding="utf-8") as lines:
            for event in map(json.loads, lines):
                if event["Event"] == "SparkListenerJobStart":
                    jobs += 1
                elif event["Event"] == "SparkListenerTaskEnd" and (metrics := event.get("Task Metrics")):
                    of_shuffle = metrics["Shuffle Read Metrics"]
                    from_shuffle = of_shuffle["Local Bytes Read"] + of_shuffle["Remote Bytes Read"]
                    read += from_shuffle
                    written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
                    spilled += metrics["Disk Bytes Spilled"]
                    if from_shuffle:
                        durations[event["Stage ID"]].append(metrics["Executor Run Time"])
    skew, most_uneven = 0.0, "none"
    for stage, times in durations.items():
        middle = median(times)
        if len(times) >= FEWEST_TASKS and middle >= SHORTEST_MEDIAN_MS and max(times) / middle > skew:
            skew = max(times) / middle
            most_uneven = f"stage {stage}, {len(times)} tasks, median {middle:.0f} ms, longest {max(times)} ms"
    return Work(
        jobs=jobs, shuffle_read=read, shuffle_written=written, spilled=spilled, skew=skew, most_uneven=most_uneven
    )
