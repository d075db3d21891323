"""What engines say while they start goes to a file, so that a person reads only what the stage prints."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def log_of(name: str) -> Path:
    """Where an engine that this process started says what it has to say."""
    return Path(tempfile.gettempdir()) / f"tandemrec-{name}-{os.getpid()}.log"


@contextmanager
def standard_error_in_a_file(name: str) -> Iterator[Path]:
    """Our standard error is a file for a while; processes that start meanwhile (Java) keep it while they live."""
    log = log_of(name)
    own = os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield log
    finally:
        os.dup2(own, 2)
        os.close(own)
