"""Data that say little and names that say something to torch: steps without a label, one class alone, `type`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned import data_of, loop, model_of
from small_lake import ENCODER, small_lake

from tandemrec.config import Task
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import ModelError
from tandemrec.lake import Lake
from tandemrec.learn import Metadata, Training, fit, load_model, save_model, score_examples, sizes_of
from tandemrec.learn.balance import BALANCERS
from tandemrec.learn.calibration import calibrate
from tandemrec.learn.validation import same_for_all, validate
from tandemrec.model.sharing import SHARINGS

NEXT, RATING, SENTIMENT, CATEGORY = (DEFAULT_TASKS[place] for place in (0, 3, 4, 5))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    return Lake(str(root)), data_of(root)


def sizes_for(lake, data, tasks):
    return sizes_of(lake, data.features, {"train": data.train, "valid": data.valid}, tasks)


def with_label(data, name, values_of):
    """The same rows with one more label in both splits."""
    parts = (replace(one, labels={**one.labels, name: values_of(one)}) for one in (data.train, data.valid))
    train, valid = parts
    return replace(data, train=train, valid=valid)


@pytest.mark.parametrize("method", BALANCERS)
def test_a_step_in_which_no_row_says_anything_changes_nothing(data, method):
    """As the last rows of an epoch may, or any where two tasks of many are learned; AdamW remembers former steps."""
    lake, rows = data
    tasks = (RATING, SENTIMENT)
    silent = np.flatnonzero(np.isnan(rows.train.labels["rating"]) & np.isnan(rows.train.labels["sentiment"]))
    assert len(silent) > 10
    settings = loop(stop_on="rating/rmse", balance={"method": method})
    training = Training(model_of(sizes_for(lake, rows, tasks), tasks), rows, settings, seed=5)
    training.run_epoch()
    kept = [*training.model.parameters(), *training.balancer.parameters(), *training.balancer.buffers()]
    before = [tensor.detach().clone() for tensor in kept]
    training._step(silent[:10], {"rating": 0.0, "sentiment": 0.0}, np.random.default_rng(1))
    kept = [*training.model.parameters(), *training.balancer.parameters(), *training.balancer.buffers()]
    for was, now in zip(before, kept, strict=True):
        torch.testing.assert_close(now.detach(), was, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("method", BALANCERS)
def test_what_no_task_of_a_step_reaches_stays_where_it_is(data, method):
    """Networks over words in a step of ratings alone: whatever AdamW remembers of former steps."""
    lake, rows = data
    tasks = (RATING, SENTIMENT, CATEGORY)
    told = rows.train.labels
    of_stars = np.flatnonzero(~np.isnan(told["rating"]) & np.isnan(told["sentiment"]) & np.isnan(told["category"]))
    settings = loop(stop_on="rating/rmse", balance={"method": method}, weight_decay=0.1)
    model = model_of(sizes_for(lake, rows, tasks), tasks, bottoms=["vectors", "bag"])
    training = Training(model, rows, settings, seed=5)
    training.run_epoch()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    training._step(of_stars[:10], dict.fromkeys(("rating", "sentiment", "category"), 0.0), np.random.default_rng(1))
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(before[name], parameter)}
    assert not [name for name in moved if name.startswith("over_words")]
    assert any(name.startswith("towers.rating") for name in moved)


@pytest.mark.parametrize("model", [{"sharing": name, "levels": 2} for name in SHARINGS] + [{"pairs": "product"}])
def test_a_task_may_have_any_name(data, model, tmp_path):
    """Those too that torch's modules and their containers have methods of."""
    lake, rows = data
    names = ("type", "items", "values", "train", "to")
    for name in names:
        rows = with_label(rows, name, lambda part: part.labels["rating"])
    tasks = [Task(name=name, kind="regression") for name in names]
    learned = model_of(sizes_for(lake, rows, tasks), tasks, **model)
    progress = fit(learned, rows, loop(max_epochs=2, stop_on="items/rmse", average=0.5), seed=5)
    assert {f"{name}/rmse" for name in names} <= progress.best_metrics.keys()
    calibrate(learned, rows.valid, rows.features, seed=1)
    save_model(tmp_path / "best", learned, Metadata(run_id="r", encoder=ENCODER, versions={}, epoch=1, metrics={}))
    again, _ = load_model(tmp_path / "best")
    told = [score_examples(one, rows.valid, rows.features).scores["type"] for one in (learned, again)]
    np.testing.assert_array_equal(*told)


@pytest.mark.parametrize("reads", [["user", "item"], ["review"]])
@pytest.mark.parametrize("more", [{"kind": "multiclass"}, {"kind": "regression", "ordinal": True}, {"kind": "binary"}])
def test_a_label_that_is_the_same_in_every_row_is_learned_and_said_to_be_so(data, reads, more):
    lake, rows = data
    known = "sentiment" if reads == ["review"] else "rating"
    rows = with_label(rows, "same", lambda part: part.labels[known] * 0)
    tasks = [RATING, Task(name="same", reads=reads, **more)]
    model = model_of(sizes_for(lake, rows, tasks), tasks)
    fit(model, rows, loop(max_epochs=3, stop_on="rating/rmse"), seed=5)
    calibrate(model, rows.valid, rows.features, seed=1)
    said = score_examples(model, rows.valid, rows.features).scores["same"]
    said = said[:, 1] if more["kind"] == "multiclass" else said
    assert said.shape == (len(rows.valid),) and (said[~np.isnan(rows.valid.labels["same"])] < 0.2).all()
    count = int((~np.isnan(rows.train.labels["same"])).sum())
    assert list(same_for_all(tasks, rows.train)) == [
        f"tasks.same: the label same is 0 in all {count:,} training rows that have it: there is nothing to learn"
    ]


def test_weights_that_ran_away_in_the_last_steps_of_an_epoch_are_told(data):
    lake, rows = data
    model = model_of(sizes_for(lake, rows, (RATING,)), (RATING,))
    with torch.no_grad():
        model.towers["rating"][-1].bias.fill_(torch.inf)
    with pytest.raises(ModelError, match=r"task rating: what the model says .* try a smaller train.learning_rate"):
        validate(model.eval(), rows.valid, rows.features, "rating/rmse")


@pytest.mark.parametrize("history", ["mean", "rnn", "attention"])
def test_a_worker_without_a_row_of_its_own_says_nothing(data, history):
    """Of one validation row two workers have one and none: what the second says has the shape of an answer."""
    lake, rows = data
    read = {"history": history, "bottoms": ["vectors", "bag", "cnn", "rnn"]}
    model = model_of(sizes_for(lake, rows, DEFAULT_TASKS), **read).eval()
    some, none = (score_examples(model, rows.valid, rows.features, rows=np.arange(count)) for count in (3, 0))
    for kind in ("scores", "ranks"):
        for name, answer in getattr(some, kind).items():
            nothing = getattr(none, kind)[name]
            assert (len(nothing), nothing.shape[1:], nothing.dtype) == (0, answer.shape[1:], answer.dtype)
