"""Source files into bronze rows: list them, unpack archives, read each layout, number the lines."""

from tandemrec.lake.sources.archives import unpacked
from tandemrec.lake.sources.failures import readable
from tandemrec.lake.sources.layouts import read_source
from tandemrec.lake.sources.listing import SourceFile, is_local, list_files, new_files

__all__ = ["SourceFile", "is_local", "list_files", "new_files", "read_source", "readable", "unpacked"]
