"""The best items for each user over the whole catalogue, and which of the user's own items each is like.

Shapes: B users, I items, D width, K items asked for, L history length, S seen items over all users.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def mask_seen_(scores_BI: Tensor, seen_S: Tensor, counts_B: Tensor) -> Tensor:
    """Put minus infinity in scores (B, I + 1) where a user has seen the item, in place: they are large.

    Args:
        scores_BI: of every item for every user.
        seen_S: the users' seen items, one user after the other.
        counts_B: how many of them each user has.
    """
    rows_S = torch.repeat_interleave(torch.arange(len(counts_B), device=scores_BI.device), counts_B)
    return scores_BI.index_put_((rows_S, seen_S), scores_BI.new_tensor(-torch.inf))


def top_items(scores_BI: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best items (B, K) and their scores (B, K), best first; the lower index first where scores are equal.

    What scores minus infinity is no candidate: where a user has fewer than k candidates, item 0 stands in the rest.
    K is k, or I + 1 where that is less.
    """
    k = min(k, scores_BI.shape[1])
    items_BK = scores_BI.topk(k, dim=1).indices.sort(dim=1).values
    best_BK = scores_BI.gather(1, items_BK)
    best_BK, order_BK = best_BK.sort(dim=1, descending=True, stable=True)
    items_BK = items_BK.gather(1, order_BK)
    return items_BK.masked_fill(best_BK == -torch.inf, 0), best_BK


def nearest_own_items(vectors_ID: Tensor, history_BL: Tensor, items_BK: Tensor) -> Tensor:
    """For each recommended item, the item of the user's history whose vector is nearest to its own by cosine (B, K).

    0 for a user without history. The most recent of equally near ones wins.

    Args:
        vectors_ID: (I + 1, D) of the catalogue.
        history_BL: items, oldest first, 0 where there is none.
        items_BK: the recommended items.
    """
    unit_ID = F.normalize(vectors_ID, dim=1)
    newest_first_BL = history_BL.flip(1)
    cosine_BKL = unit_ID[items_BK] @ unit_ID[newest_first_BL].transpose(1, 2)
    nearest_BK = cosine_BKL.masked_fill((newest_first_BL == 0).unsqueeze(1), -torch.inf).argmax(dim=2)
    return newest_first_BL.gather(1, nearest_BK)
