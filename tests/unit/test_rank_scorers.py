"""The actors without Ray, on a small random model of every kind of task."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
import torch

from tandemrec.config import ModelSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.learn.feeds import Examples, batch_at
from tandemrec.model.batch import Features, Sizes
from tandemrec.model.multitask import MultiTaskModel
from tandemrec.rank import recommend as recommending
from tandemrec.rank import scorers
from tandemrec.rank.disliked import Disliked
from tandemrec.rank.rows import prediction_rows
from tandemrec.rank.scorers import PairScorer, RankScorer, UserScorer

USERS, ITEMS, TEXTS, ROWS, LENGTH = 12, 25, 30, 40, 5


def integers(generator, high, *shape):
    return torch.randint(0, high, shape, generator=generator)


@pytest.fixture(scope="module")
def loaded():
    """A model that has learned nothing, and forty rows."""
    generator = torch.Generator().manual_seed(3)
    features = Features(
        category=integers(generator, 4, ITEMS + 1),
        brand=integers(generator, 3, ITEMS + 1),
        price=integers(generator, 6, ITEMS + 1),
        text=integers(generator, TEXTS + 1, ITEMS + 1),
        reviews=integers(generator, TEXTS + 1, ITEMS + 1, 3),
        interactions=integers(generator, 3, ITEMS + 1).index_fill(0, torch.tensor([0]), 0),
        texts=torch.randn(TEXTS + 1, 8, generator=generator).half().index_fill(0, torch.tensor([0]), 0),
    )
    sizes = Sizes(
        users=USERS + 1,
        items=ITEMS + 1,
        categories=4,
        brands=3,
        prices=11,
        history=LENGTH,
        text_width=8,
        classes={"category": 4},
    )
    torch.manual_seed(5)
    model = MultiTaskModel(ModelSettings(width=8, experts=2, tower=[8]), DEFAULT_TASKS, sizes).eval()
    torch.nn.init.normal_(model.item_bias)
    seen = [torch.randperm(ITEMS, generator=generator)[: int(n)] + 1 for n in integers(generator, 8, ROWS)]
    item = (integers(generator, ITEMS, ROWS) + 1).numpy()
    seen = [own[own != i].numpy() for own, i in zip(seen, item, strict=True)]
    label = np.ones(ROWS, np.float32)
    label[::9] = np.nan
    examples = Examples(
        user=(integers(generator, USERS, ROWS) + 1).numpy(),
        item=item,
        history=integers(generator, ITEMS + 1, ROWS, LENGTH).numpy(),
        user_reviews=integers(generator, TEXTS + 1, ROWS, 2).numpy(),
        item_reviews=integers(generator, TEXTS + 1, ROWS, 2).numpy(),
        review=integers(generator, TEXTS + 1, ROWS).numpy(),
        event_time=np.arange(ROWS),
        labels={task.column: label for task in DEFAULT_TASKS},
        seen=(np.concatenate(seen), np.cumsum([0, *map(len, seen)])),
    )
    return Loaded(model, features, examples)


class Loaded(NamedTuple):
    model: MultiTaskModel
    features: Features
    examples: Examples

    def scorer(self, actor):
        return actor(lambda: (self.model, self.features), lambda: self.examples, threads=1)

    def queries(self, numbers):
        """Catalogue, batch and query vectors of some rows."""
        catalogue = self.model.catalogue(self.features)
        batch = batch_at(self.examples, numbers)
        return catalogue, batch, self.model.users(batch, self.features, catalogue)


def test_each_row_has_its_item_s_place_among_the_unseen_candidates(loaded, monkeypatch):
    numbers = np.arange(ROWS)[::-1].copy()
    answers = loaded.scorer(RankScorer)({"row": numbers})
    with torch.inference_mode():
        catalogue, batch, users = loaded.queries(numbers)
        logits = loaded.model.candidate_logits(batch, loaded.features, catalogue, users)
    seen, counts = loaded.examples.seen_by(numbers)
    starts = np.concatenate([[0], np.cumsum(counts)])
    for row, item in enumerate(batch.item.tolist()):
        if np.isnan(loaded.examples.labels["next_item"][numbers[row]]):
            assert answers["rank:next_item"][row] == 0
            continue
        own = set(seen[starts[row] : starts[row + 1]].tolist())
        score = logits[row, item]
        better = [i for i in range(ITEMS + 1) if i not in own and i != item and logits[row, i] >= score]
        assert answers["rank:next_item"][row] == (1 + len(better) if loaded.features.interactions[item] > 0 else 0)
    monkeypatch.setattr(scorers, "SCORES_AT_ONCE", 3 * (ITEMS + 1))  # in chunks of three rows
    again = loaded.scorer(RankScorer)({"row": numbers})
    assert again["rank:next_item"].tolist() == answers["rank:next_item"].tolist()


def test_scores_are_probabilities_stars_and_the_form_of_retrieval_whatever_the_batches(loaded):
    scorer = loaded.scorer(PairScorer)
    whole = scorer({"row": np.arange(ROWS)})
    parts = [scorer({"row": np.arange(start, start + 8)}) for start in range(0, ROWS, 8)]
    assert set(whole) == {"row", *(f"score:{task.name}" for task in DEFAULT_TASKS)}
    for name, values in whole.items():
        np.testing.assert_allclose(np.concatenate([part[name] for part in parts]), values, rtol=1e-5, atol=1e-6)
    for name in ("click", "purchase", "sentiment"):
        assert ((whole[f"score:{name}"] > 0) & (whole[f"score:{name}"] < 1)).all()
    with torch.inference_mode():
        catalogue, batch, users = loaded.queries(np.arange(ROWS))
        by_hand = [float(users[n] @ catalogue.vectors[i] + catalogue.bias[i]) for n, i in enumerate(batch.item)]
    np.testing.assert_allclose(whole["score:next_item"], by_hand, rtol=1e-4, atol=1e-5)


def test_of_several_classes_a_pair_has_the_one_that_is_told(loaded):
    """By the weights that calibration chose; whoever measures gets the probabilities."""
    loaded.model.calibration["category"].weights.copy_(torch.tensor([1.0, 4.0, 0.25, 2.0]))
    rows = {"row": np.arange(ROWS)}
    probabilities = loaded.scorer(RankScorer)(rows)["score:category"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    told = loaded.scorer(PairScorer)(rows)["score:category"]
    assert told.tolist() == (probabilities * [1.0, 4.0, 0.25, 2.0]).argmax(axis=1).tolist()
    assert told.tolist() != probabilities.argmax(axis=1).tolist()
    scores = {"category": told, "rating": np.arange(ROWS) / 7}
    user, item = loaded.examples.user, loaded.examples.item
    table = prediction_rows(user, item, scores, identifiers("u", USERS), identifiers("i", ITEMS))
    assert [dict(row)["category"] for row in table["scores"].to_pylist()] == told.tolist()


def user_features():
    random = np.random.default_rng(6)
    lists = {
        "history": [random.integers(1, ITEMS + 1, n).tolist() for n in (0, 2, 9, 5)],
        "reviews": [random.integers(1, TEXTS + 1, n).tolist() for n in (0, 1, 3, 0)],
        "seen": [[], [1, 2, 3], list(range(1, ITEMS + 1)), [7]],
    }
    columns = {name: pa.array(values, pa.list_(pa.int32())) for name, values in lists.items()}
    return pa.table({"user_index": pa.array([4, 1, 3, 2], pa.int32()), **columns})


def identifiers(letter, count):
    return pa.array([None, *(f"{letter}{n}" for n in range(1, count + 1))])


def recommended(loaded, *, k, exclude_seen):
    names = {"users": identifiers("u", USERS), "items": identifiers("i", ITEMS)}
    names |= {"load_disliked": lambda: Disliked.of([], 2)}
    actor = UserScorer(lambda: (loaded.model, loaded.features), threads=1, k=k, exclude_seen=exclude_seen, **names)
    return actor(user_features()).to_pylist()


def test_users_get_unseen_candidates_with_reasons_from_their_own_history(loaded, monkeypatch):
    rows = recommended(loaded, k=4, exclude_seen=True)
    users = user_features().to_pylist()
    candidates = {f"i{i}" for i in torch.nonzero(loaded.features.interactions > 0)[:, 0].tolist()}
    for user in users:
        own = [row for row in rows if row["user_id"] == f"u{user['user_index']}"]
        seen = {f"i{i}" for i in user["seen"]}
        assert len(own) == min(4, len(candidates - seen))
        assert [row["rank"] for row in own] == list(range(1, len(own) + 1))
        assert {row["item_id"] for row in own} <= candidates - seen
        reasons = {f"because:i{i}" for i in user["history"][-LENGTH:]} or {"popular"}
        assert {row["reason"] for row in own} <= reasons
        assert [row["score"] for row in own] == sorted((row["score"] for row in own), reverse=True)
    monkeypatch.setattr(recommending, "SCORES_AT_ONCE", 1)  # one user at a time
    again = recommended(loaded, k=4, exclude_seen=True)
    assert [(r["user_id"], r["item_id"], r["reason"]) for r in again] == [
        (r["user_id"], r["item_id"], r["reason"]) for r in rows
    ]


def test_seen_items_come_back_where_they_are_asked_for(loaded):
    rows = recommended(loaded, k=ITEMS, exclude_seen=False)
    candidates = int((loaded.features.interactions > 0).sum())
    assert len(rows) == 4 * candidates
