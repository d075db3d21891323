"""Neighbours of items beside the factors: their sums, what validation chooses, and that all who score see them."""

import copy
import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_lake import ENCODER, small_lake

from tandemrec.config import ModelSettings, TrainSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.ease import co_occurrence, item_weights
from tandemrec.learn import (
    Data,
    Metadata,
    batch_at,
    fit,
    load_examples,
    load_features,
    load_model,
    save_model,
    sizes_of,
)
from tandemrec.learn import neighbours as learned
from tandemrec.learn.feeds import seen_at
from tandemrec.model import MultiTaskModel
from tandemrec.model.neighbours import Neighbours
from tandemrec.rank.disliked import Disliked
from tandemrec.rank.recommend import recommend
from tandemrec.rank.retrieval import nearest_own_items
from tandemrec.rank.scorers import PairScorer, RankScorer

NOTHING = Disliked.of([], 2)
LOOP = TrainSettings(max_epochs=2, batch_size=64, learning_rate=0.02)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return small_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def trained(lake):
    """A model with neighbours that were weighed, what it read, and the weighing."""
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    model = fresh(lake, splits, features, neighbours=12)
    fit(model, Data(features=features, train=splits["train"], valid=splits["valid"]), LOOP, seed=3)
    weighing = learned.weigh_neighbours(model, splits["train"], splits["valid"], features, seed=1, batch_size=7)
    return model, splits, features, weighing


def fresh(lake, splits, features, **of_model):
    torch.manual_seed(4)
    settings = ModelSettings(width=8, tower=[8], experts=2, **of_model)
    return MultiTaskModel(settings, DEFAULT_TASKS, sizes_of(lake, features, splits, DEFAULT_TASKS))


@pytest.mark.parametrize("at_once", [8_000_000, 10])
def test_the_sums_by_a_matrix_product(at_once, monkeypatch):
    monkeypatch.setattr("tandemrec.model.neighbours.AT_ONCE", at_once)
    weights = np.random.default_rng(1).normal(size=(9, 9)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    had = torch.tensor([4, 3, 8, 7, 1, 2]), torch.tensor([0, 1, 2, 3])
    told = np.zeros((4, 9), np.float32)
    told[[1, 2, 2, 3, 3, 3], had[0]] = 1
    everything, some = Neighbours(9, 50), Neighbours(9, 3)
    everything.set_(weights, 2.5, 1.0)
    np.testing.assert_allclose(everything(had).numpy(), 2.5 * told @ weights, atol=1e-5)
    told[[1, 2, 2, 3, 3, 3], had[0]] = [1, 0.5, 1, 0.25, 0.5, 1]  # the last of each row counts most
    some.set_(weights, 1.0, 0.5)
    largest = np.where(np.abs(weights) >= -np.sort(-np.abs(weights), axis=1)[:, 2:3], weights, 0)
    np.testing.assert_allclose(some(had).numpy(), told @ largest, atol=1e-5)
    item = torch.tensor([5, 5, 2, 8])
    np.testing.assert_allclose(some.of(item, had).numpy(), (told @ largest)[range(4), item], atol=1e-5)
    assert not Neighbours(9, 3)(had).any()  # before anything is set


@pytest.mark.parametrize("at_once", [8_000_000, 10])
def test_the_own_item_that_adds_most_by_brute_force(at_once, monkeypatch):
    monkeypatch.setattr("tandemrec.model.neighbours.AT_ONCE", at_once)
    weights = np.random.default_rng(1).normal(size=(9, 9)).astype(np.float32)
    some = Neighbours(9, 4)
    some.set_(weights, 2.5, 0.5)
    kept = np.where(np.abs(weights) >= -np.sort(-np.abs(weights), axis=1)[:, 3:4], weights, 0)
    own = [[], [4], [3, 8], [7, 1, 2], [5, 6, 7, 8]]
    asked = np.random.default_rng(2).integers(0, 9, (5, 6))
    had = torch.tensor([item for items in own for item in items]), torch.tensor([len(items) for items in own])
    got, least, named = some.strongest(torch.from_numpy(asked), had, 0.6), 0.6, 0
    for row, place in np.ndindex(asked.shape):
        adds = {j: 2.5 * 0.5**since * kept[j, asked[row, place]] for since, j in enumerate(own[row][::-1])}
        best = max(adds, key=adds.get, default=0)
        assert got[row, place] == (best if adds.get(best, 0) >= least else 0)
        named += int(got[row, place] > 0)
    assert 0 < named < asked.size


def test_validation_chooses_by_the_mean_reciprocal_rank(trained):
    """Brute force in numpy, over every penalty, decay and strength."""
    model, splits, features, weighing = trained
    valid, train = splits["valid"], splits["train"]
    rows = np.flatnonzero(~np.isnan(valid.labels["next_item"]))
    batch = batch_at(valid, rows)
    with torch.inference_mode():
        catalogue = model.catalogue(features)
        users = model.users(batch, features, catalogue)
        own = (users @ catalogue.vectors.T + catalogue.bias).numpy()
        shown = model.ranking_logits(batch, features, catalogue, users, seen_at(valid, rows)).numpy()
    gram = co_occurrence(train.user, train.labels["next_item"], len(features))

    def logits(penalty, decay, strength):
        weights = item_weights(gram, penalty)
        kept = np.where(np.abs(weights) >= -np.sort(-np.abs(weights), axis=1)[:, 11:12], weights, 0)
        had = np.zeros(own.shape, np.float32)
        for row, number in enumerate(rows):
            for since, item in enumerate(valid.seen_by(np.array([number]))[0][::-1]):
                had[row, item] = decay**since
        return own + strength * had @ kept

    def reciprocal_rank(scores):
        total = 0.0
        for row, (number, target) in enumerate(zip(rows, batch.item.tolist(), strict=True)):
            seen = set(valid.seen_by(np.array([number]))[0].tolist())
            others = [i for i in np.flatnonzero(features.candidates.numpy()) if i not in seen]
            if target in others:
                total += 1 / sum(scores[row, i] >= scores[row, target] for i in others)
        return total / len(rows)

    grid = product(learned.PENALTIES, learned.DECAYS, learned.STRENGTHS)
    worth = {chosen: reciprocal_rank(logits(*chosen)) for chosen in grid}
    assert weighing.without == pytest.approx(worth[30.0, 1.0, 0.0], abs=1e-6)
    assert weighing.reciprocal_rank == pytest.approx(max(worth.values()), abs=1e-6)
    assert weighing.reciprocal_rank > weighing.without
    chosen = weighing.penalty, weighing.decay, weighing.strength
    assert worth[chosen] == pytest.approx(max(worth.values()), abs=1e-6)
    candidates = features.candidates.numpy()
    np.testing.assert_allclose(shown[:, candidates], logits(*chosen)[:, candidates], atol=1e-4)


def test_all_who_score_see_them(trained, tmp_path):
    model, splits, features, _ = trained
    test = splits["test"]
    rows = np.flatnonzero(~np.isnan(test.labels["next_item"]))
    save_model(tmp_path / "best", model, Metadata(run_id="r", encoder=ENCODER, versions={}, epoch=1, metrics={}))
    again, _ = load_model(tmp_path / "best")
    pairs, ranks = (scorer(lambda: (again, features), lambda: test, 1) for scorer in (PairScorer, RankScorer))
    batch = batch_at(test, rows)
    with torch.inference_mode():
        catalogue = model.catalogue(features)
        users = model.users(batch, features, catalogue)
        logits = model.ranking_logits(batch, features, catalogue, users, seen_at(test, rows))
        alone = model.candidate_logits(batch, features, catalogue, users)
    own = logits[torch.arange(len(rows)), batch.item].numpy()
    assert not torch.equal(logits, alone)
    np.testing.assert_allclose(pairs({"row": rows})["score:next_item"], own, atol=1e-4)
    for row, rank in zip(range(len(rows)), ranks({"row": rows})["rank:next_item"], strict=True):
        seen = test.seen_by(rows[row : row + 1])[0]
        allowed = features.candidates.numpy() & ~np.isin(np.arange(len(features)), seen)
        assert rank == (logits[row].numpy()[allowed] >= own[row]).sum()


def test_recommendations_see_them(trained):
    """Users of two items each; asked with and without leaving these out."""
    model, splits, features, _ = trained
    batch = batch_at(splits["test"], np.arange(5))
    batch = replace(batch, item=torch.zeros_like(batch.item), review=torch.zeros_like(batch.review))
    had = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), torch.full((5,), 2)
    with torch.inference_mode():
        catalogue = model.catalogue(features)
        users = model.users(batch, features, catalogue)
        scores = model.candidate_logits(batch, features, catalogue, users) + model.neighbours(had)
    for left_out in (True, False):
        best = recommend(model, features, catalogue, batch, had, 4, disliked=NOTHING, left_out=left_out)
        for row in range(5):
            allowed = features.candidates.clone()
            allowed[had[0][2 * row : 2 * row + 2]] = not left_out
            expected = scores[row].masked_fill(~allowed, -torch.inf).sort(descending=True, stable=True)
            assert best.item[row].tolist() == expected.indices[:4].tolist()
            torch.testing.assert_close(best.score[row], expected.values[:4])


@torch.inference_mode()
def test_a_reason_is_the_neighbour_that_makes_the_odds_twice_as_high(trained):
    model, splits, features, _ = trained
    model = copy.deepcopy(model)
    model.neighbours.strength *= 40
    batch = batch_at(splits["test"], np.arange(5))
    batch = replace(batch, item=torch.zeros_like(batch.item), review=torch.zeros_like(batch.review))
    had = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), torch.full((5,), 2)
    best = recommend(model, features, model.catalogue(features), batch, had, 20, disliked=NOTHING)
    strongest = model.neighbours.strongest(best.item, had, math.log(2))
    nearest = nearest_own_items(model.catalogue(features).vectors, batch.history, best.item)
    told = (strongest > 0) & (nearest != best.item)
    assert told.any() and not told.all()
    assert torch.equal(best.because[told], strongest[told])
    assert torch.equal(best.because[~told], nearest[~told])
    known = recommend(
        model,
        features,
        model.catalogue(features),
        batch,
        (batch.history[:, -1], torch.ones(5).long()),
        20,
        disliked=NOTHING,
        left_out=False,
    )
    own = known.item == batch.history[:, -1:]
    assert own.any() and torch.equal(known.because[own], known.item[own])  # known already is the plainest reason

    low = {(user, item) for row, user in enumerate(batch.user.tolist()) for item in best.because[row, ::9].tolist()}
    user, item = np.array(sorted(pair for pair in low if pair[1])).T
    labels = {"rating": np.ones(len(user))}
    low = Disliked.of([replace(splits["test"], user=user, item=item, event_time=np.zeros(len(user)), labels=labels)], 2)
    liked = recommend(model, features, model.catalogue(features), batch, had, 20, disliked=low)
    assert torch.equal(liked.item, best.item) and torch.equal(liked.score, best.score)
    assert not low.holds(batch.user.unsqueeze(1), liked.because).any()
    named = ~low.holds(batch.user.unsqueeze(1), best.because)
    assert named.any() and torch.equal(liked.because[named], best.because[named])  # what was liked speaks as before


def test_what_is_learned_by_gradients_is_the_same_with_neighbours_and_without(lake):
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    some, none = (fresh(lake, splits, features, neighbours=count) for count in (5, 0))
    for model in (some, none):
        fit(model, Data(features=features, train=splits["train"], valid=splits["valid"]), LOOP, seed=3)
    for name, tensor in none.state_dict().items():
        assert torch.equal(some.state_dict()[name], tensor), name


def test_a_model_of_before_counts_all_items_alike(trained, tmp_path):
    model, splits, _, _ = trained
    save_model(tmp_path / "best", model, Metadata(run_id="r", encoder=ENCODER, versions={}, epoch=1, metrics={}))
    file = tmp_path / "best" / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(file).items() if name != "neighbours.decay"}, file)
    again, _ = load_model(tmp_path / "best")
    had = seen_at(splits["test"], np.arange(20))
    model.neighbours.decay, kept = torch.ones(()), model.neighbours.decay
    torch.testing.assert_close(again.neighbours(had), model.neighbours(had))
    model.neighbours.decay = kept


def test_models_that_have_none(lake, monkeypatch):
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    assert fresh(lake, splits, features).neighbours is not None
    assert fresh(lake, splits, features, neighbours=0).neighbours is None
    assert fresh(lake, splits, features, inputs="content").neighbours is None  # they know an item by its id
    monkeypatch.setattr("tandemrec.model.multitask.LARGEST", 20)
    assert fresh(lake, splits, features).neighbours is None
