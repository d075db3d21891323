"""Items beside items: a neighbourhood model that stands beside the factors of the next item (Koren 2008, section 5).

Shapes: B rows, S items that their users have had, over all rows, I items, K neighbours of each item.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


class Neighbours(nn.Module):
    """Adds strength * sum of w_ji over the items j that a user has had to the logit of item i, for the K items that
    weigh most for each j. Adds nothing before `learn.neighbours` has set the weights, which no gradient reaches.
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

    def forward(self, had: tuple[Tensor, Tensor]) -> Tensor:
        """What is added to the logits of all items (B, I + 1).

        Args:
            had: items (S,), one row's after the other's, and how many each row has (B,).
        """
        return self.strength * self.scores(had)

    def scores(self, had: tuple[Tensor, Tensor]) -> Tensor:
        """The sums themselves (B, I + 1), whatever the strength."""
        items_S, counts_B = had
        rows, items = len(counts_B), len(self.item)
        place_SK = self.item[items_S] + items * _rows(counts_B).unsqueeze(1)
        sums = self.weight.new_zeros(rows * items).scatter_add_(0, place_SK.flatten(), self.weight[items_S].flatten())
        return sums.view(rows, items)

    def of(self, item_B: Tensor, had: tuple[Tensor, Tensor]) -> Tensor:
        """What is added to the logit of one item each (B,)."""
        items_S, counts_B = had
        rows_S = _rows(counts_B)
        score_S = (self.weight[items_S] * (self.item[items_S] == item_B[rows_S].unsqueeze(1))).sum(1)
        return self.strength * self.weight.new_zeros(len(counts_B)).scatter_add_(0, rows_S, score_S)


def _rows(counts_B: Tensor) -> Tensor:
    """Whose each of the items is (S,)."""
    return torch.repeat_interleave(torch.arange(len(counts_B), device=counts_B.device), counts_B)
