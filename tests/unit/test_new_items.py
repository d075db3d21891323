"""Items without training interactions: what validation chooses, and that all who score rank them alike."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from small_lake import ENCODER, small_lake

from tandemrec.config import ModelSettings, TrainSettings
from tandemrec.config.learning import DEFAULT_TASKS
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
from tandemrec.learn.feeds import seen_at
from tandemrec.learn.losses import task_losses
from tandemrec.learn.new_items import OFFSETS, weigh_new_items
from tandemrec.model import MultiTaskModel
from tandemrec.rank.disliked import Disliked
from tandemrec.rank.recommend import recommend
from tandemrec.rank.scorers import PairScorer, RankScorer

TOLD = ("category", "brand", "price", "text", "reviews")
NEW, UNKNOWN = [5, 9, 14, 21], [3, 17]
"""Items taken out of what training has seen: of the first something is told, of the others nothing."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return small_lake(tmp_path_factory.mktemp("lake"))


def fresh(lake, splits, features, **of_model):
    torch.manual_seed(4)
    settings = ModelSettings(width=8, tower=[8], experts=2, **of_model)
    return MultiTaskModel(settings, DEFAULT_TASKS, sizes_of(lake, features, splits, DEFAULT_TASKS))


@pytest.fixture(scope="module")
def trained(lake):
    """A trained model, what it read, and features in which some items have no interactions."""
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    model = fresh(lake, splits, features, neighbours=12)
    loop = TrainSettings(max_epochs=2, batch_size=64, learning_rate=0.02)
    fit(model, Data(features=features, train=splits["train"], valid=splits["valid"]), loop, seed=3)
    changed = {name: getattr(features, name).clone() for name in ("interactions", *TOLD)}
    changed["interactions"][NEW] = 0
    for tensor in changed.values():
        tensor[UNKNOWN] = 0
    features = replace(features, **changed)
    return model, splits, features


def test_validation_chooses_by_the_mean_reciprocal_rank(trained):
    model, splits, features = copy.deepcopy(trained[0]), *trained[1:]
    valid = splits["valid"]
    rows = np.flatnonzero(~np.isnan(valid.labels["next_item"]))
    batch, seen = batch_at(valid, rows), seen_at(valid, rows)
    model.new_items.fill_(0)
    with torch.inference_mode():
        catalogue = model.catalogue(features)
        own = model.ranking_logits(batch, features, catalogue, model.users(batch, features, catalogue), seen).numpy()
    counts = features.interactions.numpy()
    model.new_items.fill_(-torch.inf)

    def reciprocal_rank(offset):
        scores = own.copy()
        scores[:, NEW] += offset
        total = 0.0
        for row, (number, target) in enumerate(zip(rows, batch.item.tolist(), strict=True)):
            had = set(valid.seen_by(np.array([number]))[0].tolist())
            ranked = [i for i in range(1, len(counts)) if i not in had and i not in UNKNOWN]
            ranked = [i for i in ranked if counts[i] or (i in NEW and offset > -np.inf)]
            if target in ranked:
                total += 1 / sum(scores[row, i] >= scores[row, target] for i in ranked)
        return total / len(rows)

    chosen = weigh_new_items(model, valid, features, seed=1, batch_size=7)
    worth = {offset: reciprocal_rank(offset) for offset in OFFSETS}
    assert chosen.described == len(NEW)
    assert chosen.without == pytest.approx(worth[-np.inf], abs=1e-6)
    assert chosen.reciprocal_rank == pytest.approx(max(worth.values()), abs=1e-6)
    assert chosen.reciprocal_rank > chosen.without
    assert worth[chosen.offset] == pytest.approx(max(worth.values()), abs=1e-6)
    assert float(model.new_items) == chosen.offset
    none = weigh_new_items(model, valid, replace(features, interactions=features.interactions + 1), seed=1)
    assert none is None and float(model.new_items) == -np.inf


@torch.inference_mode()
def test_all_who_score_rank_them_alike(trained, tmp_path):
    model, splits, features = copy.deepcopy(trained[0]), *trained[1:]
    test = splits["test"]
    rows = np.flatnonzero(~np.isnan(test.labels["next_item"]))
    batch, seen = batch_at(test, rows), seen_at(test, rows)
    catalogue = model.catalogue(features)
    before = model.ranking_logits(batch, features, catalogue, model.users(batch, features, catalogue), seen)
    model.new_items.fill_(3.0)
    save_model(tmp_path / "best", model, Metadata(run_id="r", encoder=ENCODER, versions={}, epoch=1, metrics={}))
    again, _ = load_model(tmp_path / "best")
    catalogue = again.catalogue(features)
    logits = again.ranking_logits(batch, features, catalogue, again.users(batch, features, catalogue), seen)
    counts = features.interactions
    known = counts > 0
    torch.testing.assert_close(logits[:, known], before[:, known])
    assert logits[:, NEW].isfinite().all()
    assert (logits[:, UNKNOWN] == -torch.inf).all()
    own = logits[torch.arange(len(rows)), batch.item].numpy()
    pairs, ranks = (scorer(lambda: (again, features), lambda: test, 1) for scorer in (PairScorer, RankScorer))
    ranked = ~np.isin(batch.item, UNKNOWN)
    np.testing.assert_allclose(pairs({"row": rows})["score:next_item"][ranked], own[ranked], atol=1e-4)
    for row, rank in enumerate(ranks({"row": rows})["rank:next_item"]):
        allowed = (known.numpy() | np.isin(np.arange(len(counts)), NEW)) & ~np.isin(
            np.arange(len(counts)), test.seen_by(rows[row : row + 1])[0]
        )
        assert rank == allowed[batch.item[row]] * (logits[row].numpy()[allowed] >= own[row]).sum()
    asked = batch_at(test, rows[:5])
    had = torch.tensor([1, 2, 4, 6, 7]), torch.ones(5, dtype=torch.int64)
    again.new_items.fill_(1000.0)
    best = recommend(again, features, again.catalogue(features), asked, had, len(NEW) + 1, disliked=Disliked.of([], 2))
    assert all(set(items[:-1]) == set(NEW) for items in best.item.tolist())
    again.new_items.fill_(-torch.inf)
    best = recommend(again, features, again.catalogue(features), asked, had, len(features), disliked=Disliked.of([], 2))
    assert not set(best.item.flatten().tolist()) & {*NEW, *UNKNOWN}


def test_what_knows_items_by_their_ids_alone_ranks_no_new_ones(lake, trained):
    _, splits, features = trained
    model = fresh(lake, splits, features, inputs="collaborative").eval()
    assert weigh_new_items(model, splits["valid"], features, seed=1) is None
    assert not model.ranks_new_items


def test_training_ranks_what_it_has_seen(trained):
    model, splits, features = copy.deepcopy(trained[0]), *trained[1:]
    train = splits["train"]
    target = np.nan_to_num(train.labels["next_item"]).astype(int)
    rows = np.flatnonzero(~np.isnan(train.labels["next_item"]) & ~np.isin(target, NEW + UNKNOWN))
    losses = []
    for offset in (-torch.inf, 3.0):
        model.new_items.fill_(offset)
        model.train()
        torch.manual_seed(1)
        losses.append(task_losses(model, batch_at(train, rows), features)["next_item"])
    assert torch.equal(*losses)


def test_a_model_of_before_ranks_none(trained, tmp_path):
    model = trained[0]
    save_model(tmp_path / "best", model, Metadata(run_id="r", encoder=ENCODER, versions={}, epoch=1, metrics={}))
    file = tmp_path / "best" / "model.safetensors"
    kept = {name: tensor for name, tensor in load_file(file).items() if name != "new_items"}
    save_file(kept, file)
    again, _ = load_model(tmp_path / "best")
    assert float(again.new_items) == -np.inf
