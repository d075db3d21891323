"""Sampled softmax: next item against a few items drawn in place of the whole catalogue.

Shapes: B rows, n items drawn, I items.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from tandemrec.learn.feeds import Array
from tandemrec.model.batch import Features


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Items drawn with replacement, and the logarithm of the chance of each to be drawn at once."""

    items: Tensor  # (n,)
    log_chance: Tensor  # (n,)

    def to(self, device: torch.device) -> Self:
        return type(self)(items=self.items.to(device), log_chance=self.log_chance.to(device))


class Proposal:
    """Draws candidates in proportion to their training interactions: what is popular is what scores high."""

    def __init__(self, features: Features) -> None:
        counts_I = features.interactions.cpu().numpy().astype(np.float64)
        self.chance_I: Array = counts_I / max(1.0, counts_I.sum())
        self.up_to_I: Array = self.chance_I.cumsum()

    def draw(self, generator: np.random.Generator, count: int) -> Drawn:
        """The same generator draws the same items, on every worker."""
        places = generator.random(count) * self.up_to_I[-1]
        items = np.searchsorted(self.up_to_I, places, side="right")
        chance = torch.from_numpy(self.chance_I[items])
        return Drawn(items=torch.from_numpy(items), log_chance=chance.log().float())


def sampled_softmax(own_B: Tensor, drawn_Bn: Tensor, target_B: Tensor, drawn: Drawn) -> Tensor:
    """Cross-entropy (B,) with the sum over the catalogue estimated from a sample:

        -s_y + log(e^s_y + sum over drawn j != y of e^s_j / (n q_j))

    Each drawn score is corrected by log(n q_j), so that the sum under the logarithm is that of the whole catalogue in
    expectation (Bengio and Senecal 2008; Yi et al. 2019, section 3.3, call it the log-Q correction).

    Args:
        own_B: scores s_y of the targets.
        drawn_Bn: scores s_j of what was drawn.
        target_B: items y; where one was drawn it is passed over.
        drawn: items and chances q_j.
    """
    corrected_Bn = drawn_Bn - drawn.log_chance - float(np.log(len(drawn.items)))
    corrected_Bn = corrected_Bn.masked_fill(drawn.items == target_B.unsqueeze(1), -torch.inf)
    return torch.cat([own_B.unsqueeze(1), corrected_Bn], dim=1).logsumexp(1) - own_B
