"""Rows of gold.user_features -> the batch of queries as of now.

Shapes: B users, L history length, R reviews.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from tandemrec.model.batch import Batch


def user_batch(rows: pa.Table, history_length: int) -> Batch:
    """Users with their history and reviews; there is no item and no review of the moment."""
    user_B = torch.from_numpy(rows["user_index"].to_numpy().astype(np.int64))
    nothing_B = torch.zeros_like(user_B)
    return Batch(
        user=user_B,
        item=nothing_B,
        history=_padded(rows["history"], history_length),
        user_reviews=_padded(rows["reviews"]),
        item_reviews=nothing_B.unsqueeze(1),
        review=nothing_B,
        labels={},
    )


def left_padded(values: npt.NDArray[Any], counts_B: npt.NDArray[np.integer], width: int) -> npt.NDArray[np.int64]:
    """The last `width` of each row's values at the right of (B, width), 0 before them.

    Args:
        values: of all rows, one after the other.
        counts_B: how many of them each row has.
        width: columns.
    """
    row = np.repeat(np.arange(len(counts_B)), counts_B)
    from_end = np.cumsum(counts_B)[row] - np.arange(len(values))  # 1 for a row's last value
    kept = from_end <= width
    padded = np.zeros((len(counts_B), width), np.int64)
    padded[row[kept], width - from_end[kept]] = values[kept]
    return padded


def _padded(lists: pa.ChunkedArray, width: int | None = None) -> Tensor:
    """(B, width), or as wide as the longest list."""
    column = lists.combine_chunks()
    counts = column.value_lengths().to_numpy()
    return torch.from_numpy(
        left_padded(column.flatten().to_numpy(), counts, width or max(1, int(counts.max(initial=0))))
    )
