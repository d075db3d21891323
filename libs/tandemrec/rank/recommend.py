"""A batch of users -> their best items, each with its score and the own item that speaks for it.

Shapes: B users, I items, K items asked for, S seen items over all users.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from tandemrec.model.batch import Batch, Features
from tandemrec.model.multitask import MultiTaskModel
from tandemrec.model.recommender import Catalogue
from tandemrec.rank.disliked import Disliked
from tandemrec.rank.retrieval import mask_seen_, nearest_own_items, top_items

TWICE = math.log(2)  # added to a logit
SCORES_AT_ONCE = 32_000_000  # users times items held in memory, 128 MB


class Recommended(NamedTuple):
    """Best first. `item` is 0 where a user has fewer candidates; `because` is 0 for a user without history, or with
    none but what the user rated low.
    """

    item: Tensor  # (B, K)
    score: Tensor  # (B, K)
    because: Tensor  # (B, K) items


@torch.inference_mode()
def recommend(
    model: MultiTaskModel,
    features: Features,
    catalogue: Catalogue,
    users: Batch,
    seen: tuple[Tensor, Tensor],
    k: int,
    *,
    disliked: Disliked,
    left_out: bool = True,
) -> Recommended:
    """The k best candidates of each user.

    What speaks for an item is the own item that adds most to it as a neighbour, if it makes its odds twice as high or
    more, else the one of the history whose vector is nearest: never one that the user disliked.

    Args:
        model: in evaluation mode.
        features: of the items.
        catalogue: the model's, of these features.
        users: their histories and reviews as of now; item and review are 0.
        seen: items (S,), one user's after the other's, and how many each user has (B,).
        k: items for each user, at most.
        disliked: own items that speak for none.
        left_out: whether seen items are no candidates.
    """
    seen_S, counts_B = seen
    ends = counts_B.cumsum(0)
    step = max(1, SCORES_AT_ONCE // len(features))
    parts = []
    for start in range(0, len(users), step):
        rows = torch.arange(start, min(start + step, len(users)))
        chunk = users.where(rows)
        first, last = int(ends[start] - counts_B[start]), int(ends[rows[-1]])
        queries_BD = model.users(chunk, features, catalogue)
        had = seen_S[first:last], counts_B[rows]
        logits_BI = model.ranking_logits(chunk, features, catalogue, queries_BD, had)
        item_BK, score_BK = top_items(mask_seen_(logits_BI, *had) if left_out else logits_BI, k)
        parts.append(Recommended(item_BK, score_BK, _reasons(model, catalogue, chunk, had, item_BK, disliked)))
    return Recommended(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _reasons(
    model: MultiTaskModel,
    catalogue: Catalogue,
    users: Batch,
    had: tuple[Tensor, Tensor],
    item_BK: Tensor,
    disliked: Disliked,
) -> Tensor:
    user_B1 = users.user.unsqueeze(1)
    liked_BL = users.history.masked_fill(disliked.holds(user_B1, users.history), 0)
    because_BK = nearest_own_items(catalogue.vectors, liked_BL, item_BK)
    if model.neighbours is None or not model.neighbours.strength:
        return because_BK
    strongest_BK = model.neighbours.strongest(item_BK, had, TWICE)
    speaks_BK = (strongest_BK > 0) & ~disliked.holds(user_B1, strongest_BK) & (because_BK != item_BK)
    return strongest_BK.where(speaks_BK, because_BK)
