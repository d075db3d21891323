"""The contracts as a page of documentation: docs/tables.md, written by `make docs` and held current by a test."""

from collections.abc import Iterable

from tandemrec.lake.contracts import CONTRACT_VERSION, TABLES, Table


def markdown(tables: Iterable[Table] = tuple(TABLES.values())) -> str:
    """One section a table, in the order of the flow: key, constraints, partitions and columns."""
    head = (
        "# Tables\n\n"
        f"Contract {CONTRACT_VERSION}, from `libs/tandemrec/lake/contracts/`; written by `make docs`. Columns "
        "in bold are never null. A predicted or recommended row is on its way in a twin below `staging/` first.\n"
    )
    return "\n".join([head, *map(_section, tables)])


def _section(table: Table) -> str:
    facts = [f"Key: {_names(table.key)}."]
    facts += [f"Partitioned by {_names(table.partition_by)}."] if table.partition_by else []
    facts += [f"Clustered by {_names(table.cluster_by)} in maintenance."] if table.cluster_by else []
    facts += [f"Files are skipped by {_names(table.statistics)}."] if table.statistics else []
    facts += [f"Holds for every row: {', '.join(f'`{sql}`' for sql in table.checks.values())}."] if table.checks else []
    rows = [
        f"| {f'**{column.name}**' if column.required else column.name} | `{column.type}` | {_cell(column.comment)} |"
        for column in table.columns
    ]
    lines = [
        f"## {table.path}",
        "",
        f"{table.comment}. {' '.join(facts)}",
        "",
        "| column | type | |",
        "|---|---|---|",
        *rows,
        "",
    ]
    return "\n".join(lines)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(f"`{column}`" for column in columns)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(markdown(), end="")
