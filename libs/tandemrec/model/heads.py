"""Heads as data: for each kind of task its last layer, loss, activation and what to answer before learning.

Shapes: N rows that carry a label, C classes. Logits of one output are (N,), of several (N, C).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OrderedSteps(nn.Module):
    """One score with a threshold for each step, so that the steps' probabilities never cross: logit P(y > k) = w . x
    + b_k for k from 0 to C - 2 (CORAL: Cao, Mirjalili and Raschka 2020, section 3.2).
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.score = nn.Linear(width, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(max(1, classes - 1)))

    def forward(self, input_NW: Tensor) -> Tensor:
        """(N, C - 1); of one step (N, 1)."""
        return self.score(input_NW) + self.bias


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a kind of task needs beyond its tower.

    Args:
        last: (width, number of classes of the label) -> the tower's last layer; it has a `bias`.
        loss: (logits, labels (N,)) -> (N,).
        activation: logits -> probabilities or values.
        prior: (labels (N,), size of the bias) -> the constant logits that fit the labels best, of that size.
        unit: training labels (n,) -> what the tower's answers are numbers of; its square divides the loss.
        one_score: the logits rise and fall with one score, to which u . v + b_u + b_i can be added.
    """

    last: Callable[[int, int], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    activation: Callable[[Tensor], Tensor]
    prior: Callable[[Tensor, int], Tensor]
    unit: Callable[[Tensor], float] = lambda labels: 1.0
    one_score: bool = True


def _binary_prior(labels: Tensor, size: int) -> Tensor:
    return ((labels.sum() + 1) / (len(labels) + 2)).logit().reshape(1)


def _class_prior(labels: Tensor, size: int) -> Tensor:
    return ((labels.long().bincount(minlength=size) + 1) / (len(labels) + size)).log()


def _power_of_ten(labels: Tensor) -> float:
    """The one nearest to the labels' standard deviation, 1 of stars. Learned in their own numbers, seconds or cents
    would drown every other task, and be far from what a step can reach.
    """
    spread = float(labels.double().std(correction=0))
    return 10.0 ** round(math.log10(spread)) if 0 < spread < math.inf else 1.0


def _step_prior(labels: Tensor, size: int) -> Tensor:
    return (((labels.unsqueeze(1) > _steps(labels, size)).sum(0) + 1) / (len(labels) + 2)).logit()


def _steps(labels: Tensor, size: int) -> Tensor:
    return torch.arange(size, device=labels.device)


def _steps_of(logits: Tensor) -> Tensor:
    """(N, C - 1), of one step too."""
    return logits.unsqueeze(-1) if logits.dim() == 1 else logits


def _step_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over the steps of the cross-entropy of "more than k" (Cao et al. 2020, equation 4, weights of 1)."""
    logits = _steps_of(logits)
    more = (labels.unsqueeze(1) > _steps(labels, logits.shape[1])).to(logits.dtype)
    return F.binary_cross_entropy_with_logits(logits, more, reduction="none").sum(1)


HEADS: dict[str, Head] = {
    "binary": Head(
        last=lambda width, classes: nn.Linear(width, 1),
        loss=lambda logits, labels: F.binary_cross_entropy_with_logits(logits, labels, reduction="none"),
        activation=torch.sigmoid,
        prior=_binary_prior,
    ),
    "multiclass": Head(
        last=lambda width, classes: nn.Linear(width, classes),
        loss=lambda logits, labels: F.cross_entropy(logits, labels.long(), reduction="none"),
        activation=lambda logits: logits.softmax(-1),
        prior=_class_prior,
        one_score=False,
    ),
    "regression": Head(
        last=lambda width, classes: nn.Linear(width, 1),
        loss=lambda values, labels: F.mse_loss(values, labels, reduction="none"),
        activation=lambda values: values,
        prior=lambda labels, size: labels.mean().reshape(1),
        unit=_power_of_ten,
    ),
    "ordinal": Head(
        last=OrderedSteps,
        loss=_step_loss,
        activation=lambda logits: _steps_of(logits).sigmoid().sum(1),  # E[y] = sum over k of P(y > k)
        prior=_step_prior,
    ),
}
"""Heads (`Task.head`) that score each row on its own. `next_item` has none: it ranks the catalogue."""
