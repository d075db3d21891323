"""One model for all tasks: shared representations, shared layers, a tower and a head for each task.

    user  = history of items, own reviews, their terms, id       item = id, attributes, description, reviews by others
    next item:     queries @ catalogue + bias, over the whole catalogue, and what goes with the items that a user has
                   had; queries = users or, where it takes part in what is shared, users + linear(shared(users))
    other tasks:   tower(shared(user, item, user * item)), tower(shared(review)) or, where the data are a table,
                   tower(shared(row)), by what the task reads

Where a row could see its own answer it may not: the catalogue pools the training reviews of each item, so the vector of
the row's own item is computed again without the row's own review; tasks on a user and an item read the item's
reviews as of the row's moment, never those of the catalogue.

Shapes: B rows, L history length, R reviews, D width, W width of a text vector, I items; N any number of items.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from tandemrec.config import ModelSettings, Task
from tandemrec.ease import LARGEST
from tandemrec.model.batch import ITEMS_AT_ONCE, Batch, Features, Sizes
from tandemrec.model.by_task import ByTask, ParameterByTask
from tandemrec.model.factors import Factors
from tandemrec.model.finetuning import UpperLayers
from tandemrec.model.heads import HEADS
from tandemrec.model.neighbours import Neighbours
from tandemrec.model.recommender import Catalogue, log_popularity
from tandemrec.model.representations import ItemEncoder, TextProjection, UserEncoder
from tandemrec.model.rows import RowEncoder
from tandemrec.model.sharing import SHARINGS, SharedQuery
from tandemrec.model.text_networks import TEXT_NETWORKS
from tandemrec.model.towers import tower

FIRST_SCALE = -2.0  # logarithm: queries are short at first, so that popularity is learned from, not against
LARGEST_SHARE = 0.99  # of those for whom the other came true, at first


class Calibration(nn.Module):
    """a + e^c z for the logits z of a task, and what each class weighs (C,) where one is told; changes nothing before
    `learn.calibration` has fitted it.
    """

    shift: Tensor
    log_slope: Tensor
    weights: Tensor

    def __init__(self, classes: int = 0) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(()))
        self.register_buffer("log_slope", torch.zeros(()))
        self.register_buffer("weights", torch.ones(classes))

    def forward(self, logits: Tensor) -> Tensor:
        return self.shift + self.log_slope.exp() * logits

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f"{prefix}weights", torch.ones_like(self.weights))  # models of before tell the likeliest
        super()._load_from_state_dict(state_dict, prefix, *args)


class MultiTaskModel(nn.Module):
    """Learns every task of the settings together. It is a Recommender.

    With `pairs: product` a task on a user and an item is mean + u . v + b_u + b_i and nothing beside it, the mean of
    ordered steps a threshold for each. From ids alone that is matrix factorisation (Koren, Bell and Volinsky 2009,
    equation 4), the smallest case.
    """

    new_items: Tensor  # () added to the next-item logits of items without training interactions; -inf: no candidates
    units: Tensor  # (T,) of the tasks' answers (Head.unit)

    def __init__(self, settings: ModelSettings, tasks: Sequence[Task], sizes: Sizes) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.settings, self.tasks, self.sizes = settings, tuple(tasks), sizes
        self.on_pairs = [task for task in tasks if task.head in HEADS and "item" in task.reads]
        self.on_texts = [task for task in tasks if task.head in HEADS and "review" in task.reads]
        networks = settings.pairs == "network"
        self.on_rows = [task for task in tasks if "row" in task.reads]
        pointwise = [*(self.on_pairs if networks else ()), *self.on_texts, *self.on_rows]
        projected = (sizes.text_width, width, settings.text_scale)
        self.text = TextProjection(*projected) if sizes.text_width else nn.Identity()  # of no text
        finetune = settings.finetune_of(tasks)
        self.encoder = UpperLayers(sizes.upper, dropout) if finetune is not None and sizes.upper is not None else None
        over_words = [name for name in settings.bottoms if name in TEXT_NETWORKS] if self.on_texts else []
        self.over_words = nn.ModuleDict({name: TEXT_NETWORKS[name](settings.words, width) for name in over_words})
        self.row = RowEncoder(settings, sizes) if self.on_rows else None
        self.item = ItemEncoder(settings, sizes)
        self.user = UserEncoder(settings, sizes)
        self.scale = nn.Parameter(torch.tensor(FIRST_SCALE)) if networks else None
        self.item_bias = nn.Parameter(torch.zeros(sizes.items)) if settings.item_id else None
        beside = settings.neighbours if settings.item_id and any(t.kind == "next_item" for t in tasks) else 0
        self.neighbours = Neighbours(sizes.items, beside) if beside and sizes.items <= LARGEST else None
        self.register_buffer("new_items", torch.tensor(-torch.inf))  # before `learn.new_items` has weighed them
        self.register_buffer("units", torch.ones(len(tasks)))
        on_pairs = networks and bool(self.on_pairs)
        self.user_norm = nn.LayerNorm(width) if on_pairs else nn.Identity()
        self.pair = nn.Linear(3 * width, width) if on_pairs else nn.Identity()
        names = [task.name for task in pointwise]
        asks = [t.name for t in tasks if t.head not in HEADS] if networks and settings.share_next_item else []
        self.shared_query = SharedQuery(asks[0], width) if asks else None
        names += asks
        self.sharing = SHARINGS[settings.sharing](names, settings) if names else nn.Identity()
        linear = [task for task in self.on_pairs if HEADS[task.head].one_score]
        self.factors = ByTask({task.name: Factors(settings, sizes) for task in linear})

        def last(task: Task, size: int) -> nn.Module:
            return HEADS[task.head].last(size, sizes.classes.get(task.column, 0))

        self.towers = ByTask({t.name: tower(width, settings.tower, partial(last, t), dropout) for t in pointwise})
        alone = {task.name: last(task, 1).bias for task in self.on_pairs if not networks}
        self.means = ParameterByTask({name: torch.zeros_like(cast(Tensor, bias)) for name, bias in alone.items()})
        pointwise = [task for task in tasks if task.head in HEADS]
        self.calibration = ByTask({task.name: Calibration(_classes(task, sizes)) for task in pointwise})

    def start_from(self, features: Features, labels: Mapping[str, Tensor]) -> None:
        """Answer with the training shares and means, rank by popularity and read texts for where they differ, before
        anything is learned.
        """
        columns = {task.name: task.column for task in self.tasks}
        with torch.no_grad():
            if isinstance(self.text, TextProjection) and len(told_NW := features.told_vectors()):
                self.text.centre_on(told_NW)
            if self.item_bias is not None:
                self.item_bias.copy_(log_popularity(features))
            for task in (*self.on_pairs, *self.on_texts, *self.on_rows):
                bias = self.means[task.name] if task.name in self.means else _last_bias(self.towers[task.name])
                unit = self.unit_of[task.name].fill_(HEADS[task.head].unit(labels[task.column]))
                prior = HEADS[task.head].prior(labels[task.column] / unit, len(bias))
                if task.given:  # the share among those for whom the other came true
                    among = prior.sigmoid() / HEADS[task.head].prior(labels[columns[task.given]], 1).sigmoid()
                    prior = among.clamp(max=LARGEST_SHARE).logit()
                bias.copy_(prior)

    def catalogue(self, features: Features, items_N: Tensor | None = None) -> Catalogue:
        """Every item, or these items (N,) alone."""
        chosen = torch.arange(len(features), device=features.category.device) if items_N is None else items_N
        parts = (chosen,) if self.training else chosen.split(ITEMS_AT_ONCE)
        vectors = torch.cat([self._in_catalogue(features, part, whole=items_N is None) for part in parts])
        bias = vectors.new_zeros(len(chosen)) if self.item_bias is None else self.item_bias[chosen]
        if self.ranks_new_items:
            bias = bias + self.new_items * ~features.candidates[chosen]
        if items_N is None:
            return Catalogue(vectors, bias)
        place_I = chosen.new_zeros(len(features))
        place_I[chosen] = torch.arange(len(chosen), device=chosen.device)
        return Catalogue(vectors, bias, place_I)

    def users(self, batch: Batch, features: Features, catalogue: Catalogue) -> Tensor:
        """What is known of the users (B, D), from what each row may know."""
        batch = batch.with_history(self.sizes.history)
        history_BLD = catalogue.vectors[catalogue.rows(batch.history)]
        again_BL = (batch.history == batch.item.unsqueeze(1)) & (batch.history > 0)
        again_BL = again_BL & self._own_reviews(batch, features).any(1, keepdim=True)
        again_B = again_BL.any(1)
        if again_B.any():  # the row's item came up before: there too it is read without the row's own review
            own_nD = self._without_own_review(batch.where(again_B), features)
            row_m, place_m = again_BL.nonzero(as_tuple=True)
            history_BLD = history_BLD.index_put((row_m, place_m), own_nD[(again_B.cumsum(0) - 1)[row_m]])
        reviews_BD = self.text(features.mean_vectors(batch.user_reviews)) if self._reads_text else None
        users_BD: Tensor = self.user(batch, history_BLD, reviews_BD, features.terms)
        return users_BD if self.scale is None else users_BD * self.scale.exp()

    def queries(self, users_BD: Tensor) -> Tensor:
        """What next item asks the catalogue with (B, D), of `users`."""
        if self.shared_query is None or self.scale is None:
            return users_BD
        return users_BD + self.scale.exp() * self.shared_query(users_BD, self.sharing)

    def forward(self, batch: Batch, features: Features, users_BD: Tensor) -> dict[str, Tensor]:
        """Logits of every task but next item: (B,), or (B, C) with C classes.

        Where an ensemble reads the rows of a table, in training each member answers for itself, (M B,), one after the
        other; else the answer is the mean of theirs.
        """
        return self.calibrated(self.own_answers(batch, features, users_BD))

    def own_answers(self, batch: Batch, features: Features, users_BD: Tensor) -> dict[str, Tensor]:
        """The logits of `forward` before calibration; of a task that follows on another, among those for whom that one
        came true.
        """
        mixed: dict[str, Tensor] = {}
        logits: dict[str, Tensor] = {}
        if self.on_pairs:
            reviews_BW = features.mean_vectors(batch.item_reviews) if self._reads_text else None
            user_BD, item_BD = self.user_norm(users_BD), self._items(features, batch.item, reviews_BW)
            product_BD = user_BD * item_BD
            if self.settings.pairs == "network":
                pair_BD = self.pair(torch.cat([user_BD, item_BD, product_BD], dim=1))
                mixed |= self.sharing(pair_BD, [task.name for task in self.on_pairs])
            else:
                logits |= {name: mean.expand(len(batch), -1).squeeze(-1) for name, mean in self.means.items()}
        if self.on_texts:
            mixed |= self._of_texts(batch, features)
        if self.row is not None:
            assert batch.categories is not None and batch.numbers is not None  # every batch of examples has them
            row_BD = self.row(batch.categories, batch.numbers)
            mixed |= self.sharing(row_BD, [task.name for task in self.on_rows])
        logits |= {name: self.towers[name](mixed_BD).squeeze(-1) for name, mixed_BD in mixed.items()}
        for name, factors in self.factors.items():
            score_B = factors(batch, product_BD)
            logits[name] = logits[name] + score_B.reshape(-1, *[1] * (logits[name].dim() - 1))
        if not self.training:
            for task in self.on_rows:
                logits[task.name] = logits[task.name].unflatten(0, (-1, len(batch))).mean(0)
        units = self.unit_of
        return {name: units[name] * own for name, own in logits.items()}

    def calibrated(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """From `own_answers` to those of `forward`. Calibrated before they are put together, answers keep their order:
        nobody buys more often than they click.
        """
        return self._with_given({name: self.calibration[name](own) for name, own in logits.items()})

    @property
    def unit_of(self) -> dict[str, Tensor]:
        """() by task: what its tower's answers are numbers of (Head.unit)."""
        return {task.name: unit for task, unit in zip(self.tasks, self.units, strict=True)}

    @property
    def ranks_new_items(self) -> bool:
        """Whether items without training interactions are ranked, by what is told of them; never in training."""
        return not self.training and bool(self.new_items > -torch.inf)

    def candidates(self, features: Features) -> Tensor:
        """(I + 1,) bool: what is ranked."""
        if not self.ranks_new_items:
            return features.candidates
        return features.candidates | self.item.described(features)

    def candidate_logits(self, batch: Batch, features: Features, catalogue: Catalogue, users_BD: Tensor) -> Tensor:
        """Next-item logits over the catalogue (B, I + 1); minus infinity for what is no candidate.

        The column of a row's own item is computed without the row's own review.
        """
        queries_BD = self.queries(users_BD)
        logits_BI = queries_BD @ catalogue.vectors.T + catalogue.bias
        leaks_B = self._own_reviews(batch, features).any(1)
        if leaks_B.any():
            own_n = self.own_logits(batch.where(leaks_B), features, catalogue, queries_BD[leaks_B]).to(logits_BI.dtype)
            logits_BI = logits_BI.index_put((leaks_B.nonzero()[:, 0], batch.item[leaks_B]), own_n)
        return logits_BI.masked_fill(~self.candidates(features), -torch.inf)

    def own_logits(self, batch: Batch, features: Features, catalogue: Catalogue, queries_BD: Tensor) -> Tensor:
        """Next-item logits of each row's own item (B,), which is computed without the row's own review."""
        own_BD = self._without_own_review(batch, features)
        return (queries_BD * own_BD).sum(1) + catalogue.bias[catalogue.rows(batch.item)]

    def ranking_logits(
        self, batch: Batch, features: Features, catalogue: Catalogue, users_BD: Tensor, had: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Candidate logits (B, I + 1) and what goes with the items (S,) that the users have had: what is ranked by."""
        logits_BI = self.candidate_logits(batch, features, catalogue, users_BD)
        if self.neighbours is None or not self.neighbours.strength:
            return logits_BI
        return logits_BI + self.neighbours(had)

    def pair_logits(self, batch: Batch, catalogue: Catalogue, users_BD: Tensor, had: tuple[Tensor, Tensor]) -> Tensor:
        """Ranking logits of each row's item (B,), for rows without a review of their own."""
        logits_B = (self.queries(users_BD) * catalogue.vectors[batch.item]).sum(1) + catalogue.bias[batch.item]
        return logits_B if self.neighbours is None else logits_B + self.neighbours.of(batch.item, had)

    def _with_given(self, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits of tasks that follow on others as those of both coming true: p = p(given) p(own), over all rows (ESMM,
        Ma et al. 2018, equation 1).

        With p(given) = 1 / (1 + e^-a) and p(own) = 1 / (1 + e^-b) the odds are p / (1 - p) = 1 / (e^-a + e^-b +
        e^-(a+b)).
        """
        given = {task.name: task.given for task in self.tasks if task.given}

        def whole(name: str) -> Tensor:
            if name not in given:
                return logits[name]
            a, b = whole(given[name]), logits[name]
            return -torch.stack([-a, -b, -a - b]).logsumexp(0)

        return {name: whole(name) for name in logits}

    def _in_catalogue(self, features: Features, items_N: Tensor, *, whole: bool) -> Tensor:
        """Vectors (N, D), by all the reviews that are read of these items."""
        if not self._reads_text:
            return self._items(features, items_N, None)
        again = self.training and whole  # in every step; whoever asks once keeps no copy
        reviews_NW = features.item_reviews if again else features.mean_vectors(features.reviews[items_N])
        return self._items(features, items_N, reviews_NW)

    def _items(self, features: Features, item_N: Tensor, reviews_NW: Tensor | None) -> Tensor:
        """Vectors of items (N, D); of their reviews the mean vectors of those that may be read."""
        description_ND = self.text(features.vectors(features.text[item_N])) if self._reads_text else None
        reviews_ND = None if reviews_NW is None else self.text(reviews_NW)
        vectors_ND: Tensor = self.item(features, item_N, description_ND, reviews_ND)
        return vectors_ND

    def _of_texts(self, batch: Batch, features: Features) -> dict[str, Tensor]:
        """What the towers of the tasks on texts get, (B, D) each."""
        names = [task.name for task in self.on_texts]
        own: dict[str, Tensor] = self.sharing(self._review(batch, features), names)
        if (mixture := batch.mixture) is None or not mixture.hidden:
            return own
        other = self.sharing(self._summed(self._read(mixture.review, features)), names)
        return {name: mixture.of(own[name], other[name]) for name in names}

    def _review(self, batch: Batch, features: Features) -> Tensor:
        """What the tasks on texts read of each row's review (B, D): the sum of the bottoms."""
        own = self._read(self._asked(batch), features)
        if (mixture := batch.mixture) is not None and not mixture.hidden:
            own = [mixture.of(*both) for both in zip(own, self._read(mixture.review, features), strict=True)]
        return self._summed(own)

    def _asked(self, batch: Batch) -> Tensor:
        """Each row's review (B,), in training 0 where no label, its own or of what is mixed in, asks for an answer: a
        review is told by several rows, of which one carries its labels.
        """
        if not self.training:
            return batch.review
        told = [batch.labels] if batch.mixture is None else [batch.labels, batch.mixture.labels]
        known = [~labels[task.column].isnan() for task in self.on_texts for labels in told]
        return batch.review * torch.stack(known).any(0)

    def _summed(self, read: Sequence[Tensor]) -> Tensor:
        first = self.text(read[0]) if "vectors" in self.settings.bottoms else read[0]
        return sum(read[1:], first)

    def _read(self, review_B: Tensor, features: Features) -> list[Tensor]:
        """The encoder's vectors (B, W) where they are a bottom, then what each network over words answers (B, D)."""
        told_N = review_B.nonzero()[:, 0]  # most rows have no review: networks answer zeros to that, unasked
        if len(told_N) == 0:
            told_N = told_N.new_zeros(1)
        read = []
        if "vectors" in self.settings.bottoms:
            read.append(self._review_vectors(review_B, told_N, features))
        if self.over_words:
            assert features.words is not None  # whoever loads the features asks the settings
            words_NL, known_NL = features.words.of(review_B[told_N])
            answers = [network(words_NL, known_NL) for network in self.over_words.values()]
            read += [_placed(answer_ND, told_N, len(review_B)) for answer_ND in answers]
        return read

    def _review_vectors(self, review_B: Tensor, told_N: Tensor, features: Features) -> Tensor:
        if self.encoder is None:
            return features.vectors(review_B)
        assert features.states is not None  # whoever loads the features asks the settings
        states_NLW, known_NL = features.states.of(review_B[told_N])
        return _placed(self.encoder(states_NLW.float(), known_NL), told_N, len(review_B))

    def _without_own_review(self, batch: Batch, features: Features) -> Tensor:
        """Vector of each row's item (B, D) as if the row's own review had not been written."""
        reviews_BR = features.reviews[batch.item].masked_fill(self._own_reviews(batch, features), 0)
        return self._items(features, batch.item, features.mean_vectors(reviews_BR) if self._reads_text else None)

    def _own_reviews(self, batch: Batch, features: Features) -> Tensor:
        """Where the catalogue pools a row's own review into the vector of the row's item, (B, R); nowhere, (B, 1), for
        a model that reads no text.
        """
        if not self._reads_text:
            return batch.review.new_zeros(len(batch), 1, dtype=torch.bool)
        reviews_BR = features.reviews[batch.item]
        return (reviews_BR == batch.review.unsqueeze(1)) & (reviews_BR > 0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        state_dict.setdefault(f"{prefix}new_items", torch.tensor(-torch.inf))  # models of before rank none
        state_dict.setdefault(f"{prefix}units", torch.ones(len(self.tasks)))  # and answer in the labels' own
        super()._load_from_state_dict(state_dict, prefix, *args)

    @property
    def _reads_text(self) -> bool:
        return self.settings.text and self.sizes.text_width > 0


def _classes(task: Task, sizes: Sizes) -> int:
    """Of which one is told; of a value none."""
    return {"binary": 2, "multiclass": sizes.classes.get(task.column, 0)}.get(task.kind, 0)


def _last_bias(network: nn.Module) -> Tensor:
    return cast(Tensor, cast(nn.Sequential, network)[-1].bias)


def _placed(answer_ND: Tensor, row_N: Tensor, rows: int) -> Tensor:
    """(rows, D): answers at their rows, zeros elsewhere."""
    return answer_ND.new_zeros(rows, answer_ND.shape[1]).index_copy(0, row_N, answer_ND)
