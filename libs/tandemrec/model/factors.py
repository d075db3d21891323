"""The linear part of a task on a user and an item.

Shapes: B rows, D width.
"""

import torch
from torch import Tensor, nn

from tandemrec.config import ModelSettings
from tandemrec.model.batch import Batch, Sizes


class Factors(nn.Module):
    """u . v + b_u + b_i: the linear part of a task on a user and an item, with a weight for each dimension where
    networks stand beside it. Whoever has no id has no bias.
    """

    def __init__(self, settings: ModelSettings, sizes: Sizes) -> None:
        super().__init__()
        weighted = settings.pairs == "network"
        self.weight = nn.Parameter(torch.zeros(settings.width)) if weighted else None
        self.user_bias = nn.Parameter(torch.zeros(sizes.users)) if settings.user_id else None
        self.item_bias = nn.Parameter(torch.zeros(sizes.items)) if settings.item_id else None

    def forward(self, batch: Batch, product_BD: Tensor) -> Tensor:
        score_B = product_BD.sum(1) if self.weight is None else product_BD @ self.weight
        for bias, index_B in ((self.user_bias, batch.user), (self.item_bias, batch.item)):
            if bias is not None:
                score_B = score_B + bias[index_B]
        return score_B
