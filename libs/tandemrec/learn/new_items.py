"""Items without training interactions are weighed against the others after training, in validation.

Training ranks what it has seen. It learns what people like about items, which tells new ones apart by what is said of
them, but not how many of the next items are new: that only rows tell that it has not learned from.
"""

from dataclasses import dataclass

import numpy as np
import torch

from tandemrec.learn.feeds import Examples, batch_at, seen_at
from tandemrec.learn.neighbours import rows_to_weigh
from tandemrec.learn.ranking import AT_ONCE, target_ranks
from tandemrec.model.batch import Features
from tandemrec.model.multitask import MultiTaskModel

OFFSETS = (-np.inf, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class NewItems:
    """What was chosen, and the mean reciprocal rank of validation rows without new items and with them.

    Attributes:
        offset: added to the logits of items without training interactions; None: they are better left out.
        described: how many of these there are of which something is told.
    """

    offset: float | None
    described: int
    without: float
    reciprocal_rank: float

    def __str__(self) -> str:
        ranked = "left out" if self.offset is None else f"offset {self.offset:+g}"
        return (
            f"{self.described:,} described, {ranked}, mean reciprocal rank in validation {self.without:.4f} -> "
            f"{self.reciprocal_rank:.4f}"
        )


@torch.inference_mode()
def weigh_new_items(
    model: MultiTaskModel, valid: Examples, features: Features, *, seed: int, batch_size: int = 1024
) -> NewItems | None:
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
    step = max(1, min(batch_size, AT_ONCE // len(features)))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        batch, seen = batch_at(valid, some, device), seen_at(valid, some, device)
        users_BD = model.users(batch, features, catalogue)
        logits_BI = model.ranking_logits(batch, features, catalogue, users_BD, seen)
        for offset in OFFSETS:
            ranked_I = candidates if offset > -np.inf else features.candidates
            ranks_B = target_ranks(logits_BI + torch.where(new_I, offset, 0.0), batch.item, ranked_I, seen)
            sums[offset] += float(torch.where(ranks_B > 0, 1 / ranks_B, 0).sum())
    best = max(OFFSETS, key=lambda offset: sums[offset])  # of equal ones the first
    model.new_items.fill_(best)
    asked = max(1, len(rows))
    return NewItems(
        offset=None if best == -np.inf else best,
        described=int(new_I.sum()),
        without=sums[-np.inf] / asked,
        reciprocal_rank=sums[best] / asked,
    )
