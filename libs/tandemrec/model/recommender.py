"""What the training loop, the scoring and the retrieval ask of a model, whichever it is.

Shapes: B rows, I items, D width.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from torch import Tensor

from tandemrec.config import Task
from tandemrec.model.batch import Batch, Features


class Catalogue(NamedTuple):
    """Items as retrieval sees them: score = queries @ vectors.T + bias.

    Every item in its place or, where `place` says which row is whose, the N items that a step of training needs.
    """

    vectors: Tensor  # (I + 1, D), or (N, D)
    bias: Tensor  # (I + 1,), or (N,)
    place: Tensor | None = None  # (I + 1,) rows of items

    def rows(self, items: Tensor) -> Tensor:
        """Where these items, of any shape, stand."""
        return items if self.place is None else self.place[items]


class Recommender(Protocol):
    """A model that learns some tasks. It is an nn.Module too (see `as_module`)."""

    tasks: Sequence[Task]

    def start_from(self, features: Features, labels: Mapping[str, Tensor]) -> None:
        """Set the biases to what the training labels (n,), by column and without NaN, say before learning."""

    def catalogue(self, features: Features, items_N: Tensor | None = None) -> Catalogue:
        """All items, or only these."""

    def users(self, batch: Batch, features: Features, catalogue: Catalogue) -> Tensor:
        """What is known of the users (B, D)."""

    def queries(self, users_BD: Tensor) -> Tensor:
        """What next item asks the catalogue with (B, D)."""

    def __call__(self, batch: Batch, features: Features, users_BD: Tensor) -> dict[str, Tensor]:
        """Logits of the tasks that score each row on its own: (B,), or (B, C) with C classes."""

    def candidates(self, features: Features) -> Tensor:
        """(I + 1,) bool: the items that are ranked."""

    def candidate_logits(self, batch: Batch, features: Features, catalogue: Catalogue, users_BD: Tensor) -> Tensor:
        """Next-item logits over the catalogue (B, I + 1); minus infinity for what is no candidate."""

    def ranking_logits(
        self, batch: Batch, features: Features, catalogue: Catalogue, users_BD: Tensor, had: tuple[Tensor, Tensor]
    ) -> Tensor:
        """What is ranked by (B, I + 1): these, and what goes with the items (S,) that each user has had, (B,) many."""

    def own_logits(self, batch: Batch, features: Features, catalogue: Catalogue, queries_BD: Tensor) -> Tensor:
        """Next-item logits of each row's own item (B,)."""


def log_popularity(features: Features) -> Tensor:
    """Logarithm of each item's training interactions (I + 1,), one added, centred on the catalogue's mean."""
    counts_I = features.interactions.float() + 1
    return (counts_I / counts_I.mean()).log()
