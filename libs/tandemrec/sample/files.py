"""Write a sample's files, the same bytes for the same rows, and put a whole folder in place at once."""

import gzip
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tandemrec.config.places import in_the_way
from tandemrec.errors import ConfigError

MARKER = "planted.json"


def write_text(path: Path, text: str) -> None:
    """UTF-8; compressed where the name ends in .gz, without a time stamp or name in the header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        if path.suffix != ".gz":
            file.write(text.encode())
            return
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
            packed.write(text.encode())


def write_lines(path: Path, lines: Sequence[str]) -> None:
    write_text(path, "".join(f"{line}\n" for line in lines))


def refuse_others(folder: Path) -> None:
    """Raise a ConfigError where no sample can take the place of `folder`."""
    if (file := in_the_way(str(folder))) is not None:
        raise ConfigError(f"{folder}: {file} is no folder, expected a new or an empty one")
    if Path.cwd().is_relative_to(folder.resolve()):  # it is renamed when another takes its place
        raise ConfigError(f"{folder}: is the working directory or above it, expected a folder of its own")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise ConfigError(f"{folder}: holds files that are no sample, expected a new or an empty folder")


@contextmanager
def whole_or_nothing(folder: Path) -> Iterator[Path]:
    """A folder to write in that takes the place of `folder` when the block ends well, and goes when it fails.

    Raises:
        ConfigError: as `refuse_others`.
    """
    refuse_others(folder)
    partial, earlier = (folder.with_name(f".{folder.name}.{what}") for what in ("partial", "earlier"))
    for left in (partial, earlier):
        shutil.rmtree(left, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            folder.rename(earlier)
        partial.rename(folder)
    finally:
        for left in (partial, earlier):
            shutil.rmtree(left, ignore_errors=True)
