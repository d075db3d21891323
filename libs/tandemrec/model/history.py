"""History encoders: the vectors of a user's last items in, one vector out.

Each obeys one contract: what is unknown changes nothing, nor do the other rows of the batch; an empty history gives
zeros. Histories are padded on the left, the newest item is last; in training items are left out at random, so that
there are gaps. Sums over places and convolutions keep an item at its place, others close the gaps.

Shapes: B rows, L history length, D width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class NoHistory(nn.Module):
    """Zeros: who the user is must be said by the id or by reviews."""

    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()

    def forward(self, items_BLD: Tensor, known_BL: Tensor) -> Tensor:
        return torch.zeros_like(items_BLD[:, 0])


class MeanHistory(nn.Module):
    """A weighted sum over the places of the history, the newest counted from the end: n^-0.5 * sum of exp(a_l) v_l.

    The sum is divided by the root of the number of items (as in FISM, Kabbur et al. 2013, with alpha = 0.5): a long
    history says more than a short one, but not in proportion.
    """

    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(length))  # L, logarithm of the weight; the last is the newest

    def forward(self, items_BLD: Tensor, known_BL: Tensor) -> Tensor:
        weight_BL = self.place[-known_BL.shape[1] :].exp() * known_BL
        sum_BD = torch.bmm(weight_BL.unsqueeze(1), items_BLD).squeeze(1)
        return sum_BD / known_BL.sum(1, keepdim=True).clamp(min=1).sqrt()


class PerceptronHistory(nn.Module):
    """A multi-layer perceptron on the mean of the items, as in the candidate generation of Covington et al. 2016,
    section 3.2: W2 gelu(W1 norm(m)), m = MeanHistory. The mean also passes unchanged.
    """

    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.mean = MeanHistory(width, length, dropout)
        self.net = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, items_BLD: Tensor, known_BL: Tensor) -> Tensor:
        mean_BD = self.mean(items_BLD, known_BL)
        return (mean_BD + self.net(mean_BD)) * known_BL.any(1, keepdim=True)


class ConvolutionalHistory(nn.Module):
    """Convolutions over 2, 3 and 4 neighbouring items, the largest answer of each filter: Caser's horizontal filters,
    max over l of relu(F_h * V[l : l + h]) (Tang and Wang 2018, equations 3 to 5). Its vertical filters are weighted
    sums over the places, which MeanHistory is.
    """

    HEIGHTS = (2, 3, 4)

    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.filters = nn.ModuleList(nn.Conv1d(width, width, height) for height in self.HEIGHTS)
        self.out = nn.Linear(len(self.HEIGHTS) * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, items_BLD: Tensor, known_BL: Tensor) -> Tensor:
        masked_BDL = (items_BLD * known_BL.unsqueeze(-1)).transpose(1, 2)
        answers = []
        for height, convolve in zip(self.HEIGHTS, self.filters, strict=True):
            # `height - 1` zeros before the oldest place, so that every window ends at a place of the history.
            answer_BDL = torch.relu(convolve(nn.functional.pad(masked_BDL, (height - 1, 0))))
            answers.append((answer_BDL * known_BL.unsqueeze(1)).amax(2))
        return self.out(self.dropout(torch.cat(answers, dim=1))) * known_BL.any(1, keepdim=True)


class RecurrentHistory(nn.Module):
    """A gated recurrent unit from the oldest item to the newest, h = (1 - z) n + z h' (Cho et al. 2014; for sessions
    GRU4Rec, Hidasi et al. 2016, equations 1 to 4): its last state.
    """

    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, batch_first=True)
        self.dropout = nn.Dropout(dropout)

    def forward(self, items_BLD: Tensor, known_BL: Tensor) -> Tensor:
        items_BLD, known_BL = _without_gaps(items_BLD, known_BL)
        # Packed sequences start at the left, so that padding is never stepped over.
        length_B = known_BL.sum(1)
        first_BL = torch.arange(known_BL.shape[1], device=known_BL.device) + (known_BL.shape[1] - length_B).unsqueeze(1)
        place_BL = first_BL.clamp(max=known_BL.shape[1] - 1)
        left_BLD = items_BLD.gather(1, place_BL.unsqueeze(-1).expand_as(items_BLD))
        packed = nn.utils.rnn.pack_padded_sequence(
            self.dropout(left_BLD), length_B.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, last_1BD = self.gru(packed)
        return last_1BD[0] * known_BL.any(1, keepdim=True)


class AttentiveHistory(nn.Module):
    """One layer of self-attention with the newest item as the query: the last row of SASRec's first block,
    softmax(q K^T / sqrt(d)) V and a pointwise network (Kang and McAuley 2018, equations 2 to 5).
    """

    def __init__(self, width: int, length: int, dropout: float) -> None:
        super().__init__()
        heads = next(count for count in (4, 2, 1) if width % count == 0)
        self.place = nn.Parameter(torch.randn(length, width) * width**-0.5)  # (L, D), the last is the newest
        self.attention = nn.MultiheadAttention(width, heads, dropout=dropout, batch_first=True)
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.feed = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))

    def forward(self, items_BLD: Tensor, known_BL: Tensor) -> Tensor:
        items_BLD, known_BL = _without_gaps(items_BLD, known_BL)
        placed_BLD = self.before(items_BLD + self.place[-known_BL.shape[1] :])
        unknown_BL = ~known_BL
        # A row without a history would attend to nothing at all: let it look at its padding, its answer is zeroed.
        unknown_BL = unknown_BL & known_BL.any(1, keepdim=True)
        newest_B1D = placed_BLD[:, -1:]
        seen_B1D, _ = self.attention(
            newest_B1D, placed_BLD, placed_BLD, key_padding_mask=unknown_BL, need_weights=False
        )
        mixed_BD = (newest_B1D + seen_B1D)[:, 0]
        return (mixed_BD + self.feed(self.after(mixed_BD))) * known_BL.any(1, keepdim=True)


def _without_gaps(items_BLD: Tensor, known_BL: Tensor) -> tuple[Tensor, Tensor]:
    """Items and which are known, each row's known ones at its end and in the order they had."""
    order_BL = known_BL.int().argsort(dim=1, stable=True)
    return items_BLD.gather(1, order_BL.unsqueeze(-1).expand_as(items_BLD)), known_BL.gather(1, order_BL)


HISTORIES: dict[str, Callable[[int, int, float], nn.Module]] = {
    "none": NoHistory,
    "mean": MeanHistory,
    "mlp": PerceptronHistory,
    "cnn": ConvolutionalHistory,
    "rnn": RecurrentHistory,
    "attention": AttentiveHistory,
}
