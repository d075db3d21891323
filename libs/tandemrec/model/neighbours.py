"""Items beside items: a neighbourhood model that stands beside the factors of the next item (Koren 2008, section 5).

Shapes: B rows, L history length, I items, K neighbours of each item.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


class Neighbours(nn.Module):
    """Adds strength * sum over the items j of a history of w_ji to the logit of item i, for the K items that weigh most
    for each j. Adds nothing before `learn.neighbours` has set the weights, which no gradient reaches.
    """

    item: Tensor  # (I + 1, K)
    weight: Tensor  # (I + 1, K)
    strength: Tensor  # ()

    def __init__(self, items: int, neighbours: int) -> None:
        super().__init__()
        shape = (items, min(neighbours, items))
        self.register_buffer("item", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("weight", torch.zeros(shape))
        self.register_buffer("strength", torch.zeros(()))

    def set_(self, weights_II: npt.NDArray[Any], strength: float) -> None:
        """Keep the largest weights, by their size, of each row of the matrix."""
        count = self.item.shape[1]
        order_IK = np.argpartition(-np.abs(weights_II), count - 1, axis=1)[:, :count]
        order_IK.sort(axis=1)
        self.item.copy_(torch.from_numpy(order_IK))
        self.weight.copy_(torch.from_numpy(np.take_along_axis(weights_II, order_IK, axis=1)))
        self.weight[0] = 0  # padding
        self.strength.fill_(strength)

    def forward(self, history_BL: Tensor) -> Tensor:
        """What is added to the logits of all items (B, I + 1)."""
        return self.strength * self.scores(history_BL)

    def scores(self, history_BL: Tensor) -> Tensor:
        """The sums themselves (B, I + 1), whatever the strength."""
        empty_BI = self.weight.new_zeros(len(history_BL), len(self.item))
        return empty_BI.scatter_add_(1, self.item[history_BL].flatten(1), self.weight[history_BL].flatten(1))

    def of(self, item_B: Tensor, history_BL: Tensor) -> Tensor:
        """What is added to the logit of one item each (B,)."""
        same_BLK = self.item[history_BL] == item_B[:, None, None]
        return self.strength * (self.weight[history_BL] * same_BLK).sum((1, 2))
