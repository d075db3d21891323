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
    types = {field.name: field.type for field in scanner.projected_schema}
    total = pa.table({**{key: pa.array([], types[key]) for key in keys}, "rows": pa.array([], pa.int64())})
    for batch in scanner.to_batches():
        ones = pa.array(np.ones(batch.num_rows, np.int64))
        # by name, so that a column that is NOT NULL in the table meets the sums' nullable one
        rows = pa.concat_tables([total, pa.table({**{key: batch[key] for key in keys}, "rows": ones})])
        summed = rows.group_by(keys).aggregate([("rows", "sum")])
        total = pa.table({**{key: summed[key] for key in keys}, "rows": summed["rows_sum"]})
    return total
