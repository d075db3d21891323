"""What a model reads: one batch of examples, and what is known of every item and text.

Both hold references (integers); the vectors of texts are gathered from one matrix when a module needs them.
Index 0 is padding and unknown everywhere.

Shapes: B rows of the batch, L history length, R reviews, C and N columns of categories and of numbers, I items,
A attributes of items, T texts, W width of a text vector.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, Self

import torch
from torch import Tensor

ITEMS_AT_ONCE = 16_384  # whose texts are read in one go: of eight reviews and 384 numbers each 200 MB


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """What is mixed into the texts of a batch while training (mixup): another text for each, and that one's labels.

    `share` is the part of the row's own text: 1, and no other text, where nothing is mixed in. `hidden`: what the
    shared layers make of both is mixed, in place of their vectors.
    """

    review: Tensor  # (B,) text
    share: Tensor  # (B,)
    labels: dict[str, Tensor]  # (B,) each
    hidden: bool

    def where(self, chosen: Tensor) -> Self:
        """The rows of a mask (B,) or of indices."""
        labels = {name: label[chosen] for name, label in self.labels.items()}
        return replace(self, review=self.review[chosen], share=self.share[chosen], labels=labels)

    def of(self, own_BD: Tensor, other_BD: Tensor) -> Tensor:
        """Share x own + (1 - share) x other (Zhang et al. 2018, equation 1)."""
        share_B1 = self.share.unsqueeze(1).to(own_BD.dtype)
        return share_B1 * own_BD + (1 - share_B1) * other_BD


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Rows of gold.examples. Lists are padded on the left, the newest entry is last.

    `labels` maps a label column to (B,), NaN where the row says nothing. `review` is the review written at the row's
    moment: text tasks read it, everything else must not. Tabular data has `categories` and `numbers` and nothing else.
    """

    user: Tensor  # (B,)
    item: Tensor  # (B,)
    history: Tensor  # (B, L) items
    user_reviews: Tensor  # (B, R) texts
    item_reviews: Tensor  # (B, R) texts
    review: Tensor  # (B,) text
    labels: dict[str, Tensor]
    mixture: Mixture | None = None
    categories: Tensor | None = None  # (B, C)
    numbers: Tensor | None = None  # (B, N), NaN where there is none
    weight: Tensor | None = None  # (B,) how much a row's losses count; all alike without

    def __len__(self) -> int:
        return len(self.user)

    def where(self, chosen: Tensor) -> Self:
        """The rows of a mask (B,) or of indices."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        labels = {name: label[chosen] for name, label in columns.pop("labels").items()}
        mixture: Mixture | None = columns.pop("mixture")
        there = {name: column[chosen] for name, column in columns.items() if column is not None}
        return replace(self, labels=labels, mixture=None if mixture is None else mixture.where(chosen), **there)

    def with_history(self, length: int) -> Self:
        """The rows with histories of this length at most: the newest items."""
        return replace(self, history=self.history[:, -length:])


@dataclass(frozen=True, kw_only=True)
class Lists:
    """A list for each text, such as its words, of lengths of their own: one list after the other in `values`."""

    values: Tensor  # (V, ...)
    starts: Tensor  # (T + 1,)
    lengths: Tensor  # (T + 1,)

    def of(self, index_N: Tensor) -> tuple[Tensor, Tensor]:
        """Lists (N, L, ...), padded on the right, and where an entry is one (N, L); L is at least 1."""
        length_N = self.lengths[index_N]
        place_L = torch.arange(max(1, int(length_N.max())) if len(length_N) else 1, device=index_N.device)
        known_NL = place_L < length_N.unsqueeze(1)
        at_NL = torch.where(known_NL, self.starts[index_N].unsqueeze(1) + place_L, 0)
        return self.values[at_NL], known_NL

    def chained(self, index_N: Tensor) -> tuple[Tensor, Tensor]:
        """The same lists without padding: entries one list after the other (E, ...), and whose each is (E,), from 0."""
        length_N = self.lengths[index_N]
        owner_E = torch.arange(len(index_N), device=index_N.device).repeat_interleave(length_N)
        first_N = self.starts[index_N] - (length_N.cumsum(0) - length_N)
        return self.values[first_N[owner_E] + torch.arange(len(owner_E), device=index_N.device)], owner_E

    def to(self, device: torch.device) -> Self:
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self)})


@dataclass(frozen=True, kw_only=True)
class Features:
    """What is known of the items beside behaviour, by item index, and the vectors of texts.

    `reviews` are texts of the training split; `interactions` counts the training positives: an item with none is no
    candidate. `texts` is float16, mapped from a file where it lies on the processor, and None for data without text;
    so are `words`, `states` and `terms`, where no model reads them.
    """

    category: Tensor  # (I + 1,)
    brand: Tensor  # (I + 1,)
    price: Tensor  # (I + 1,)
    text: Tensor  # (I + 1,) text: title and description
    reviews: Tensor  # (I + 1, R) texts
    interactions: Tensor  # (I + 1,)
    attributes: Tensor | None = None  # (I + 1, A) those that `examples.attributes` names, sorted by name
    texts: Tensor | None = None  # (T + 1, W)
    words: Lists | None = None  # numbers of words, from 1
    states: Lists | None = None  # (V, W) tokens after the encoder's lower layers
    terms: Lists | None = None  # numbers of terms, from 1

    def __len__(self) -> int:
        """Rows, padding included: I + 1."""
        return len(self.category)

    @property
    def candidates(self) -> Tensor:
        """(I + 1,) bool: items that were seen in training."""
        return self.interactions > 0

    def vectors(self, index_N: Tensor) -> Tensor:
        """Vectors of texts, (N, W); zeros where there is none."""
        if self.texts is None:
            return torch.zeros(len(index_N), 0, device=index_N.device)
        return self.texts[index_N].float()

    def mean_vectors(self, index_NR: Tensor) -> Tensor:
        """Means over the texts of each row, (N, W); zeros where there is none."""
        sum_NW = self.vectors(index_NR.flatten()).unflatten(0, index_NR.shape).sum(1)
        return sum_NW / (index_NR > 0).sum(1, keepdim=True).clamp(min=1)

    @cached_property
    def item_reviews(self) -> Tensor:
        """Mean vectors of the reviews of each item, (I + 1, W): made once, training asks in every step."""
        return torch.cat([self.mean_vectors(part) for part in self.reviews.split(ITEMS_AT_ONCE)])

    def told_vectors(self, most: int = 65_536) -> Tensor:
        """Vectors of the texts that items and their reviews of the training split tell, (N, W), evenly chosen where
        there are more than these.
        """
        index_N = torch.cat([self.text, self.reviews.flatten()]).unique()
        vectors_NW = self.vectors(index_N[:: 1 + (len(index_N) - 1) // most])
        return vectors_NW[vectors_NW.any(1)]

    def to(self, device: torch.device) -> Self:
        columns: dict[str, Tensor | Lists | None] = {f.name: getattr(self, f.name) for f in fields(self)}
        moved: dict[str, Any] = {name: None if c is None else c.to(device) for name, c in columns.items()}
        return replace(self, **moved)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many of each thing there are, padding included: what fixes the shapes of a model's parameters."""

    users: int
    items: int
    categories: int
    brands: int
    prices: int
    history: int  # L
    text_width: int  # W; 0 for data without text
    classes: dict[str, int]  # by label column of a multiclass task
    upper: dict[str, Any] | None = None  # of the encoder's upper layers, where they are learned
    terms: int = 0  # where they are read
    attributes: list[int] = field(default_factory=list)  # values of each that `examples.attributes` names
    values: list[int] = field(default_factory=list)  # of each column of categories
    edges: list[list[float]] = field(default_factory=list)  # of the bins of each column of numbers
