"""Items beside items: a neighbourhood model that stands beside the factors of the next item (Koren 2008, section 5).

Shapes: B rows, S items that their users have had, over all rows, I items, K neighbours of each item.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

AT_ONCE = 8_000_000  # weights that are looked at in one go: a user may have had any number of items


class Neighbours(nn.Module):
    """Adds strength * sum of decay^n_j w_ji over the items j that a user has had to the logit of item i, where the user
    had n_j items since, for the K items that weigh most for each j. Adds nothing before `learn.neighbours` has set
    the weights, which no gradient reaches.
    """

    item: Tensor  # (I + 1, K)
    weight: Tensor  # (I + 1, K)
    strength: Tensor  # ()
    decay: Tensor  # ()

    def __init__(self, items: int, neighbours: int) -> None:
        super().__init__()
        shape = (items, min(neighbours, items))
        self.register_buffer("item", torch.zeros(shape, dtype=torch.int64))
        self.register_buffer("weight", torch.zeros(shape))
        self.register_buffer("strength", torch.zeros(()))
        self.register_buffer("decay", torch.ones(()))

    def set_(self, weights_II: npt.NDArray[Any], strength: float, decay: float) -> None:
        """Keep the largest weights, by their size, of each row of the matrix."""
        items, count = self.item.shape
        step = max(1, AT_ONCE // items)
        for start in range(0, items, step):
            rows = slice(start, start + step)
            order_nK = np.argpartition(-np.abs(weights_II[rows]), count - 1, axis=1)[:, :count]
            order_nK.sort(axis=1)
            self.item[rows] = torch.from_numpy(order_nK)
            self.weight[rows] = torch.from_numpy(np.take_along_axis(weights_II[rows], order_nK, axis=1))
        self.strength.fill_(strength)
        self.decay.fill_(decay)

    def forward(self, had: tuple[Tensor, Tensor]) -> Tensor:
        """What is added to the logits of all items (B, I + 1).

        Args:
            had: items (S,), one row's after the other's, each in the order of time, and how many each row has (B,).
        """
        return self.strength * self.scores(had)

    def scores(self, had: tuple[Tensor, Tensor]) -> Tensor:
        """The sums themselves (B, I + 1), whatever the strength."""
        items_S, counts_B = had
        items, neighbours = self.item.shape
        sums = self.weight.new_zeros(len(counts_B) * items)
        step = max(1, AT_ONCE // neighbours)
        parts = (whole.split(step) for whole in (items_S, _rows(counts_B), self._share(counts_B)))
        for own, row, share in zip(*parts, strict=True):
            place = self.item[own] + items * row.unsqueeze(1)
            sums.scatter_add_(0, place.flatten(), (share.unsqueeze(1) * self.weight[own]).flatten())
        return sums.view(len(counts_B), items)

    def of(self, item_B: Tensor, had: tuple[Tensor, Tensor]) -> Tensor:
        """What is added to the logit of one item each (B,)."""
        items_S, counts_B = had
        rows_S = _rows(counts_B)
        score_S = (self.weight[items_S] * (self.item[items_S] == item_B[rows_S].unsqueeze(1))).sum(1)
        score_S = self._share(counts_B) * score_S
        return self.strength * self.weight.new_zeros(len(counts_B)).scatter_add_(0, rows_S, score_S)

    def strongest(self, item_BK: Tensor, had: tuple[Tensor, Tensor], least: float) -> Tensor:
        """For each of a row's K items, the one of those that the user has had which adds most to its logit (B, K); 0
        where none adds `least`. Of equal ones the larger index.
        """
        own_S, counts_B = had
        rows_S, share_S = _rows(counts_B), self.strength * self._share(counts_B)
        adds_SK = item_BK.new_zeros((len(own_S), item_BK.shape[1]), dtype=self.weight.dtype)
        last = self.item.shape[1] - 1
        for places in torch.arange(len(own_S)).split(max(1, AT_ONCE // self.item.shape[1])):
            theirs, asked = self.item[own_S[places]], item_BK[rows_S[places]]
            column = torch.searchsorted(theirs, asked).clamp(max=last)  # `set_` sorts the neighbours of each item
            weight = self.weight[own_S[places]].gather(1, column) * (theirs.gather(1, column) == asked)
            adds_SK[places] = share_S[places].unsqueeze(1) * weight
        to_SK = rows_S.unsqueeze(1).expand_as(adds_SK)
        most_BK = adds_SK.new_full(item_BK.shape, least).scatter_reduce_(0, to_SK, adds_SK, "amax")
        named_SK = own_S.unsqueeze(1).where(adds_SK >= most_BK[rows_S], 0)
        return torch.zeros_like(item_BK).scatter_reduce_(0, to_SK, named_SK, "amax")

    def _share(self, counts_B: Tensor) -> Tensor:
        """How much each of the items counts (S,): the last of a row 1, the one before it `decay`, and so on."""
        ends_S = counts_B.cumsum(0).repeat_interleave(counts_B)
        return self.decay ** (ends_S - 1 - torch.arange(len(ends_S), device=ends_S.device))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f"{prefix}decay", torch.ones(()))  # models of before have none
        super()._load_from_state_dict(state_dict, prefix, *args)


def _rows(counts_B: Tensor) -> Tensor:
    """Whose each of the items is (S,)."""
    return torch.repeat_interleave(torch.arange(len(counts_B), device=counts_B.device), counts_B)
