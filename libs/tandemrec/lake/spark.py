"""The lake through Spark: read at a version, merge by key, ingest once.

Table creation is in lake.store, so that a table is the same whichever engine meets it first.
"""

import pyarrow as pa
import pyarrow.compute as pc
from delta.tables import DeltaTable
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from tandemrec.errors import TableError
from tandemrec.lake.contracts import Table
from tandemrec.lake.store import Lake, Merged


def read(spark: SparkSession, lake: Lake, name: str, *, version: int | None = None) -> DataFrame:
    """A table of the lake, at its newest version or the one given; the rows stay so whatever is committed later.

    Delta takes the newest version anew at each action of an unpinned DataFrame: one that is written to its own table
    would be another one when it is counted afterwards.
    """
    opened = lake.open(name, version)  # says in one line what is wrong; Spark would say it in a hundred
    rows = spark.read.format("delta").option("versionAsOf", opened.version()).load(lake.path(name))
    added = {column.name: F.lit(None).cast(column.type) for column in lake.added_since(name, opened)}
    return rows.withColumns(added) if added else rows


def since(lake: Lake, name: str, version: int, column: str) -> Column:
    """A condition that every row added to a table after a version meets, by which Delta skips files of older rows.

    It is a bound, made of the log's statistics: rows of that version meet it too where they came as late, or later than
    some that were packed into a new file since.

    Args:
        column: when each row came, which never changes.
    """
    before, now = (pa.table(lake.open(name, v).get_add_actions(flatten=True)) for v in (version, None))
    files = now.filter(pc.invert(pc.is_in(now["path"], before["path"])))
    least = f"min.{column}"
    if files.num_rows == 0:
        return F.lit(False)
    if least not in files.column_names or files[least].null_count:  # written without statistics
        return F.lit(True)
    return F.col(column) >= F.lit(pc.min(files[least]).as_py())


def conform(rows: DataFrame, contract: Table) -> DataFrame:
    """Rows with the contract's columns, order and types."""
    if lacking := set(contract.column_names) - set(rows.columns):
        raise TableError(f"table {contract.name}: rows lack {sorted(lacking)}")
    if unknown := set(rows.columns) - set(contract.column_names):
        raise TableError(f"table {contract.name}: rows have unknown columns {sorted(unknown)}")
    return rows.select([F.col(column.name).cast(column.type).alias(column.name) for column in contract.columns])


def merge(
    spark: SparkSession,
    lake: Lake,
    name: str,
    rows: DataFrame,
    *,
    update: bool = True,
    replace: bool | str = False,
    gone: DataFrame | None = None,
) -> Merged:
    """Merge rows by the table's key: new keys are inserted, known ones updated where a value differs.

    `rows` carries each key once. With `replace` the rows are all that the table shall hold: keys that are not among
    them are deleted, in the same commit; a condition on the table's rows `t` in place of True spares the others.
    `gone` has the key columns of rows to delete, in the same commit too. The same rows twice change nothing.
    """
    contract = lake.table(name)
    lake.ensure(name)
    rows = conform(rows, contract)
    if lake.info(name).files == 0:  # nothing to compare with, and MERGE would compute the rows twice
        rows.write.format("delta").mode("append").save(lake.path(name))
        return Merged(inserted=lake.info(name).rows, updated=0)
    on = " AND ".join(f"t.{key} <=> s.{key}" for key in contract.key)
    others = [c for c in contract.column_names if c not in contract.key]
    if gone is not None:
        absent = {c.name: F.lit(None).cast(c.type) for c in contract.columns if c.name not in contract.key}
        rows = rows.withColumn("_gone", F.lit(False)).unionByName(
            gone.select(*contract.key).withColumns(absent | {"_gone": F.lit(True)})
        )
    merger = DeltaTable.forPath(spark, lake.path(name)).alias("t").merge(rows.alias("s"), on)
    if gone is not None:
        merger = merger.whenMatchedDelete("s._gone")
    if update and others:
        differs = " OR ".join(_differs(contract, c) for c in others)
        merger = merger.whenMatchedUpdate(differs, {c: f"s.{c}" for c in others})
    every = {c: f"s.{c}" for c in contract.column_names}
    merger = merger.whenNotMatchedInsert("NOT s._gone" if gone is not None else None, every)
    if replace:
        merger = merger.whenNotMatchedBySourceDelete(None if replace is True else replace)
    before = lake.open(name).version()
    merger.execute()
    history = DeltaTable.forPath(spark, lake.path(name)).history(1).first()
    if history is None or history["version"] == before:
        return Merged(inserted=0, updated=0)
    figures = history["operationMetrics"]
    return Merged(
        inserted=int(figures.get("numTargetRowsInserted", 0)),
        updated=int(figures.get("numTargetRowsUpdated", 0)),
        deleted=int(figures.get("numTargetRowsDeleted", 0)),
    )


def replace(spark: SparkSession, lake: Lake, name: str, rows: DataFrame) -> bool:
    """Make the table hold exactly these rows, in one commit; one that does already keeps its version.

    Cheaper than a merge where all rows are computed anew: no join, and where nothing changed no file is written.
    The rows are read twice: persist them where they are dear.

    Returns:
        Whether the table changed.
    """
    contract = lake.table(name)
    lake.ensure(name)
    rows = conform(rows, contract)
    if lake.info(name).files == 0:
        if rows.isEmpty():
            return False
    elif _digest(rows, contract) == _digest(read(spark, lake, name), contract):
        return False
    rows.write.format("delta").mode("overwrite").save(lake.path(name))
    return True


def _digest(rows: DataFrame, contract: Table) -> object:
    """Number of rows and the sum of their hashes, whatever their order."""
    values = [F.to_json(c.name) if c.type.startswith("map<") else F.col(c.name) for c in contract.columns]
    # A null leaves a hash as it was, so the places of the nulls are hashed too.
    nulls = F.concat(*[F.when(F.col(c.name).isNull(), "0").otherwise("1") for c in contract.columns])
    return rows.agg(F.count("*"), F.sum(F.xxhash64(nulls, *values).cast("decimal(20,0)"))).first()


def _differs(contract: Table, column: str) -> str:
    type_ = next(c.type for c in contract.columns if c.name == column)
    if type_.startswith("map<"):  # Spark compares no maps
        return f"NOT (to_json(t.{column}) <=> to_json(s.{column}))"
    return f"NOT (t.{column} <=> s.{column})"


def append_once(rows: DataFrame, lake: Lake, name: str, *, application: str, version: int) -> None:
    """Append rows unless a commit of the same application and version is in the table already (Delta's idempotent
    write): a retried job cannot append twice.
    """
    contract = lake.table(name)
    lake.ensure(name)
    (
        conform(rows, contract)
        .write.format("delta")
        .mode("append")
        .option("txnAppId", application)
        .option("txnVersion", version)
        .save(lake.path(name))
    )
