from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from small_lake import ENCODER, small_lake

from tandemrec.config import ModelSettings, Task
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.learn import load_examples, load_features, score_examples, sizes_of
from tandemrec.learn.calibration import calibrate, fit_affine, yes_from
from tandemrec.learn.validation import contradictions
from tandemrec.metrics import class_weights, told_classes
from tandemrec.model import MultiTaskModel
from tandemrec.model.heads import HEADS
from tandemrec.model.multitask import Calibration


def fitted(head, logits, labels):
    calibration = Calibration()
    fit_affine(calibration, torch.from_numpy(logits).float(), torch.from_numpy(labels).float(), HEADS[head].loss)
    return float(calibration.shift), float(calibration.log_slope.exp())


def untrained(folder, tasks):
    """A small model in evaluation mode, with the splits and the features of a small lake."""
    lake = small_lake(folder)
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    torch.manual_seed(4)
    settings = ModelSettings(width=8, tower=[8], experts=2)
    return MultiTaskModel(settings, tasks, sizes_of(lake, features, splits, tasks)).eval(), splits, features


def test_of_two_classes_it_is_a_logistic_regression_on_the_logit():
    random = np.random.default_rng(1)
    z = random.normal(size=20_000)
    y = random.random(20_000) < 1 / (1 + np.exp(-(0.7 + 2.5 * z)))
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], y)
    assert fitted("binary", z, y) == pytest.approx((oracle.intercept_[0], oracle.coef_[0, 0]), abs=0.02)


def test_of_a_value_it_is_a_regression_and_one_that_says_nothing_becomes_the_mean():
    random = np.random.default_rng(2)
    z = random.normal(3.0, 2.0, size=20_000)
    slope, shift = np.polyfit(z, 1 + 0.3 * z + random.normal(size=20_000), 1)
    y = shift + slope * z
    assert fitted("regression", z, y) == pytest.approx((shift, slope), abs=0.02)
    shift, slope = fitted("regression", z, random.normal(3.0, 1.0, size=20_000))
    assert abs(slope) < 0.05 and shift == pytest.approx(3, abs=0.1)


def test_of_several_classes_it_is_a_temperature():
    random = np.random.default_rng(3)
    logits = random.normal(size=(20_000, 4))
    y = (4 * logits + random.gumbel(size=logits.shape)).argmax(1)  # the classes of softmax(4 z)
    shift, slope = fitted("multiclass", logits, y)
    assert slope == pytest.approx(4, rel=0.03) and shift == pytest.approx(0, abs=1e-3)


def test_a_few_rows_change_little():
    shift, slope = fitted("binary", np.array([3.0, 2.0]), np.array([0, 0]))
    assert -0.5 < shift < 0 and 0.6 < slope < 1


def test_rows_of_a_rare_class_are_told_where_half_would_say_no_to_all(tmp_path):
    model, splits, features = untrained(tmp_path, DEFAULT_TASKS)
    assert all((calibration.weights == 1).all() for calibration in model.calibration.values())
    calibrate(model, splits["valid"], features, seed=1)
    scored = score_examples(model, splits["valid"], features)
    for task in DEFAULT_TASKS[1:]:
        weights = model.calibration[task.name].weights.numpy()
        if task.kind == "regression":
            assert len(weights) == 0
            continue
        label = splits["valid"].labels[task.column]
        known = ~np.isnan(label)
        np.testing.assert_allclose(weights, class_weights(label[known], scored.scores[task.name][known]), rtol=1e-5)
    for name, probability in yes_from(model).items():
        around = np.array([probability - 1e-4, probability + 1e-4])
        assert told_classes(around, model.calibration[name].weights.numpy()).tolist() == [0, 1]
    assert yes_from(model).keys() == {task.name for task in DEFAULT_TASKS if task.kind == "binary"}
    before = model.state_dict()
    of_before = {name: value for name, value in before.items() if not name.endswith(".weights")}
    model.load_state_dict(of_before)  # a model that was saved before there were weights tells the likeliest class
    assert all((calibration.weights == 1).all() for calibration in model.calibration.values())


def test_nobody_buys_more_often_than_they_click_after_calibration_too(tmp_path):
    tasks = [DEFAULT_TASKS[0], Task(name="click", kind="binary"), Task(name="purchase", kind="binary", given="click")]
    model, splits, features = untrained(tmp_path, tasks)
    with torch.no_grad():
        model.towers["click"][-1].weight.mul_(5)
        model.towers["purchase"][-1].weight.mul_(30)  # far too sure
    valid, random = splits["valid"], np.random.default_rng(2)
    clicks = (random.random(len(valid)) < 0.5).astype(np.float32)
    bought = clicks * (random.random(len(valid)) < 0.6)
    valid = replace(valid, labels=valid.labels | {"click": clicks, "purchase": bought.astype(np.float32)})
    assert list(contradictions(tasks, valid)) == []
    calibrate(model, valid, features, seed=1)
    scores = score_examples(model, valid, features).scores
    assert (scores["purchase"] <= scores["click"]).all()
    for task, label in (("click", clicks), ("purchase", bought)):
        assert scores[task].mean() == pytest.approx(np.nanmean(label), abs=0.1)
    bought[clicks == 0] = 1
    odd = replace(valid, labels=valid.labels | {"purchase": bought})
    told = f"{int((clicks == 0).sum())} training rows have a purchase without a click"
    assert told in next(contradictions(tasks, odd))


def test_of_a_rare_task_every_label_counts_where_rows_are_drawn(tmp_path, monkeypatch):
    """Ten rows of a task at most, and six sentiments: among ten of all rows hardly any would be of these."""
    model, splits, features = untrained(tmp_path, DEFAULT_TASKS)
    label = splits["valid"].labels["sentiment"].copy()
    label[np.flatnonzero(~np.isnan(label))[6:]] = np.nan
    valid = replace(splits["valid"], labels=splits["valid"].labels | {"sentiment": label})
    found = []
    for most in (10**6, 10):
        monkeypatch.setattr("tandemrec.learn.calibration.ROWS", most)
        calibrate(model, valid, features, seed=1)
        found.append({name: float(one.shift) for name, one in model.calibration.items()})
        for one in model.calibration.values():
            one.shift.zero_(), one.log_slope.zero_()
    assert found[0]["sentiment"] == pytest.approx(found[1]["sentiment"], abs=1e-5) and found[0]["sentiment"] != 0
    assert found[0]["rating"] != pytest.approx(found[1]["rating"], abs=1e-5)


def test_a_model_answers_validation_rows_better_and_ranks_as_before(tmp_path):
    model, splits, features = untrained(tmp_path, DEFAULT_TASKS)
    with torch.no_grad():
        for tower in model.towers.values():
            tower[-1].weight.mul_(30)  # far too sure
    before = score_examples(model, splits["valid"], features)
    calibrate(model, splits["valid"], features, seed=1)
    after = score_examples(model, splits["valid"], features)
    np.testing.assert_array_equal(after.ranks["next_item"], before.ranks["next_item"])
    for task in DEFAULT_TASKS[1:]:
        label = splits["valid"].labels[task.column]
        known = ~np.isnan(label)
        assert known.sum() > 5, task.name

        def cost(scores, task=task, known=known, label=label):
            answer = scores.scores[task.name][known].astype(np.float64)
            if task.kind == "regression":
                return ((answer - label[known]) ** 2).mean()
            of_label = answer[np.arange(len(answer)), label[known].astype(int)] if answer.ndim == 2 else answer
            p = of_label if answer.ndim == 2 else np.where(label[known] == 1, answer, 1 - answer)
            return -np.log(np.clip(p, 1e-7, 1)).mean()

        assert cost(after) < cost(before), task.name
        if task.kind != "multiclass":
            order = np.argsort(before.scores[task.name], kind="stable")
            assert (np.diff(after.scores[task.name][order]) >= -1e-6).all(), task.name
