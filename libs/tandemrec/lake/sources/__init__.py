"""Source files into bronze rows: list them, unpack archives, read each layout, number the lines."""

from tandemrec.lake.sources.archives import unpacked
from tandemrec.lake.sources.failures import readable
from tandemrec.lake.sources.layouts import read_source
from tandemrec.lake.sources.listing import MEMBER, SourceFile, is_local, list_files, new_files
from tandemrec.lake.sources.streams import arrivals, arrived, changed, changes, is_change

__all__ = [
    "MEMBER",
    "SourceFile",
    "arrivals",
    "arrived",
    "changed",
    "changes",
    "is_change",
    "is_local",
    "list_files",
    "new_files",
    "read_source",
    "readable",
    "unpacked",
]
