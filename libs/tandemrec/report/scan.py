"""Counts over columns of tables that may be large: scanned in batches, so memory follows the groups, not the rows."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.lake import Lake


def count_by(
    lake: Lake, table: str, groups: Mapping[str, pc.Expression], where: pc.Expression | None = None
) -> pa.Table:
    """Rows for each combination of values: the groups' columns and `rows`; empty where the table does not exist."""
    keys = list(groups)
    if not lake.exists(table):
        return pa.table({**{key: pa.nulls(0) for key in keys}, "rows": pa.array([], pa.int64())})
    scanner = lake.dataset(table).scanner(columns=dict(groups), filter=where)
    total: pa.Table | None = None
    for batch in scanner.to_batches():
        if batch.num_rows == 0:
            continue
        counted = pa.table(batch).group_by(keys).aggregate([([], "count_all")])
        counted = counted.rename_columns(
            [*keys, "rows"] if counted.column_names[-1] == "count_all" else ["rows", *keys]
        )
        if total is not None:
            summed = pa.concat_tables([total, counted]).group_by(keys).aggregate([("rows", "sum")])
            counted = pa.table({**{key: summed[key] for key in keys}, "rows": summed["rows_sum"]})
        total = counted
    return (
        total
        if total is not None
        else scanner.projected_schema.empty_table().append_column("rows", [pa.array([], pa.int64())])
    )
