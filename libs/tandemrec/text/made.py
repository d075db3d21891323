"""Model folders that are made on this machine, once, out of something else: random weights, or weights in a format
that models are not loaded from.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path


def made_folder(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` in the user's cache, filled by `make` where it is not there yet.

    Args:
        name: says all that the folder depends on, for instance by a hash.
        make: saves configuration, tokeniser and safetensors into the folder that it is handed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandemrec"
    folder = cache / name
    if not (folder / "config.json").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as building:
            made = Path(building) / "model"
            make(made)
            _forget_version(made / "config.json")
            try:
                os.rename(made, folder)
            except OSError:  # another process was first, with the same files
                if not (folder / "config.json").is_file():
                    raise
    return folder


def file_digest(path: Path) -> bytes:
    """The sha256 of a file, computed again where it has changed since."""
    return _digest(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _forget_version(config: Path) -> None:
    """An encoder's identity covers its configuration, and does not change with the version of transformers."""
    values = json.loads(config.read_text(encoding="utf-8"))
    values.pop("transformers_version", None)
    config.write_text(json.dumps(values, indent=2, sort_keys=True), encoding="utf-8")
