"""Counts over columns of tables that may be large: scanned in batches, so memory follows the groups, not the rows."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.lake import Lake


def count_by(lake: Lake, table: str, groups: Mapping[str, pc.Expression]) -> pa.Table:
    """Rows for each combination of values: the groups' columns and `rows`; empty where the table does not exist."""
    keys = list(groups)
    if not lake.exists(table):
        return pa.table({**{key: pa.nulls(0) for key in keys}, "rows": pa.array([], pa.int64())})
    scanner = lake.dataset(table).scanner(columns=dict(groups))
    total = scanner.projected_schema.empty_table().append_column("rows", pa.array([], pa.int64()))
    for batch in scanner.to_batches():
        ones = pa.array(np.ones(batch.num_rows, np.int64))
        rows = pa.concat_tables([total, pa.table(batch).append_column("rows", ones)])
        summed = rows.group_by(keys).aggregate([("rows", "sum")])
        total = pa.table({**{key: summed[key] for key in keys}, "rows": summed["rows_sum"]})
    return total
