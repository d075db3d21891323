"""Neighbours of items are learned after training, in closed form, and weighed against the model in validation.

They are not learned with it: the weights have seen each training row's own target, so that the model would learn to
leave to them what they cannot tell of rows they have not seen.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor

from tandemrec.config import Task
from tandemrec.ease import PENALTIES, co_occurrence, item_weights
from tandemrec.learn.feeds import Array, Examples, batch_at, seen_at
from tandemrec.learn.ranking import target_ranks
from tandemrec.model.batch import Features
from tandemrec.model.multitask import MultiTaskModel

ROWS = 10_000  # of validation, drawn where there are more
STRENGTHS = (0.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0)
DECAYS = (1.0, 0.8, 0.6)


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """What was chosen, and the mean reciprocal rank of validation rows without neighbours and with them."""

    penalty: float
    strength: float
    decay: float
    without: float
    reciprocal_rank: float

    def __str__(self) -> str:
        return (
            f"strength {self.strength:g}, decay {self.decay:g}, penalty {self.penalty:g}, mean reciprocal rank in "
            f"validation {self.without:.4f} -> {self.reciprocal_rank:.4f}"
        )


def learn_neighbours(model: MultiTaskModel, rows: Examples, chosen: Weighing) -> None:
    """Set the model's neighbours to what these rows say."""
    assert model.neighbours is not None
    model.neighbours.set_(item_weights(_gram(model, rows), chosen.penalty), chosen.strength, chosen.decay)


def weigh_neighbours(
    model: MultiTaskModel, train: Examples, valid: Examples, features: Features, *, seed: int, batch_size: int = 1024
) -> Weighing:
    """Learn neighbours from the training rows; their penalty, strength and decay are those of the best mean reciprocal
    rank of the next item in validation. Strength 0 is among them: they may turn out to be of no use.
    """
    assert model.neighbours is not None
    rows = rows_to_weigh(model, valid, seed)
    gram = _gram(model, train)
    worth: dict[tuple[float, float, float], float] = {}
    kept: dict[float, dict[str, Tensor]] = {}
    for penalty in PENALTIES:
        model.neighbours.set_(item_weights(gram, penalty), 0.0, 1.0)
        kept[penalty] = {name: tensor.clone() for name, tensor in model.neighbours.state_dict().items()}
        values = _reciprocal_ranks(model, valid, rows, features, batch_size)
        worth |= {(penalty, *chosen): value for chosen, value in values.items()}
    penalty, decay, strength = best = max(worth, key=lambda chosen: worth[chosen])
    model.neighbours.load_state_dict(kept[penalty])
    model.neighbours.strength.fill_(strength)
    model.neighbours.decay.fill_(decay)
    without = worth[PENALTIES[0], DECAYS[0], 0.0]
    return Weighing(penalty=penalty, strength=strength, decay=decay, without=without, reciprocal_rank=worth[best])


def rows_to_weigh(model: MultiTaskModel, valid: Examples, seed: int) -> Array:
    """Rows of validation that ask for the next item, ROWS of them where there are more."""
    rows = np.flatnonzero(~np.isnan(valid.labels[_task(model).column]))
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))
    return rows


@torch.inference_mode()
def _reciprocal_ranks(
    model: MultiTaskModel, valid: Examples, rows: Array, features: Features, batch_size: int
) -> dict[tuple[float, float], float]:
    """Means over the rows, by decay and strength; neighbours add nothing to the model's own logits here."""
    assert model.neighbours is not None
    device, catalogue, candidates = features.category.device, model.catalogue(features), model.candidates(features)
    sums = dict.fromkeys(product(DECAYS, STRENGTHS), 0.0)
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        batch = batch_at(valid, some, device)
        own_BI = model.candidate_logits(batch, features, catalogue, model.users(batch, features, catalogue))
        seen = seen_at(valid, some, device)
        for decay in DECAYS:
            model.neighbours.decay.fill_(decay)
            beside_BI = model.neighbours.scores(seen)
            for strength in STRENGTHS:
                ranks_B = target_ranks(own_BI + strength * beside_BI, batch.item, candidates, seen)
                sums[decay, strength] += float(torch.where(ranks_B > 0, 1 / ranks_B, 0).sum())
    return {chosen: value / max(1, len(rows)) for chosen, value in sums.items()}


def _gram(model: MultiTaskModel, rows: Examples) -> Array:
    return co_occurrence(rows.user, rows.labels[_task(model).column], model.sizes.items)


def _task(model: MultiTaskModel) -> Task:
    """A model without next item has neither neighbours nor new items."""
    return next(task for task in model.tasks if task.kind == "next_item")
