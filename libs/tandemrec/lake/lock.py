"""One run of a stage at a time on one lake: the second waits, or fails with a line that names the first.

A lock is an flock on `{root}/_locks/STAGE`, which the kernel frees however its holder ends. On object stores there is
none: there Delta refuses the later of two commits that contradict each other, and the scheduler has to see to the rest.
Different stages may run at once: each table has one stage that writes it, and what is read is pinned before.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from tandemrec import console
from tandemrec.errors import LockError
from tandemrec.lake.store import Lake

_LOOK_EVERY_S = 0.2  # an flock cannot be waited for with an end


@contextmanager
def locked(lake: Lake, stage: str, *, wait_s: float) -> Iterator[None]:
    """Hold the lock of a stage.

    Raises:
        LockError: another process still holds it after `wait_s` seconds.
    """
    if "://" in lake.root:
        yield
        return
    path = Path(lake.root) / "_locks" / stage
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        _take(file, f"stage {stage} of the lake at {lake.root}", wait_s)
        file.truncate(0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        file.write(json.dumps({"host": socket.gethostname(), "process": os.getpid(), "since": since}))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _take(file: TextIO, what: str, wait_s: float) -> None:
    end, told = time.monotonic() + wait_s, False
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = f"{what} is run by {_holder(file)}"
        if time.monotonic() >= end:
            raise LockError(f"{held}; waited {wait_s:g} s for it (lake.wait_s)")
        if not told:
            console.line(f"{held}; waiting up to {wait_s:g} s")
            told = True
        time.sleep(_LOOK_EVERY_S)


def _holder(file: TextIO) -> str:
    file.seek(0)
    try:
        holder = json.loads(file.read())
    except ValueError:  # taken this moment
        return "another process"
    return f"process {holder['process']} on {holder['host']} since {holder['since']}"
