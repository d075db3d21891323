"""Where a table differs from its contract, and what of that can be changed without touching a row."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from tempfile import TemporaryDirectory

from deltalake import DeltaTable, Field, Schema

from tandemrec.errors import TableError
from tandemrec.lake.contracts import CHECK_NAME_PREFIX, CONTRACT_VERSION, VERSION_PROPERTY, Table
from tandemrec.lake.types import delta_schema, type_text

_APPEND_ONLY = "delta.appendOnly"
_UNREADABLE = ("columnMapping", "deletionVectors")  # features that delta-rs writes or leaves, and does not read


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One difference. `migrate` is None where nothing can change it but the table's owner; `matters` is False of
    comments and of which columns have statistics, with which a table can be written all the same.
    """

    table: str
    what: str
    found: str
    expected: str
    migrate: Callable[[DeltaTable], None] | None = None
    matters: bool = True

    def __str__(self) -> str:
        return f"table {self.table}: {self.what} is {self.found}, expected {self.expected}"


def drifts(table: DeltaTable, contract: Table) -> list[Drift]:
    """Every difference between a table and its contract, in the order in which they can be migrated."""
    return [
        *_features(table, contract),
        *_properties(table, contract),
        *_columns(table, contract),
        *_constraints(table, contract),
        *_comments(table, contract),
    ]


def refuse_drift(table: DeltaTable, contract: Table) -> None:
    """Raise for the first difference that matters.

    Raises:
        TableError: what differs, found and expected, and whether `tandemrec migrate` can change it.
    """
    found = [drift for drift in drifts(table, contract) if drift.matters]
    if found:
        first = next((drift for drift in found if drift.migrate is None), found[0])
        cure = (
            "which no migration can change: write the table anew by its stage"
            if first.migrate is None
            else "`tandemrec migrate` changes it"
        )
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise TableError(f"{first} by contract {CONTRACT_VERSION}, {cure}{more}")


def migrate(table: DeltaTable, contract: Table) -> list[Drift]:
    """Change what can be changed.

    Returns:
        What is left: differences that no migration can change, and constraints that rows break.
    """
    left = []
    for drift in drifts(table, contract):
        if drift.migrate is None:
            left.append(drift)
            continue
        try:
            drift.migrate(table)
        except Exception as error:  # delta-rs has one error for all
            broken = " ".join(str(error).split("\n\n")[0].split())
            left.append(
                Drift(table=drift.table, what=drift.what, found=f"{drift.found}: {broken}", expected=drift.expected)
            )
        table.update_incremental()
    if not left and table.metadata().configuration.get(VERSION_PROPERTY) != CONTRACT_VERSION:
        table.alter.set_table_properties({VERSION_PROPERTY: CONTRACT_VERSION}, raise_if_not_exists=False)
    return left


def _features(table: DeltaTable, contract: Table) -> list[Drift]:
    found = []
    if "clustering" in (table.protocol().writer_features or []):
        # delta-rs 1.6 reads such a table and refuses to write it.
        expected = "none, so that every engine can write the table: cluster_by orders the files in maintenance"
        found.append(Drift(table=contract.name, what="liquid clustering", found="on", expected=expected))
    for feature in sorted({*_UNREADABLE} & {*(table.protocol().reader_features or [])}):
        expected = "none, so that every engine can read the table: ALTER TABLE ... DROP FEATURE in Spark removes it"
        found.append(Drift(table=contract.name, what=f"the feature {feature}", found="on", expected=expected))
    partitions = tuple(table.metadata().partition_columns)
    if partitions != contract.partition_by:
        found.append(
            Drift(
                table=contract.name,
                what="the partitioning",
                found=f"by {list(partitions)}",
                expected=f"by {list(contract.partition_by)}",
            )
        )
    return found


def _properties(table: DeltaTable, contract: Table) -> list[Drift]:
    """Properties that the contract sets, and one that would refuse every merge. What else is set is the owner's."""
    there = table.metadata().configuration
    wanted = {_APPEND_ONLY: "false", **contract.properties}
    del wanted[VERSION_PROPERTY]  # it rises when nothing else is left
    found = []
    for name, value in wanted.items():
        if (told := there.get(name, "false" if name == _APPEND_ONLY else "absent")) != value:

            def change(t: DeltaTable, name: str = name, value: str = value) -> None:
                t.alter.set_table_properties({name: value}, raise_if_not_exists=False)

            found.append(
                Drift(
                    table=contract.name,
                    what=f"property {name}",
                    found=told,
                    expected=value,
                    migrate=change,
                    matters=name == _APPEND_ONLY,
                )
            )
    return found


def _columns(table: DeltaTable, contract: Table) -> list[Drift]:
    wanted = {field.name: field for field in delta_schema(contract).fields}
    there = {field.name: field for field in table.schema().fields}
    found = [
        Drift(table=contract.name, what=f"column {name}", found=_spelled(there[name]), expected="no such column")
        for name in there.keys() - wanted.keys()
    ]
    for name, field in wanted.items():
        if name not in there:
            change = (lambda t, field=field: t.alter.add_columns([field])) if field.nullable else None
            found.append(
                Drift(
                    table=contract.name,
                    what=f"column {name}",
                    found="absent",
                    expected=_spelled(field),
                    migrate=change,
                )
            )
        elif _spelled(field) != _spelled(there[name]):
            same_type = type_text(field.type) == type_text(there[name].type)
            loosen = (lambda t, name=name: t.alter.drop_column_not_null(name)) if same_type and field.nullable else None
            found.append(
                Drift(
                    table=contract.name,
                    what=f"column {name}",
                    found=_spelled(there[name]),
                    expected=_spelled(field),
                    migrate=loosen,
                )
            )
    return found


def _constraints(table: DeltaTable, contract: Table) -> list[Drift]:
    properties = table.metadata().configuration
    there = {
        key.removeprefix(CHECK_NAME_PREFIX): sql for key, sql in properties.items() if key.startswith(CHECK_NAME_PREFIX)
    }
    found = []
    for name in sorted(there.keys() | contract.checks.keys()):
        old, new = there.get(name), contract.checks.get(name)
        if old != new and not (old and new and old == _as_written(new, delta_schema(contract).to_json())):

            def change(t: DeltaTable, name: str = name, old: str | None = old, new: str | None = new) -> None:
                if new is not None:  # first, under a name of its own: rows that break it leave the old one in force
                    t.alter.add_constraint({f"{name}_new": new})
                    t.update_incremental()
                    t.alter.drop_constraint(f"{name}_new")
                    t.update_incremental()
                if old is not None:
                    t.alter.drop_constraint(name)
                    t.update_incremental()
                if new is not None:
                    t.alter.add_constraint({name: new})

            found.append(
                Drift(
                    table=contract.name,
                    what=f"constraint {name}",
                    found=old or "absent",
                    expected=new or "no such constraint",
                    migrate=change,
                )
            )
    return found


def _comments(table: DeltaTable, contract: Table) -> list[Drift]:
    found = []
    if (text := table.metadata().description) != contract.comment:
        found.append(
            Drift(
                table=contract.name,
                what="the comment",
                found=repr(text),
                expected=repr(contract.comment),
                migrate=lambda t: t.alter.set_table_description(contract.comment),
                matters=False,
            )
        )
    there = {field.name: field.metadata.get("comment") for field in table.schema().fields}
    for column in contract.columns:
        if there.get(column.name, column.comment) != column.comment:

            def change(t: DeltaTable, name: str = column.name, comment: str = column.comment) -> None:
                t.alter.set_column_metadata(name, {"comment": comment})

            found.append(
                Drift(
                    table=contract.name,
                    what=f"the comment of column {column.name}",
                    found=repr(there[column.name]),
                    expected=repr(column.comment),
                    migrate=change,
                    matters=False,
                )
            )
    return found


@cache
def _as_written(sql: str, schema: str) -> str | None:
    """A constraint as delta-rs writes it: `a IN ('b', 'c')` becomes `a = 'b' OR a = 'c'`."""
    with TemporaryDirectory() as folder:
        table = DeltaTable.create(folder, Schema.from_json(schema))
        table.alter.add_constraint({"one": sql})
        written: str | None = DeltaTable(folder).metadata().configuration.get(f"{CHECK_NAME_PREFIX}one")
        return written


def _spelled(field: Field) -> str:
    return type_text(field.type) + ("" if field.nullable else " NOT NULL")
