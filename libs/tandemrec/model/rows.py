"""Rows of tabular data as vectors: a learned vector for each value of a category, piecewise-linear ones for numbers.

Shapes: B rows, C columns of categories, N of numbers, K bins, M members, E width of a column's vector, D width of a
row's.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tandemrec.config import ModelSettings
from tandemrec.model.batch import Sizes


class CategoryVectors(nn.Module):
    """A learned vector for each value of each column. A value that training never saw, and a missing one, is 0 there:
    its vector is zero until rows without a value teach it.
    """

    def __init__(self, counts: Sequence[int], width: int) -> None:
        super().__init__()
        first = torch.tensor([0, *counts]).cumsum(0)
        self.first: Tensor
        self.register_buffer("first", first[:-1], persistent=False)
        self.vectors = nn.Embedding(int(first[-1]), width)
        nn.init.normal_(self.vectors.weight, std=width**-0.5)
        with torch.no_grad():
            self.vectors.weight[self.first] = 0

    def forward(self, categories_BC: Tensor) -> Tensor:
        """(B, C, E)."""
        return cast(Tensor, self.vectors(categories_BC + self.first))


class NumberVectors(nn.Module):
    """Numbers by what share of each bin lies below them, min(max((x - b_k) / (b_k+1 - b_k), 0), 1), and a linear layer
    a column on top (Gorishniy, Rubachev and Babenko 2022, "On Embeddings for Numerical Features in Tabular Deep
    Learning", equation 1, whose first and last bin go on where the training rows end; here none does). A missing number
    has a learned vector of its own.

    Args:
        edges: of each column, ascending, two at least; bins are between neighbours.
        width: E.
    """

    def __init__(self, edges: Sequence[Sequence[float]], width: int) -> None:
        super().__init__()
        bins = max((len(column) for column in edges), default=1) - 1
        low_NK = torch.full((len(edges), bins), torch.inf)  # no number reaches the bins that a column lacks
        size_NK = torch.ones(len(edges), bins)
        for number, column in enumerate(edges):
            ends = torch.tensor(column, dtype=torch.float64)
            low_NK[number, : len(column) - 1] = ends[:-1].float()
            size_NK[number, : len(column) - 1] = ends.diff().float()
        self.low: Tensor
        self.size: Tensor
        self.register_buffer("low", low_NK, persistent=False)
        self.register_buffer("size", size_NK, persistent=False)
        self.weight = nn.Parameter(torch.randn(len(edges), bins, width) * max(1, bins * width) ** -0.5)
        self.bias = nn.Parameter(torch.zeros(len(edges), width))
        self.missing = nn.Parameter(torch.zeros(len(edges), width))

    def forward(self, numbers_BN: Tensor) -> Tensor:
        """(B, N, E), NaN for a missing number."""
        known_BN1 = ~numbers_BN.isnan().unsqueeze(-1)
        shares_BNK = ((numbers_BN.nan_to_num().unsqueeze(-1) - self.low) / self.size).clamp(0, 1)
        vectors_BNE = torch.einsum("bnk,nke->bne", shares_BNK, self.weight) + self.bias
        return torch.where(known_BN1, vectors_BNE, self.missing)


class RowEncoder(nn.Module):
    """All columns of a row as one vector or, with members, as one for each member of an ensemble. Members share every
    layer and differ by a learned factor for each input, 1 or -1 at first (Gorishniy, Kotelnikov and Babenko 2025,
    "TabM", its mini form; here they share their heads too).
    """

    def __init__(self, settings: ModelSettings, sizes: Sizes) -> None:
        super().__init__()
        width = settings.rows.width
        self.categories = CategoryVectors(sizes.values, width)
        self.numbers = NumberVectors(sizes.edges, width)
        inputs, members = (len(sizes.values) + len(sizes.edges)) * width, settings.rows.members
        self.factors = nn.Parameter(2.0 * torch.randint(2, (members, 1, inputs)) - 1) if members > 1 else None
        self.net = nn.Sequential(
            nn.Dropout(settings.dropout), nn.Linear(inputs, settings.width), nn.LayerNorm(settings.width)
        )

    def forward(self, categories_BC: Tensor, numbers_BN: Tensor) -> Tensor:
        """(B, D), or (M B, D): the rows of the first member, then those of the next."""
        inputs = torch.cat([self.categories(categories_BC), self.numbers(numbers_BN)], dim=1).flatten(1)
        if self.factors is not None:
            inputs = (inputs * self.factors).flatten(0, 1)
        return cast(Tensor, self.net(inputs))
