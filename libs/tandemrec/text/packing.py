"""Many texts as one row of tokens, without a padding token: linear layers see one long matrix, attention stays within
each text.

Texts come sorted by length, so texts of one length stand together and their attention is one dense call without a
mask: exact, for models that look both ways and for causal ones alike.

Shapes: N tokens in the row, B texts of a run, L tokens of each, H heads, K key-value heads, D width of a head.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

ATTENTION = "tandemrec_packed"
LOG2_E = math.log2(math.e)
LEAST_SUM, LARGEST_SUM = 2.0**-100, 2.0**120  # of weights, as far as bfloat16 and sums in float32 keep their digits


@dataclass(frozen=True, kw_only=True)
class Run:
    """Neighbouring texts of one length: `count` of them, tokens `start` to `stop` of the row."""

    start: int
    stop: int
    count: int


def batches(lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Indices of the texts of each batch, shortest first: as many as fit into `budget` tokens, at least one."""
    return _as_many_as_fit(lengths, budget, np.cumsum)


def padded_batches(lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """The same where each text takes the room of the longest of its batch."""
    return _as_many_as_fit(lengths, budget, lambda longest: longest * np.arange(1, len(longest) + 1))


def _as_many_as_fit(lengths: np.ndarray, budget: int, room: Callable[[np.ndarray], np.ndarray]) -> Iterator[np.ndarray]:
    """By the room that the first one, two, ... of some rising lengths take."""
    order, start = np.argsort(lengths, kind="stable"), 0
    while start < len(order):
        count = max(1, int(np.searchsorted(room(lengths[order[start:]]), budget, side="right")))
        yield order[start : start + count]
        start += count


def runs(lengths: Sequence[int]) -> list[Run]:
    """The runs of equal lengths in the order they stand."""
    found, start = [], 0
    for length, group in groupby(lengths):
        count = len(list(group))
        found.append(Run(start=start, stop=start + count * length, count=count))
        start += count * length
    return found


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    packed_runs: list[Run],
    scaling: float | None = None,
    is_causal: bool | None = None,
    **unused: object,
) -> tuple[Tensor, None]:
    """Attention within each text of a packed row, in the form that transformers' AttentionInterface calls.

    Args:
        module: the attention layer; says whether it is causal.
        query: shape (1, H, N, D).
        key: shape (1, K, N, D), K a divisor of H.
        value: as `key`.
        attention_mask: None; what may see what is in `packed_runs`.
        packed_runs: where the texts are, handed through the model's forward.
        scaling: of the scores; default 1 / sqrt(D).
        is_causal: default: as the module says.
        unused: what other models hand over.

    Returns:
        Shape (1, N, H, D), and no weights.
    """
    causal = getattr(module, "is_causal", False) if is_causal is None else is_causal
    query_NHD, key_NKD, value_NKD = (states.squeeze(0).transpose(0, 1) for states in (query, key, value))
    grouped = query_NHD.shape[1] != key_NKD.shape[1]
    by_products = query.device.type == "cpu" and query.dtype is torch.bfloat16 and not causal and not grouped
    parts = []
    for run in packed_runs:
        dense_q, dense_k, dense_v = (
            states[run.start : run.stop].unflatten(0, (run.count, -1)).transpose(1, 2)
            for states in (query_NHD, key_NKD, value_NKD)
        )
        if by_products:
            mixed = _products(dense_q, dense_k, dense_v, scaling)
        else:
            mixed = F.scaled_dot_product_attention(
                dense_q, dense_k, dense_v, scale=scaling, is_causal=causal, enable_gqa=grouped
            )
        parts.append(mixed.transpose(1, 2).flatten(0, 1))
    return torch.cat(parts).unsqueeze(0), None


def _products(query_BHLD: Tensor, key_BHLD: Tensor, value_BHLD: Tensor, scaling: float | None) -> Tensor:
    """Attention as two batched matrix products: torch's fused kernel multiplies bfloat16 on a processor more slowly.

    Weights are powers of two of the scores as they are; the shift by each row's largest score, which softmax makes and
    which costs as much as the powers themselves, changes only how far they reach. Where that is too far, softmax.
    """
    query, key, value = (states.flatten(0, 1) for states in (query_BHLD, key_BHLD, value_BHLD))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = partial(torch.baddbmm, query.new_empty(1), query, key.mT, beta=0)
    weights = scores(alpha=scale * LOG2_E).exp2_()
    sums = weights.sum(-1, keepdim=True)
    least, most = torch.aminmax(sums)
    if least > LEAST_SUM and most < LARGEST_SUM:
        mixed = torch.bmm(weights, value).div_(sums)
    else:
        mixed = torch.bmm(scores(alpha=scale).softmax(-1), value)
    return mixed.unflatten(0, query_BHLD.shape[:2])
