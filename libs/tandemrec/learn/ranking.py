"""The place of a row's target in the ranking of the catalogue.

Shapes: B rows, I items, S seen items over all rows.
"""

import torch
from torch import Tensor

AT_ONCE = 32_000_000  # scores, rows times items, that are held in memory: 128 MB


def target_ranks(
    scores_BI: Tensor, target_B: Tensor, candidates_I: Tensor, seen: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Places (B,) of the targets among the candidates, from 1; 0 where the target is no candidate.

    Ties count against the target: 1 + the number of other candidates that score as high or higher. A model that
    gives every item the same score earns the last place, not the first.

    Args:
        scores_BI: (B, I + 1).
        target_B: items.
        candidates_I: (I + 1,) bool.
        seen: items (S,), one row's after the other's, and how many each row has (B,): no candidates for that row.
    """
    allowed_BI = candidates_I.expand(scores_BI.shape).clone()
    if seen is not None:
        items_S, counts_B = seen
        rows_S = torch.repeat_interleave(torch.arange(len(counts_B), device=counts_B.device), counts_B)
        allowed_BI[rows_S, items_S] = False
    target_B1 = target_B.unsqueeze(1)
    as_good_BI = allowed_BI & (scores_BI >= scores_BI.gather(1, target_B1))  # the target itself among them
    return as_good_BI.sum(1) * allowed_BI.gather(1, target_B1).squeeze(1)
