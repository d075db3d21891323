"""Heads as data: for each kind of task its output width, loss, activation and what to answer before learning.

Shapes: N rows that carry a label, C classes. Logits of one output are (N,), of several (N, C).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a kind of task needs beyond its tower.

    Args:
        outputs: number of logits, from the number of classes of the label.
        loss: (logits, labels (N,)) -> (N,).
        activation: logits -> probabilities or values, of the same shape.
        prior: (labels (N,), classes) -> the constant logits that fit the labels best, (1,) or (C,).
    """

    outputs: Callable[[int], int]
    loss: Callable[[Tensor, Tensor], Tensor]
    activation: Callable[[Tensor], Tensor]
    prior: Callable[[Tensor, int], Tensor]


def _binary_prior(labels: Tensor, classes: int) -> Tensor:
    return ((labels.sum() + 1) / (len(labels) + 2)).logit().reshape(1)


def _class_prior(labels: Tensor, classes: int) -> Tensor:
    return ((labels.long().bincount(minlength=classes) + 1) / (len(labels) + classes)).log()


HEADS: dict[str, Head] = {
    "binary": Head(
        outputs=lambda classes: 1,
        loss=lambda logits, labels: F.binary_cross_entropy_with_logits(logits, labels, reduction="none"),
        activation=torch.sigmoid,
        prior=_binary_prior,
    ),
    "multiclass": Head(
        outputs=lambda classes: classes,
        loss=lambda logits, labels: F.cross_entropy(logits, labels.long(), reduction="none"),
        activation=lambda logits: logits.softmax(-1),
        prior=_class_prior,
    ),
    "regression": Head(
        outputs=lambda classes: 1,
        loss=lambda values, labels: F.mse_loss(values, labels, reduction="none"),
        activation=lambda values: values,
        prior=lambda labels, classes: labels.mean().reshape(1),
    ),
}
"""Kinds that score each row on its own. `next_item` is none of them: it ranks the catalogue."""
