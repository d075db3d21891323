"""What a contract is: layer, columns, keys, constraints and comments of a table.

Types are written as Spark SQL writes them. A contract's version rises when its columns change; a table made by a
newer version of the library than the one that reads it is refused.
"""

from dataclasses import dataclass, field

CONTRACT_VERSION = "1"

CHECK_NAME_PREFIX = "delta.constraints."
VERSION_PROPERTY = "tandemrec.contract.version"
STATISTICS_PROPERTY = "delta.dataSkippingStatsColumns"
FORGOTTEN = "[forgotten "  # begins the id that stays in a vocabulary, so that nobody else gets the index


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column. `required` becomes NOT NULL in the table."""

    name: str
    type: str
    comment: str
    required: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a table promises. `key` columns are unique together; `checks` are SQL that holds for every row;
    `cluster_by` are the columns by which maintenance puts rows that are looked up together side by side; `statistics`
    those whose minimum and maximum each file notes, so that a search skips files (empty: all columns).
    """

    name: str
    layer: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    checks: dict[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()

    @property
    def properties(self) -> dict[str, str]:
        """Table properties of Delta."""
        columns = {STATISTICS_PROPERTY: ",".join(self.statistics)} if self.statistics else {}
        return {VERSION_PROPERTY: CONTRACT_VERSION} | columns

    @property
    def path(self) -> str:
        return f"{self.layer}/{self.name}"

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def columns_of(text: str) -> tuple[Column, ...]:
    """Columns from lines `name type[!] comment`; `!` means required."""
    columns = []
    for row in filter(None, (row.strip() for row in text.splitlines())):
        name, type_, comment = row.split(maxsplit=2)
        columns.append(Column(name=name, type=type_.rstrip("!"), required=type_.endswith("!"), comment=comment))
    return tuple(columns)


ORIGIN = """
    source      string!     name of the source in the settings
    file        string!     file below data.root, with !member for a file inside an archive
    line        bigint!     line or record of the file, from 1
    part        int!        record within the line where one line holds several, from 0
"""
ORIGIN_COLUMNS = tuple(column.name for column in columns_of(ORIGIN))
