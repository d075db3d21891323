"""Neighbours of items are learned after training, in closed form, and weighed against the model in validation.

They are not learned with it: the weights have seen each training row's own target, so that the model would learn to
leave to them what they cannot tell of rows they have not seen.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tandemrec.config import Task
from tandemrec.ease import PENALTIES, co_occurrence, item_weights
from tandemrec.learn.feeds import Array, Examples, batch_at, seen_at
from tandemrec.learn.ranking import target_ranks
from tandemrec.model.batch import Features
from tandemrec.model.multitask import MultiTaskModel

ROWS = 20_000  # of validation, drawn where there are more
STRENGTHS = (0.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """What was chosen, and the mean reciprocal rank of validation rows without neighbours and with them."""

    penalty: float
    strength: float
    without: float
    reciprocal_rank: float

    def __str__(self) -> str:
        return (
            f"strength {self.strength:g}, penalty {self.penalty:g}, mean reciprocal rank in validation "
            f"{self.without:.4f} -> {self.reciprocal_rank:.4f}"
        )


def learn_neighbours(model: MultiTaskModel, rows: Examples, penalty: float, strength: float) -> None:
    """Set the model's neighbours to what these rows say."""
    assert model.neighbours is not None
    model.neighbours.set_(item_weights(_gram(model, rows), penalty), strength)


def weigh_neighbours(
    model: MultiTaskModel, train: Examples, valid: Examples, features: Features, *, seed: int, batch_size: int = 1024
) -> Weighing:
    """Learn neighbours from the training rows; their penalty and strength are those of the best mean reciprocal rank of
    the next item in validation. Strength 0 is among them: they may turn out to be of no use.
    """
    assert model.neighbours is not None
    label = valid.labels[_task(model).column]
    rows = np.flatnonzero(~np.isnan(label))
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))
    gram = _gram(model, train)
    worth: dict[tuple[float, float], float] = {}
    kept: dict[float, dict[str, Tensor]] = {}
    for penalty in PENALTIES:
        model.neighbours.set_(item_weights(gram, penalty), 0.0)
        kept[penalty] = {name: tensor.clone() for name, tensor in model.neighbours.state_dict().items()}
        values = _reciprocal_ranks(model, valid, rows, features, batch_size)
        worth |= {(penalty, strength): value for strength, value in zip(STRENGTHS, values.tolist(), strict=True)}
    penalty, strength = max(worth, key=lambda chosen: worth[chosen])
    model.neighbours.load_state_dict(kept[penalty])
    model.neighbours.strength.fill_(strength)
    return Weighing(
        penalty=penalty,
        strength=strength,
        without=worth[PENALTIES[0], 0.0],
        reciprocal_rank=worth[penalty, strength],
    )


@torch.inference_mode()
def _reciprocal_ranks(
    model: MultiTaskModel, valid: Examples, rows: Array, features: Features, batch_size: int
) -> Tensor:
    """Means over the rows, one for each of STRENGTHS; neighbours add nothing to the model's own logits here."""
    assert model.neighbours is not None
    device, catalogue = features.category.device, model.catalogue(features)
    sums = torch.zeros(len(STRENGTHS))
    for start in range(0, len(rows), batch_size):
        some = rows[start : start + batch_size]
        batch = batch_at(valid, some, device)
        own_BI = model.candidate_logits(batch, features, catalogue, model.users(batch, features, catalogue))
        seen = seen_at(valid, some, device)
        beside_BI = model.neighbours.scores(seen)
        for number, strength in enumerate(STRENGTHS):
            logits_BI = own_BI + strength * beside_BI
            ranks_B = target_ranks(logits_BI, batch.item, features.candidates, seen)
            sums[number] += torch.where(ranks_B > 0, 1 / ranks_B, 0).sum().cpu()
    return sums / max(1, len(rows))


def _gram(model: MultiTaskModel, rows: Examples) -> Array:
    return co_occurrence(rows.user, rows.labels[_task(model).column], rows.seen, model.sizes.items)


def _task(model: MultiTaskModel) -> Task:
    """A model without next item has no neighbours."""
    return next(task for task in model.tasks if task.kind == "next_item")
