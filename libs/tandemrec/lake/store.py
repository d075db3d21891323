"""The lake without an engine: create tables by their contract, look at them, read and write Arrow through delta-rs.

Spark's part is in lake.spark. Both make the same tables: creation is here only.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake import CommitProperties, DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaProtocolError, TableNotFoundError
from pyarrow import fs

from tandemrec.config.root import LakeSettings, counted_from
from tandemrec.errors import ConfigError, TableError
from tandemrec.lake.contracts import (
    CHECK_NAME_PREFIX,
    CONTRACT_VERSION,
    TABLES,
    VERSION_PROPERTY,
    Column,
    Table,
    staging,
)
from tandemrec.lake.drift import refuse_drift
from tandemrec.lake.types import arrow_schema, delta_schema
from tandemrec.lake.versions import data_version, mark

COMMIT_ATTEMPTS = 20  # of a merge that other processes come before


@dataclass(frozen=True, kw_only=True)
class Merged:
    """What a merge changed, in rows."""

    inserted: int
    updated: int
    deleted: int = 0


@dataclass(frozen=True, kw_only=True)
class TableInfo:
    """A table as `tandemrec tables` shows it. `size` is in bytes of live files."""

    name: str
    path: str
    version: int
    rows: int
    size: int
    files: int


class Lake:
    """The tables below one root: a folder or an object store URL.

    `versions` are tables that are read at a version of the past (None: as if they did not exist) and refuse writes;
    the others are read at their newest. `model` is the training run whose model is read in place of the newest.
    """

    def __init__(
        self, root: str, *, versions: Mapping[str, int | None] = MappingProxyType({}), model: str | None = None
    ) -> None:
        self.root = root.rstrip("/")
        self.versions = dict(versions)
        self.model = model

    @classmethod
    def of(cls, settings: LakeSettings) -> "Lake":
        """The lake of the settings.

        Raises:
            ConfigError: `lake.versions` names what is no table, and would be without effect.
        """
        if unknown := [name for name in settings.versions if name.removesuffix("_staging") not in TABLES]:
            raise ConfigError(f"lake.versions names {unknown[0]!r}, expected some of {sorted(TABLES)}")
        return cls(settings.root, versions=settings.versions, model=settings.model)

    def table(self, name: str) -> Table:
        """The contract of a table; `NAME_staging` is the staging twin of NAME."""
        base = name.removesuffix("_staging")
        if base not in TABLES:
            raise TableError(f"no table {name!r}, expected one of {sorted(TABLES)}")
        return staging(base) if name.endswith("_staging") else TABLES[name]

    def path(self, name: str) -> str:
        return f"{self.root}/{self.table(name).path}"

    def exists(self, name: str) -> bool:
        """Whether the table is there to be read.

        Raises:
            TableError: the object store does not answer, or refuses.
        """
        if self.versions.get(name, 0) is None:
            return False
        try:
            return bool(DeltaTable.is_deltatable(self.path(name)))
        except OSError as error:  # its first line names no cause, and the others are in colours
            said = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())
            raise TableError(f"the lake at {self.root} cannot be reached: {said[:400]}") from error

    def version(self, name: str) -> int | None:
        """The version that is read, or None for a table that does not exist."""
        if name in self.versions:
            return self.versions[name]
        return self.open(name).version() if self.exists(name) else None

    def data_version(self, name: str) -> int | None:
        """The first version that holds the newest one's rows, or None for a table that does not exist.

        It stays through maintenance, so that stages which depend on a table are told apart by its rows. Of a table that
        is read at a version of the past it is that one.
        """
        if name in self.versions:
            return self.versions[name]
        return data_version(self.open(name)) if self.exists(name) else None

    def open(self, name: str, version: int | None = None) -> DeltaTable:
        """The table through delta-rs, at the version given, else the one it is pinned to, else the newest.

        A version that holds the rows of the newest one is opened as the newest: after OPTIMIZE the files of the older
        one are there no longer than the retention of VACUUM.

        Raises:
            TableError: it does not exist, lacks that version, or was made by a newer contract.
        """
        path = self.path(name)
        absent = f"table {name} does not exist at {path}: run the stage that writes it"
        if version is None and name in self.versions:
            version = self.versions[name]
            if version is None:
                raise TableError(absent)
        try:
            table = DeltaTable(path)
            if version is not None and not data_version(table) <= version <= table.version():
                table.load_as_version(version)
        except TableNotFoundError as error:
            raise TableError(absent) from error
        except Exception as error:
            if version is None or not DeltaTable.is_deltatable(path):
                raise TableError(f"table {name} cannot be opened: {error}") from error
            newest = DeltaTable(path).version()
            reason = f"expected at most {newest}" if version > newest else "what its log held of it was cleaned up"
            raise TableError(f"table {name} has no version {version}: {reason}") from error
        found = table.metadata().configuration.get(VERSION_PROPERTY, "0")
        if int(found) > int(CONTRACT_VERSION):
            raise TableError(
                f"table {name} was made by contract {found}, expected {CONTRACT_VERSION} or less: "
                "update tandemrec to read it"
            )
        return table

    def ensure(self, name: str) -> None:
        """Create the table by its contract where it does not exist. Every write begins with this.

        Raises:
            TableError: the table that is there differs from the contract, or is read at a version of the past here.
        """
        contract = self.table(name)
        if name in self.versions:
            raise TableError(f"table {name} is read at version {self.versions[name]} here, expected no write to it")
        if not self.exists(name):
            created = DeltaTable.create(
                self.path(name),
                delta_schema(contract),
                mode="ignore",
                partition_by=list(contract.partition_by) or None,
                name=contract.name,
                description=contract.comment,
                configuration=contract.properties,
                raise_if_key_not_exists=False,
            )
            if contract.checks:
                created.alter.add_constraint(contract.checks)
            return
        table = self.open(name)
        if not table.file_uris():
            # A run that was killed between creation and the constraints leaves the rest to the next one.
            there = table.metadata().configuration
            lacking = {key: sql for key, sql in contract.checks.items() if CHECK_NAME_PREFIX + key not in there}
            if lacking:
                table.alter.add_constraint(lacking)
                table.update_incremental()
        refuse_drift(table, contract)

    def read(
        self,
        name: str,
        columns: list[str] | None = None,
        *,
        where: pc.Expression | None = None,
        version: int | None = None,
        limit: int | None = None,
    ) -> pa.Table:
        """Rows of a table in memory: for vocabularies, figures and reports, not for what grows with the logs.

        Args:
            limit: stop reading after this many rows.
        """
        dataset = self.dataset(name, version=version)
        try:
            return _rows(dataset.scanner(columns=columns, filter=where), limit)
        except pa.ArrowNotImplementedError:
            # A delta-rs merge writes strings as string_view, which Arrow cannot compare inside a file
            # (delta-rs 4579, arrow 49368): such a table is filtered after it was read as plain strings.
            return _rows(ds.Scanner.from_batches(dataset.scanner().to_reader(), columns=columns, filter=where), limit)

    def dataset(self, name: str, *, version: int | None = None) -> ds.Dataset:
        """The table as an Arrow dataset, to be scanned in batches.

        Files on this machine are read by Arrow itself: for those that it reads through delta-rs its threads call back
        into Python, and one that does while the process ends aborts it.
        """
        table, here = self.open(name, version), "://" not in self.root
        files = fs.SubTreeFileSystem(address(self.path(name)), fs.LocalFileSystem()) if here else None
        try:
            rows = table.to_pyarrow_dataset(filesystem=files)
            added = {column.name for column in self.added_since(name, table)}
            every = [*rows.schema, *(field for field in arrow_schema(self.table(name)) if field.name in added)]
            return rows.replace_schema(pa.schema(every)) if added else rows
        except DeltaProtocolError as error:
            raise TableError(f"table {name} cannot be read: {error} (tandemrec migrate says what to do)") from error

    def added_since(self, name: str, table: DeltaTable) -> list[Column]:
        """The columns that a migration gave the table after this version of it, in which they are null."""
        there = {field.name for field in table.schema().fields}
        lacking = [column for column in self.table(name).columns if column.name not in there]
        newest = {field.name for field in DeltaTable(self.path(name)).schema().fields} if lacking else set()
        return [column for column in lacking if column.name in newest]

    def refuse_vacuumed(self, name: str, version: int) -> None:
        """Raise a TableError where data files of a version are no longer there."""
        rows = self.dataset(name, version=version)
        gone = sum(info.type == fs.FileType.NotFound for info in rows.filesystem.get_file_info(rows.files))
        if gone:
            raise TableError(
                f"table {name} cannot be read at version {version}: {gone:,} of its {len(rows.files):,} files were "
                "vacuumed"
            )

    def version_at(self, name: str, moment: datetime) -> int | None:
        """The newest version that was committed by then, or None where the table was not there yet.

        Raises:
            TableError: the log reaches back to later commits only.
        """
        if not self.exists(name):
            return None
        commits = {commit["version"]: commit["timestamp"] for commit in self.open(name).history()}
        milliseconds = moment.timestamp() * 1000
        version = max((version for version, committed in commits.items() if committed <= milliseconds), default=None)
        if version is None and (first := min(commits)) > 0:
            raise TableError(
                f"table {name}: its log begins with version {first}, expected one of {moment.isoformat()} or before"
            )
        return version

    def merge(self, name: str, rows: pa.Table, *, update: bool = True) -> Merged:
        """Merge rows by the table's key: new keys are inserted, known ones updated where a value differs.

        Merging the same rows twice changes nothing and makes no new version's worth of files.

        Raises:
            TableError: two rows carry the same key, or a constraint is broken.
        """
        contract = self.table(name)
        self.ensure(name)
        rows = conform(rows, contract)
        if rows.num_rows == 0:
            return Merged(inserted=0, updated=0)
        _refuse_repeated_keys(rows, contract)
        attempt = 0
        while True:
            attempt += 1
            try:
                return self._merge(contract, rows, update)
            except CommitFailedError as error:  # another process changed rows that this merge looked at
                if attempt == COMMIT_ATTEMPTS:
                    raise TableError(
                        f"table {name}: {attempt} commits of other processes came before: {error}"
                    ) from error
            except Exception as error:
                raise TableError(f"table {name}: {error}") from error

    def _merge(self, contract: Table, rows: pa.Table, update: bool) -> Merged:
        on = " AND ".join(f"t.{key} = s.{key}" for key in contract.key)
        merger = self.open(contract.name).merge(
            rows,
            on,
            source_alias="s",
            target_alias="t",
            streamed_exec=False,  # so that files out of range are skipped
        )
        others = [c for c in contract.column_names if c not in contract.key]
        if update and others:
            differs = " OR ".join(f"(t.{c} IS DISTINCT FROM s.{c})" for c in others)
            merger = merger.when_matched_update_all(predicate=differs)
        done = merger.when_not_matched_insert_all().execute()
        return Merged(inserted=done["num_target_rows_inserted"], updated=done["num_target_rows_updated"])

    def drop_unreferenced(self, name: str, where: str) -> int:
        """Delete rows that no run refers to; how many. For stages, the table holds the same rows as before.

        Args:
            where: SQL.
        """
        table = self.open(name)
        properties = CommitProperties(custom_metadata={"userMetadata": mark(table)})
        return int(table.delete(where, commit_properties=properties)["num_deleted_rows"])

    def overwrite(self, name: str, rows: pa.Table | Iterable[pa.RecordBatch], *, where: str | None = None) -> None:
        """Replace a table's rows in one commit; readers see the old rows or the new ones.

        Args:
            where: SQL of the rows that are replaced, which the new ones must meet too; default: all.
        """
        contract = self.table(name)
        self.ensure(name)
        schema = arrow_schema(contract)
        data: pa.Table | pa.RecordBatchReader
        if isinstance(rows, pa.Table):
            data = conform(rows, contract)
        else:
            data = pa.RecordBatchReader.from_batches(schema, rows)
        write_deltalake(self.path(name), data, mode="overwrite", predicate=where)

    def info(self, name: str) -> TableInfo:
        """Rows, version and size from the transaction log alone."""
        table = self.open(name)
        actions = pa.table(table.get_add_actions(flatten=True))
        return TableInfo(
            name=name,
            path=self.path(name),
            version=table.version(),
            rows=int(pc.sum(actions["num_records"]).as_py() or 0),
            size=int(pc.sum(actions["size_bytes"]).as_py() or 0),
            files=actions.num_rows,
        )

    def names(self) -> list[str]:
        """Every table that exists in the order of the flow, staging ones last."""
        return [name for name in (*TABLES, *(f"{name}_staging" for name in TABLES)) if self.exists(name)]

    def refuse_empty(self) -> None:
        """Raise a TableError where no table exists."""
        if not self.names():
            raise TableError(
                f"the lake at {self.root} holds no table: run `tandemrec run` or the stage ingest"
                f"{counted_from(self.root)}"
            )

    def tables(self) -> list[TableInfo]:
        """Every table that exists but staging ones, in the order of the flow."""
        return [self.info(name) for name in TABLES if self.exists(name)]


def address(path: str) -> str:
    """A URL as it is, a path from the root of the file system: what pyarrow takes for a place."""
    return path if "://" in path else str(Path(path).absolute())


def _rows(scanner: ds.Scanner, limit: int | None) -> pa.Table:
    return scanner.to_table() if limit is None else scanner.head(limit)


def conform(rows: pa.Table, contract: Table) -> pa.Table:
    """Rows with the contract's columns, order and types.

    Raises:
        TableError: a column is missing, unknown, or its values do not fit the type.
    """
    if lacking := set(contract.column_names) - set(rows.column_names):
        raise TableError(f"table {contract.name}: rows lack {sorted(lacking)}")
    if unknown := set(rows.column_names) - set(contract.column_names):
        raise TableError(f"table {contract.name}: rows have unknown columns {sorted(unknown)}")
    try:
        return rows.select(contract.column_names).cast(arrow_schema(contract))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError) as error:
        raise TableError(f"table {contract.name}: rows do not fit its types: {error}") from error


def _refuse_repeated_keys(rows: pa.Table, contract: Table) -> None:
    counts = rows.group_by(list(contract.key)).aggregate([([], "count_all")])
    twice = counts.filter(pc.greater(counts["count_all"], 1))
    if twice.num_rows:
        first = {key: twice[key][0].as_py() for key in contract.key}
        raise TableError(f"table {contract.name}: {twice.num_rows} keys occur more than once, the first is {first}")
