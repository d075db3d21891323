"""Delta: table contracts, create, read, merge, append once. Engines meet only here, at a recorded version."""

from tandemrec.lake.contracts import TABLES, Column, Table
from tandemrec.lake.store import Lake, Merged, TableInfo

__all__ = ["TABLES", "Column", "Lake", "Merged", "Table", "TableInfo"]
