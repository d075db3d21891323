"""Items without training interactions are weighed against the others after training, in validation.

Training ranks what it has seen: it teaches what is liked about items, but not how many of the next ones are new.
"""

from dataclasses import dataclass

import numpy as np
import torch

from tandemrec.learn.feeds import Examples, batch_at, seen_at
from tandemrec.learn.neighbours import rows_to_weigh
from tandemrec.learn.ranking import target_ranks
from tandemrec.model.batch import Features
from tandemrec.model.multitask import MultiTaskModel

OFFSETS = (-np.inf, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class Newcomers:
    """What was chosen, and the mean reciprocal rank of validation rows without new items and with them. `offset` is
    None where they are better left out.
    """

    offset: float | None
    items: int
    without: float
    reciprocal_rank: float

    def __str__(self) -> str:
        ranked = "left out" if self.offset is None else f"offset {self.offset:g}"
        return (
            f"{self.items:,} of which something is told, {ranked}, mean reciprocal rank in validation "
            f"{self.without:.4f} -> {self.reciprocal_rank:.4f}"
        )


@torch.inference_mode()
def weigh_new_items(
    model: MultiTaskModel, valid: Examples, features: Features, *, seed: int, batch_size: int = 1024
) -> Newcomers | None:
    """Set what is added to the next-item logits of items without training interactions of which something is told: the
    offset of the best mean reciprocal rank in validation. To leave them out is among the choices. None where there is
    no such item.

    Args:
        model: in evaluation mode, its neighbours weighed.
    """
    model.new_items.fill_(0)
    candidates, catalogue = model.candidates(features), model.catalogue(features)
    new_I = candidates & ~features.candidates
    if not new_I.any():
        model.new_items.fill_(-torch.inf)
        return None
    rows, device = rows_to_weigh(model, valid, seed), features.category.device
    sums = dict.fromkeys(OFFSETS, 0.0)
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        batch, seen = batch_at(valid, some, device), seen_at(valid, some, device)
        users_BD = model.users(batch, features, catalogue)
        logits_BI = model.ranking_logits(batch, features, catalogue, users_BD, seen)
        for offset in OFFSETS:
            ranked_I = candidates if offset > -np.inf else features.candidates
            moved_BI = logits_BI.where(~new_I, logits_BI + offset)
            ranks_B = target_ranks(moved_BI, batch.item, ranked_I, seen)
            sums[offset] += float(torch.where(ranks_B > 0, 1 / ranks_B, 0).sum())
    best = max(OFFSETS, key=lambda offset: sums[offset])  # of equal ones the first
    model.new_items.fill_(best)
    asked = max(1, len(rows))
    return Newcomers(
        offset=None if best == -np.inf else best,
        items=int(new_I.sum()),
        without=sums[-np.inf] / asked,
        reciprocal_rank=sums[best] / asked,
    )
