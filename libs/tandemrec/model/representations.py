"""Users, items and texts as vectors of one width: what the shared layers and the retrieval work on.

One projection of text serves a user's reviews, an item's reviews and descriptions, and the tasks that read a review
itself. That is where recommendation and text understanding learn from each other.

Shapes: B rows, L history length, D width, W width of a text vector; N any number of items or texts.
"""

from typing import cast

import torch
from torch import Tensor, nn

from tandemrec.config import InterestSettings, ModelSettings
from tandemrec.model.batch import Batch, Features, Lists, Sizes
from tandemrec.model.history import HISTORIES


class TextProjection(nn.Module):
    """From the vectors of a language model, which stay as they are, to the model's own width.

    Vectors of a language model may all lie near each other, those of E5 do: what they have in common is subtracted, and
    what is left is brought to one root mean square length, whatever the model. Several texts are averaged before they
    are projected: that costs one projection instead of many.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, text_width: int, width: int, length: float) -> None:
        super().__init__()
        self.length = length
        self.net = nn.Sequential(nn.Linear(text_width, width), nn.LayerNorm(width), nn.GELU())
        self.register_buffer("mean", torch.zeros(text_width))
        self.register_buffer("scale", torch.ones(()))

    def centre_on(self, vectors_NW: Tensor) -> None:
        """Take mean and length of the vectors of texts (N, W) as those of every text from now on."""
        self.mean.copy_(vectors_NW.mean(0))
        variance = (vectors_NW - self.mean).square().sum(1).mean()
        if variance > 0:  # not of a single text
            self.scale.copy_(self.length * variance.rsqrt())

    def forward(self, vectors_NW: Tensor) -> Tensor:
        """(N, D) of texts or of means of several; zeros where the vector is zero, which stands for no text."""
        centred_NW = (vectors_NW - self.mean) * self.scale
        return cast(Tensor, self.net(centred_NW)) * vectors_NW.any(1, keepdim=True)


class IdVectors(nn.Module):
    """A learned vector for each id: one that all share, plus what is the id's own.

    In training an id's own part is left out at random, so that the shared one stands for whoever is new.
    """

    def __init__(self, count: int, width: int, dropout: float, spread: float) -> None:
        super().__init__()
        self.unknown = nn.Parameter(torch.zeros(width))
        self.own = nn.Embedding(count, width)
        self.dropout = dropout
        nn.init.normal_(self.own.weight, std=spread)

    def forward(self, ids_N: Tensor, known_N: Tensor) -> Tensor:
        if self.training and self.dropout > 0:
            known_N = known_N & (torch.rand(ids_N.shape, device=ids_N.device) >= self.dropout)
        return self.unknown + cast(Tensor, self.own(ids_N)) * known_N.unsqueeze(-1)


class ItemEncoder(nn.Module):
    """Items as vectors: the sum of what is known of them, normalised.

    An item without training interactions has no id of its own: what stands there was never learned.
    """

    def __init__(self, settings: ModelSettings, sizes: Sizes) -> None:
        super().__init__()
        width = settings.width
        # A product of two vectors is learned from small ones; where a norm follows, only directions matter.
        spread = (0.1 if settings.pairs == "product" else 1.0) * width**-0.5
        self.id = IdVectors(sizes.items, width, settings.id_dropout, spread) if settings.item_id else None
        counts = {"category": sizes.categories, "brand": sizes.brands, "price": sizes.prices}
        self.attributes = nn.ParameterDict(
            {name: torch.zeros(count, width) for name, count in counts.items()} if settings.attributes else {}
        )
        named = sizes.attributes if settings.attributes else []
        self.named_attributes = nn.ParameterList([torch.zeros(count, width) for count in named])
        reads_text = settings.text and sizes.text_width > 0
        self.description = nn.Linear(width, width, bias=False) if reads_text else nn.Identity()
        self.reviews = nn.Linear(width, width, bias=False) if reads_text else nn.Identity()
        self.norm = (
            nn.LayerNorm(width) if settings.pairs == "network" else nn.Identity()
        )  # a product of what is learned
        self.width = width

    def described(self, features: Features) -> Tensor:
        """(I + 1,) bool: items of which something is told that this reads, beside their id."""
        told = [getattr(features, name) > 0 for name in self.attributes]
        if self.named_attributes and features.attributes is not None:
            told.append((features.attributes > 0).any(1))
        if isinstance(self.description, nn.Linear):
            told += [features.text > 0, (features.reviews > 0).any(1)]
        return torch.stack(told).any(0) if told else torch.zeros_like(features.candidates)

    def forward(
        self, features: Features, item_N: Tensor, description_ND: Tensor | None, reviews_ND: Tensor | None
    ) -> Tensor:
        """(N, D), from projected descriptions and projected means of the reviews that may be read."""
        vector_ND = torch.zeros(len(item_N), self.width, device=item_N.device)
        if self.id is not None:
            vector_ND = vector_ND + self.id(item_N, features.candidates[item_N])
        for name, embedding in self.attributes.items():
            vector_ND = vector_ND + embedding[getattr(features, name)[item_N]]
        if self.named_attributes and features.attributes is not None:
            for embedding, value_N in zip(self.named_attributes, features.attributes[item_N].T, strict=True):
                vector_ND = vector_ND + embedding[value_N]
        if description_ND is not None:
            vector_ND = vector_ND + self.description(description_ND)
        if reviews_ND is not None:
            vector_ND = vector_ND + self.reviews(reviews_ND)
        return cast(Tensor, self.norm(vector_ND))


class TermInterest(nn.Module):
    """The terms of a user's last reviews: n^-0.5 * sum of w v_t over the n terms that they name, w = 2^(-place /
    half_life), the last review at place 0.

    Divided by a root as in MeanHistory. A term that training never named keeps the vector of zeros, which says nothing;
    how telling another one is its vector's length learns. In training terms are left out at random.
    """

    def __init__(self, settings: InterestSettings, count: int, width: int, dropout: float) -> None:
        super().__init__()
        self.own = nn.EmbeddingBag(count, width, mode="sum")
        self.half_life, self.dropout = settings.half_life, dropout
        nn.init.zeros_(self.own.weight)

    def forward(self, reviews_BR: Tensor, terms: Lists) -> Tensor:
        """(B, D); zeros for a user whose reviews name none."""
        rows, length = reviews_BR.shape
        term_E, owner_E = terms.chained(reviews_BR.flatten())
        if self.training and self.dropout > 0:
            left_E = torch.rand(term_E.shape, device=term_E.device) >= self.dropout
            term_E, owner_E = term_E[left_E], owner_E[left_E]
        row_E, age_E = owner_E // length, length - 1 - owner_E % length
        count_B = row_E.bincount(minlength=rows)
        weight_E = torch.exp2(-age_E / self.half_life) * count_B.clamp(min=1).rsqrt()[row_E]
        return cast(Tensor, self.own(term_E, count_B.cumsum(0) - count_B, per_sample_weights=weight_E))


class UserEncoder(nn.Module):
    """Users as vectors, as of a moment: history, own reviews, the terms that these name and, beside them, an id."""

    def __init__(self, settings: ModelSettings, sizes: Sizes) -> None:
        super().__init__()
        width = settings.width
        self.history = HISTORIES[settings.history](width, sizes.history, settings.dropout)
        self.from_history = nn.Linear(width, width) if settings.history != "none" else nn.Identity()
        self.reviews = nn.Linear(width, width, bias=False) if settings.text and sizes.text_width else nn.Identity()
        self.interest = (
            TermInterest(settings.interest, sizes.terms, width, settings.dropout)
            if settings.interest is not None
            else None
        )
        # An id that is never trained stays at zero, which is to be unknown; a product learns nothing from two zeros.
        spread = 0.1 * width**-0.5 if settings.pairs == "product" else 0.0
        self.id = IdVectors(sizes.users, width, settings.id_dropout, spread) if settings.user_id else None
        self.dropout = nn.Dropout(settings.dropout)

    def forward(
        self, batch: Batch, history_BLD: Tensor, reviews_BD: Tensor | None, terms: Lists | None = None
    ) -> Tensor:
        """(B, D), from the vectors of the items of each row's history, the projected mean of the user's reviews, and
        the terms of these.
        """
        known_BL = batch.history > 0
        if self.training and self.dropout.p > 0:  # whole items: what is left of a history has to do
            known_BL = known_BL & (torch.rand(known_BL.shape, device=known_BL.device) >= self.dropout.p)
        vector_BD = self.from_history(self.history(history_BLD, known_BL))
        if reviews_BD is not None:
            vector_BD = vector_BD + self.reviews(reviews_BD)
        if self.interest is not None:
            assert terms is not None  # whoever loads the features asks the settings
            vector_BD = vector_BD + self.interest(batch.user_reviews, terms)
        if self.id is not None:
            vector_BD = vector_BD + self.id(batch.user, batch.user > 0)
        return cast(Tensor, self.dropout(vector_BD))
