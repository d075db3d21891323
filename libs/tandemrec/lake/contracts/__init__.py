"""Every table of the lake in one declarative place, by layer. A contract is data; lake.store makes tables of it."""

from tandemrec.lake.contracts.bronze import BRONZE
from tandemrec.lake.contracts.gold import GOLD
from tandemrec.lake.contracts.model import (
    CHECK_NAME_PREFIX,
    CONTRACT_VERSION,
    FORGOTTEN,
    VERSION_PROPERTY,
    Column,
    Table,
)
from tandemrec.lake.contracts.silver import SILVER

__all__ = [
    "CHECK_NAME_PREFIX",
    "CONTRACT_VERSION",
    "FORGOTTEN",
    "TABLES",
    "VERSION_PROPERTY",
    "Column",
    "Table",
    "staging",
]

TABLES: dict[str, Table] = {table.name: table for table in (*BRONZE, *SILVER, *GOLD)}


def staging(name: str) -> Table:
    """The contract of the table in which a stage leaves rows until `publish` merges them into `name`."""
    table = TABLES[name]
    return Table(
        name=f"{name}_staging",
        layer="staging",
        comment=f"Rows on their way to {table.path}",
        columns=table.columns,
        key=table.key,
        checks=table.checks,
    )
