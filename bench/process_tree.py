"""Peak memory of a command with all its descendants (Java, Ray's daemons and workers), from /proc.

Proportional set size is summed: a page that several processes share (libraries, Ray's object store) counts once.
"""

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

SAMPLE_EVERY_S = 0.5


def run_measured(command: Sequence[str], **options: object) -> tuple[int, float]:
    """Run a command to its end. Returns its exit code and the peak in MiB, as sampled twice a second."""
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    ended = threading.Event()
    peak = 0.0

    def watch() -> None:
        nonlocal peak
        family: set[int] = {process.pid}  # kept: a daemon whose parent has ended still belongs to it
        while not ended.wait(SAMPLE_EVERY_S):
            family = _family(family)
            peak = max(peak, sum(map(_proportional_kib, family)) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        code = process.wait()
    finally:
        ended.set()
        watcher.join()
    return code, peak


def _family(members: set[int]) -> set[int]:
    """The members that live, and every descendant of theirs."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:  # ended meanwhile
                continue
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid for pid in members if pid in parents}
    while new := {pid for pid, parent in parents.items() if parent in found and pid not in found}:
        found |= new
    return found


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
