"""Mixup of texts: which row of a step is learned from together with which, and in what shares (Zhang et al. 2018).

Of texts: their vectors (Guo et al. 2019, senMixup) or what the shared layers make of them (Verma et al. 2019, manifold
mixup). Partners are drawn over the rows of all workers, so they do not depend on how a batch is cut.

Shapes: B rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch

from tandemrec.config import MixupSettings, Task
from tandemrec.learn.feeds import Array, Examples
from tandemrec.model.batch import Mixture

NOBODY = -1


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """For each row of a step the row that is mixed into it, NOBODY where none is, and the share of its own."""

    partner: Array  # (B,) row numbers of the examples
    share: Array  # (B,)
    hidden: bool

    def at(self, places: Array) -> Self:
        """Of some of the rows."""
        return type(self)(partner=self.partner[places], share=self.share[places], hidden=self.hidden)

    def mixture(self, examples: Examples, device: torch.device | str = "cpu") -> Mixture:
        """What the model reads beside a batch of these rows."""
        alone, row = self.partner == NOBODY, np.maximum(self.partner, 0)
        review = np.where(alone, 0, examples.review[row]).astype(np.int64)
        labels = {
            name: np.where(alone, np.nan, label[row]).astype(np.float32) for name, label in examples.labels.items()
        }
        return Mixture(
            review=torch.from_numpy(review).to(device),
            share=torch.from_numpy(self.share.astype(np.float32)).to(device),
            labels={name: torch.from_numpy(label).to(device) for name, label in labels.items()},
            hidden=self.hidden,
        )


def draw_mixing(
    settings: MixupSettings, tasks: Sequence[Task], examples: Examples, rows_B: Array, generator: np.random.Generator
) -> Mixing:
    """Pair the rows that have a label of a task on texts at random, each with one of them, perhaps itself.

    The same generator draws the same pairs on every worker. Other rows are left alone.
    """
    labels = [examples.labels[task.column][rows_B] for task in tasks if "review" in task.reads]
    told_B = examples.review[rows_B] > 0
    told_B &= np.any([~np.isnan(label) for label in labels], axis=0) if labels else False
    place_N = np.flatnonzero(told_B)
    partner = np.full(len(rows_B), NOBODY, np.int64)
    partner[place_N] = rows_B[generator.permutation(place_N)]
    share = np.ones(len(rows_B))
    share[place_N] = generator.beta(settings.alpha, settings.alpha, len(place_N))
    return Mixing(partner=partner, share=share, hidden=settings.where == "hidden")
