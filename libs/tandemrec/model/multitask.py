"""One model for all tasks: shared representations, shared layers, a tower and a head for each task.

    user  = history of items, own reviews, id            item = id, attributes, description, reviews by others
    next item:     users @ catalogue + bias, over the whole catalogue
    other tasks:   tower(shared(user, item, user * item)) or tower(shared(review)), by what the task reads

Where a row could see its own answer it may not: the catalogue pools the training reviews of each item, so the vector of
the row's own item is computed again without the row's own review; tasks on a user and an item read the item's
reviews as of the row's moment, never those of the catalogue.

Shapes: B rows, L history length, R reviews, D width, W width of a text vector, I items; N any number of items.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tandemrec.config import ModelSettings, Task
from tandemrec.model.batch import Batch, Features, Sizes
from tandemrec.model.finetuning import UpperLayers
from tandemrec.model.heads import HEADS
from tandemrec.model.recommender import Catalogue, log_popularity
from tandemrec.model.representations import ItemEncoder, TextProjection, UserEncoder
from tandemrec.model.sharing import SHARINGS
from tandemrec.model.text_networks import TEXT_NETWORKS
from tandemrec.model.towers import tower

FIRST_SCALE = -2.0  # logarithm: queries are short at first, so that popularity is learned from, not against


class Factors(nn.Module):
    """u . v + b_u + b_i with a weight for each dimension: the linear part of a task on a user and an item."""

    def __init__(self, width: int, users: int, items: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))
        self.user_bias = nn.Parameter(torch.zeros(users))
        self.item_bias = nn.Parameter(torch.zeros(items))

    def forward(self, batch: Batch, product_BD: Tensor) -> Tensor:
        return product_BD @ self.weight + self.user_bias[batch.user] + self.item_bias[batch.item]


class MultiTaskModel(nn.Module):
    """Learns every task of the settings together. It is a Recommender."""

    def __init__(self, settings: ModelSettings, tasks: Sequence[Task], sizes: Sizes) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.settings, self.tasks, self.sizes = settings, tuple(tasks), sizes
        self.on_pairs = [task for task in tasks if task.kind in HEADS and "item" in task.reads]
        self.on_texts = [task for task in tasks if task.kind in HEADS and "review" in task.reads]
        pointwise = [*self.on_pairs, *self.on_texts]
        self.text = TextProjection(sizes.text_width, width) if sizes.text_width else nn.Identity()  # of no text
        finetune = settings.finetune_of(tasks)
        self.encoder = UpperLayers(sizes.upper, dropout) if finetune is not None and sizes.upper is not None else None
        networks = [name for name in settings.bottoms if name in TEXT_NETWORKS] if self.on_texts else []
        self.over_words = nn.ModuleDict({name: TEXT_NETWORKS[name](settings.words, width) for name in networks})
        self.item = ItemEncoder(settings, sizes)
        self.user = UserEncoder(settings, sizes)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE))
        self.item_bias = nn.Parameter(torch.zeros(sizes.items))
        self.user_norm = nn.LayerNorm(width)
        self.pair = nn.Linear(3 * width, width)
        self.sharing = SHARINGS[settings.sharing]([task.name for task in pointwise], width, settings.experts, dropout)
        self.factors = nn.ModuleDict({t.name: Factors(width, sizes.users, sizes.items) for t in self.on_pairs})
        outputs = {task.name: HEADS[task.kind].outputs(sizes.classes.get(task.column, 0)) for task in pointwise}
        self.towers = nn.ModuleDict({n: tower(width, settings.tower, out, dropout) for n, out in outputs.items()})

    def start_from(self, features: Features, labels: Mapping[str, Tensor]) -> None:
        """Answer with the training shares and means, and rank by popularity, before anything is learned."""
        with torch.no_grad():
            self.item_bias.copy_(log_popularity(features))
            for task in (*self.on_pairs, *self.on_texts):
                last = cast(nn.Linear, cast(nn.Sequential, self.towers[task.name])[-1])
                last.bias.copy_(HEADS[task.kind].prior(labels[task.column], last.out_features))

    def catalogue(self, features: Features) -> Catalogue:
        items_I = torch.arange(len(features), device=features.category.device)
        return Catalogue(self._items(features, items_I, features.reviews), self.item_bias)

    def users(self, batch: Batch, features: Features, catalogue: Catalogue) -> Tensor:
        """Query vectors (B, D), from what each row may know of the user."""
        batch = batch.with_history(self.sizes.history)
        history_BLD = catalogue.vectors[batch.history]
        again_BL = (batch.history == batch.item.unsqueeze(1)) & (batch.history > 0)
        again_BL = again_BL & _own_reviews(batch, features).any(1, keepdim=True)
        again_B = again_BL.any(1)
        if again_B.any():  # the row's item came up before: there too it is read without the row's own review
            own_nD = self._without_own_review(batch.where(again_B), features)
            row_m, place_m = again_BL.nonzero(as_tuple=True)
            history_BLD = history_BLD.index_put((row_m, place_m), own_nD[(again_B.cumsum(0) - 1)[row_m]])
        reviews_BD = self.text(features.mean_vectors(batch.user_reviews)) if self._reads_text else None
        users_BD: Tensor = self.user(batch, history_BLD, reviews_BD)
        return users_BD * self.scale.exp()

    def forward(self, batch: Batch, features: Features, users_BD: Tensor) -> dict[str, Tensor]:
        """Logits of every task but next item: (B,), or (B, C) with C classes."""
        mixed: dict[str, Tensor] = {}
        if self.on_pairs:
            user_BD, item_BD = self.user_norm(users_BD), self._items(features, batch.item, batch.item_reviews)
            product_BD = user_BD * item_BD
            pair_BD = self.pair(torch.cat([user_BD, item_BD, product_BD], dim=1))
            mixed |= self.sharing(pair_BD, [task.name for task in self.on_pairs])
        if self.on_texts:
            mixed |= self.sharing(self._review(batch, features), [task.name for task in self.on_texts])
        logits = {name: self.towers[name](mixed_BD).squeeze(-1) for name, mixed_BD in mixed.items()}
        for name, factors in self.factors.items():
            logits[name] = logits[name] + factors(batch, product_BD)
        return logits

    def candidate_logits(self, batch: Batch, features: Features, catalogue: Catalogue, users_BD: Tensor) -> Tensor:
        """Next-item logits over the catalogue (B, I + 1); minus infinity for what is no candidate.

        The column of a row's own item is computed without the row's own review.
        """
        logits_BI = users_BD @ catalogue.vectors.T + catalogue.bias
        leaks_B = _own_reviews(batch, features).any(1)
        if leaks_B.any():
            item_n, own_nD = batch.item[leaks_B], self._without_own_review(batch.where(leaks_B), features)
            logit_n = (users_BD[leaks_B] * own_nD).sum(1) + catalogue.bias[item_n]
            logits_BI = logits_BI.index_put((leaks_B.nonzero()[:, 0], item_n), logit_n)
        return logits_BI.masked_fill(~features.candidates, -torch.inf)

    def _items(self, features: Features, item_N: Tensor, reviews_NR: Tensor) -> Tensor:
        """Vectors of items (N, D) of which these reviews may be read."""
        description_ND = self.text(features.vectors(features.text[item_N])) if self._reads_text else None
        reviews_ND = self.text(features.mean_vectors(reviews_NR)) if self._reads_text else None
        vectors_ND: Tensor = self.item(features, item_N, description_ND, reviews_ND)
        return vectors_ND

    def _review(self, batch: Batch, features: Features) -> Tensor:
        """What the tasks on texts read of each row's review (B, D): the sum of the bottoms."""
        parts = []
        if "vectors" in self.settings.bottoms:
            parts.append(self.text(self._review_vectors(batch, features)))
        if self.over_words:
            assert features.words is not None  # whoever loads the features asks the settings
            words_BL, known_BL = features.words.of(batch.review)
            parts += [network(words_BL, known_BL) for network in self.over_words.values()]
        return sum(parts[1:], parts[0])

    def _review_vectors(self, batch: Batch, features: Features) -> Tensor:
        if self.encoder is None:
            return features.vectors(batch.review)
        assert features.states is not None  # whoever loads the features asks the settings
        states_BLW, known_BL = features.states.of(batch.review)
        vectors_BW: Tensor = self.encoder(states_BLW.float(), known_BL)
        return vectors_BW

    def _without_own_review(self, batch: Batch, features: Features) -> Tensor:
        """Vector of each row's item (B, D) as if the row's own review had not been written."""
        return self._items(
            features, batch.item, features.reviews[batch.item].masked_fill(_own_reviews(batch, features), 0)
        )

    @property
    def _reads_text(self) -> bool:
        return self.settings.text and self.sizes.text_width > 0


def _own_reviews(batch: Batch, features: Features) -> Tensor:
    """Where the catalogue pools a row's own review into the vector of the row's item, (B, R)."""
    reviews_BR = features.reviews[batch.item]
    return (reviews_BR == batch.review.unsqueeze(1)) & (reviews_BR > 0)
