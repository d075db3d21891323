"""Where a node keeps what it made from tables: folders that are there whole or not at all, as long as they are used.

A table is told apart by the id that Delta gave it at creation, not by its path: a lake that was deleted and made again
at the same place is another lake.
"""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch

from tandemrec.errors import ModelError
from tandemrec.lake import Lake
from tandemrec.lake.runs import fingerprint

UNUSED_DAYS = 14  # until a folder makes room for another


def cache_root() -> Path:
    """The user's own folder below the system's temporary one (TMPDIR moves it).

    Raises:
        ModelError: somebody else owns the folder: what lies in it is not to be trusted.
    """
    root = Path(tempfile.gettempdir()) / f"tandemrec-{os.getuid()}"
    root.mkdir(mode=0o700, exist_ok=True)
    if root.stat().st_uid != os.getuid():
        raise ModelError(f"{root} belongs to user {root.stat().st_uid}, expected {os.getuid()}: set TMPDIR elsewhere")
    return root


def table_folder(lake: Lake, versions: Mapping[str, int | None]) -> Path:
    """The folder of what is made of these tables at these versions; it need not exist."""
    tables = {name: lake.open(name, version) for name, version in versions.items()}
    return cache_root() / fingerprint({name: [table.metadata().id, table.version()] for name, table in tables.items()})


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """The folder, filled by `make` where it does not exist.

    Of several processes that make it at once the first to finish wins; one that dies leaves nothing under the name.
    What was made of past versions of tables, and has not been asked for since, goes: every new file brings new ones.
    """
    if not folder.exists():
        _drop_unused(folder.parent)
        working = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            make(working)
            working.rename(folder)
        except OSError:
            if not folder.exists():
                raise
        finally:
            shutil.rmtree(working, ignore_errors=True)
    os.utime(folder)
    return folder


def _drop_unused(root: Path) -> None:
    """Whoever has mapped a file of it goes on reading it."""
    for folder in root.iterdir():
        with suppress(FileNotFoundError):  # what another process makes is renamed when it is whole
            if time.time() - folder.stat().st_mtime > UNUSED_DAYS * 24 * 60 * 60:
                shutil.rmtree(folder, ignore_errors=True)


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """A tensor of an array that was mapped read-only."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
