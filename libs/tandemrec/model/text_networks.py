"""Networks over the words of a text, learned from scratch: numbers of words in, one vector out.

Each obeys one contract: padding changes nothing, nor do the other rows of the batch; a text without words gives zeros.

Shapes: N texts, L words, E width of a word's vector, F filters or states, D width.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from tandemrec.config import WordSettings


class _OverWords(nn.Module):
    """Vectors of words -> what is found in the text -> D."""

    def __init__(self, settings: WordSettings, found: int, width: int) -> None:
        super().__init__()
        self.words = nn.Embedding(settings.buckets + 1, settings.width, padding_idx=0)
        nn.init.normal_(self.words.weight[1:], std=0.1)
        self.dropout = nn.Dropout(settings.dropout)
        self.out = nn.Sequential(nn.Linear(found, width), nn.LayerNorm(width))

    def found(self, words_NL: Tensor, known_NL: Tensor) -> Tensor:
        """(N, found) of texts with one word at least; words that are not known are 0."""
        raise NotImplementedError

    def vectors(self, words_NL: Tensor) -> Tensor:
        """(N, L, E), zeros for padding."""
        return cast(Tensor, self.dropout(self.words(words_NL)))

    def forward(self, words_NL: Tensor, known_NL: Tensor) -> Tensor:
        some_N = known_NL.any(1, keepdim=True)
        known_NL = known_NL | ~some_N  # a text without words is one of padding, its answer is zeroed
        found_NF = self.found(words_NL * known_NL, known_NL)
        return cast(Tensor, self.out(self.dropout(found_NF))) * some_N


class TextCNN(_OverWords):
    """Convolutions over 1 to 4 words in a row and the largest answer of each filter (Kim 2014)."""

    HEIGHTS = (1, 2, 3, 4)

    def __init__(self, settings: WordSettings, width: int) -> None:
        super().__init__(settings, len(self.HEIGHTS) * settings.filters, width)
        self.filters = nn.ModuleList(nn.Conv1d(settings.width, settings.filters, height) for height in self.HEIGHTS)

    def found(self, words_NL: Tensor, known_NL: Tensor) -> Tensor:
        unknown_N1L = ~known_NL.unsqueeze(1)
        masked_NEL = self.vectors(words_NL).transpose(1, 2).masked_fill(unknown_N1L, 0.0)
        largest = []
        for height, convolve in zip(self.HEIGHTS, self.filters, strict=True):
            # Zeros before the first word, so that every window ends at a word of the text.
            answers_NFL = convolve(nn.functional.pad(masked_NEL, (height - 1, 0)))
            largest.append(answers_NFL.masked_fill(unknown_N1L, -torch.inf).max(2).values)
        return torch.cat(largest, dim=1).relu()  # the largest of what relu lets through


class BiGRU(_OverWords):
    """Gated recurrent units from both ends, and the largest value of each state (Conneau et al. 2017)."""

    def __init__(self, settings: WordSettings, width: int) -> None:
        super().__init__(settings, 2 * settings.filters, width)
        self.gru = nn.GRU(settings.width, settings.filters, batch_first=True, bidirectional=True)

    def found(self, words_NL: Tensor, known_NL: Tensor) -> Tensor:
        lengths_N = known_NL.sum(1).cpu()  # packed, so that padding is never stepped over
        packed = nn.utils.rnn.pack_padded_sequence(
            self.vectors(words_NL), lengths_N, batch_first=True, enforce_sorted=False
        )
        states, _ = self.gru(packed)
        states_NLF, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, padding_value=-torch.inf)
        return states_NLF.max(1).values


class BagOfWords(_OverWords):
    """The mean of the vectors of words, and that of vectors of two words in a row (fastText, Joulin et al. 2017).
    Dropout leaves out whole words and pairs, and then numbers of the means.
    """

    MULTIPLIER = 116_049_371  # of fastText's hash

    def __init__(self, settings: WordSettings, width: int) -> None:
        super().__init__(settings, 2 * settings.width, width)
        self.pairs = nn.Embedding(settings.buckets + 1, settings.width, padding_idx=0)
        nn.init.normal_(self.pairs.weight[1:], std=0.1)

    def found(self, words_NL: Tensor, known_NL: Tensor) -> Tensor:
        before, after = nn.functional.pad(words_NL, (1, 0)), nn.functional.pad(words_NL, (0, 1))
        # A pair's number is a hash of both words' numbers; 0 where one of them is padding.
        pairs_NM = 1 + (before * self.MULTIPLIER + after) % (len(self.pairs.weight) - 1)
        pairs_NM = pairs_NM * ((before > 0) & (after > 0))
        return torch.cat([self._mean(self.words, words_NL), self._mean(self.pairs, pairs_NM)], dim=1)

    def _mean(self, table: nn.Embedding, numbers_NL: Tensor) -> Tensor:
        """(N, E) over what is no padding, zeros where all is; no (N, L, E) is made on the way."""
        if self.training and self.dropout.p:
            numbers_NL = numbers_NL * (torch.rand(numbers_NL.shape, device=numbers_NL.device) >= self.dropout.p)
        return nn.functional.embedding_bag(numbers_NL, table.weight, mode="mean", padding_idx=0)


TEXT_NETWORKS: dict[str, Callable[[WordSettings, int], nn.Module]] = {
    "bag": BagOfWords,
    "cnn": TextCNN,
    "rnn": BiGRU,
}
