"""Which files a source has, by name below data.root and size, and which of them are not in the lake yet.

Local folders are listed by Python, so that a stage can tell without Spark that nothing is new; what lies behind a URL
is listed by Spark, which reaches every file system that it reads.
"""

import glob
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError
from pyspark.errors import AnalysisException
from pyspark.sql import Column, Row, SparkSession
from pyspark.sql import functions as F

from tandemrec.config import Source
from tandemrec.config.root import counted_from
from tandemrec.errors import SourceError

MEMBER = "!"  # between an archive's name and that of a file inside it


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file. `name` is relative to data.root, `path` where it is read (elsewhere for an archive's member), `size` its
    bytes (of an archive's member: the archive's).
    """

    name: str
    path: str
    size: int

    @property
    def is_archive(self) -> bool:
        return self.name.lower().endswith(".zip")


def is_local(root: str) -> bool:
    return re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/", root) is None


def plain_path(path: str) -> str:
    """A path without `file:`; other schemes stay."""
    return re.sub(r"^file:/+", "/", path)


def plain_path_column(path: Column) -> Column:
    """The same of Spark's `_metadata.file_path`, which is percent-encoded besides."""
    return F.regexp_replace(F.url_decode(F.replace(path, F.lit("+"), F.lit("%2B"))), "^file:/+", "/")


def list_files(source: Source, root: str, spark: SparkSession | None = None) -> list[SourceFile]:
    """The files of a source, by name. Names that start with _ or . are left out, as Spark does.

    Args:
        spark: needed where `root` is a URL.

    Raises:
        SourceError: there is no such file or the folder is empty.
    """
    if source.layout == "delta":
        files = _delta_files(source, root)
    elif is_local(root):
        files = _local_files(source.path, plain_path(root))
    elif spark is not None:
        files = _files_behind_url(spark, source.path, root)
    else:
        raise SourceError(f"source {source.name}: {root} is listed by Spark, which does not run")
    if not files:
        raise SourceError(
            f"source {source.name}: no file at {source.path} below data.root, which is {root}; expected a file, "
            f"a folder that holds some, or a glob that matches some{counted_from(root)}"
        )
    return sorted(files, key=lambda file: file.name)


def new_files(source: Source, files: Iterable[SourceFile], known: Mapping[str, int]) -> list[SourceFile]:
    """The files that are not in bronze.

    Args:
        known: size by name of what the source's bronze rows came from, members of archives included.

    Raises:
        SourceError: a known file has another size now: what it holds was ingested already and cannot be told apart.
    """
    sizes = {_archive(name): size for name, size in known.items()}
    fresh = []
    for file in files:
        if (size := sizes.get(file.name)) is None:
            fresh.append(file)
        elif size != file.size:
            raise SourceError(
                f"source {source.name}: {file.name} has {file.size:,} bytes, but {size:,} when it was ingested; "
                "a file is ingested once: give the new content a new name, or delete its bronze rows to read it anew"
            )
    return fresh


def _archive(name: str) -> str:
    """The name of the file on disk: `logs.zip` of `logs.zip!may.csv`."""
    return re.sub(rf"(?i)(\.zip){MEMBER}.*", r"\1", name)


def _visible(path: str, base: str) -> bool:
    return not any(part.startswith(("_", ".")) for part in Path(os.path.relpath(path, base)).parts if part != os.pardir)


def _local_files(path: str, root: str) -> list[SourceFile]:
    start = os.path.join(root, path)
    found = [start] if os.path.exists(start) else glob.glob(start, recursive=True)
    paths: set[str] = set()
    for place in found:
        if os.path.isdir(place):
            inside = (os.path.join(folder, name) for folder, _, names in os.walk(place) for name in names)
            paths.update(file for file in inside if _visible(file, place))
        else:
            paths.add(place)
    return [
        SourceFile(
            name=Path(os.path.relpath(file, root)).as_posix(), path=os.path.abspath(file), size=os.path.getsize(file)
        )
        for file in paths
        if _visible(file, os.path.dirname(file))
    ]


def _files_behind_url(spark: SparkSession, path: str, root: str) -> list[SourceFile]:
    reader = spark.read.format("binaryFile").option("recursiveFileLookup", "true")
    try:
        rows = reader.load(f"{root.rstrip('/')}/{path}").select("path", "length").collect()
    except AnalysisException:
        return []
    return [listed_by_spark(row, root) for row in rows]


def listed_by_spark(row: Row, root: str) -> SourceFile:
    """A file that a row of Spark's format `binaryFile` stands for."""
    above = plain_path(root.rstrip("/")) + "/"
    return SourceFile(name=plain_path(row["path"]).removeprefix(above), path=row["path"], size=row["length"])


def _delta_files(source: Source, root: str) -> list[SourceFile]:
    """The data files of a Delta table's newest version; they never change, so that each is read once."""
    place = f"{root.rstrip('/')}/{source.path}".rstrip("/")
    try:
        actions = DeltaTable(place).get_add_actions(flatten=True)
    except TableNotFoundError as error:
        raise SourceError(f"source {source.name}: {place} is no Delta table") from error
    names = (unquote(path) for path in actions["path"].to_pylist())
    return [
        SourceFile(name=f"{source.path.rstrip('/')}/{name}", path=f"{place}/{name}", size=size)
        for name, size in zip(names, actions["size_bytes"].to_pylist(), strict=True)
    ]
