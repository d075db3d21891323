"""Rows of gold.user_features -> the batch of queries as of now.

Shapes: B users, L history length, R reviews.
"""

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tandemrec.learn.feeds import left_padded
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


def _padded(lists: pa.ChunkedArray, width: int | None = None) -> Tensor:
    """(B, width), or as wide as the longest list."""
    column = lists.combine_chunks()
    lengths = column.value_lengths().to_numpy().astype(np.int64)
    padded = left_padded(column.flatten().to_numpy(), lengths, width or max(1, int(lengths.max(initial=0))))
    return torch.from_numpy(padded.astype(np.int64))
