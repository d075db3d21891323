"""Which class is told: by hand, and against every weight tried one after the other with scikit-learn's F1."""

from itertools import product

import numpy as np
import pytest
from sklearn.metrics import f1_score

from tandemrec.metrics import class_weights, prediction_metrics, told_classes
from tandemrec.metrics.deciding import LEAST, LOGS, MOST_CLASSES, _best, _macro_f1


def drawn(classes, rows=300, seed=0):
    """Rows of well calibrated probabilities, some classes rare."""
    random = np.random.default_rng(seed)
    probabilities = random.dirichlet(np.linspace(0.2, 2, classes), rows)
    return np.array([random.choice(classes, p=share) for share in probabilities]), probabilities


def macro(labels, told):
    return f1_score(labels, told, average="macro", zero_division=0.0)


def test_the_class_of_the_largest_weighted_probability_is_told():
    shares = np.array([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]])
    assert told_classes(shares).tolist() == [0, 2]
    assert told_classes(shares, np.array([1.0, 2.0, 1.0])).tolist() == [1, 2]
    assert told_classes(shares, np.array([1.0, 2.0])).tolist() == [1, 2]  # a class that validation never saw
    assert told_classes(shares[:, :2], np.array([1.0, 1.0, 9.0])).tolist() == [0, 1]
    yes = np.array([0.19, 0.2, 0.5, 0.6])
    assert told_classes(yes).tolist() == [0, 0, 1, 1]
    assert told_classes(yes, np.array([0.2, 0.8])).tolist() == [0, 1, 1, 1]
    as_two = np.stack([1 - yes, yes], 1)
    np.testing.assert_array_equal(told_classes(yes[[0, 3]], [0.3, 0.7]), told_classes(as_two[[0, 3]], [0.3, 0.7]))


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_macro_f1_of_every_weight_is_that_of_scikit_learn(classes):
    labels, shares = drawn(classes)
    logs = np.log(np.maximum(shares, LEAST))
    for column in range(classes):
        found = _macro_f1(labels, logs, column, LOGS)
        for value, got in list(zip(LOGS, found, strict=True))[::7]:
            moved = logs.copy()
            moved[:, column] += value
            assert got == pytest.approx(macro(labels, moved.argmax(1)))


def test_of_two_classes_the_best_of_all_weights_is_found():
    labels, shares = drawn(2, seed=1)
    logs = np.log(shares)
    every = [macro(labels, (logs + np.array([0, value])).argmax(1)) for value in LOGS]
    best = _best(labels, logs)
    assert best[0] == 0 and macro(labels, (logs + best).argmax(1)) == pytest.approx(max(every))


def test_of_three_classes_none_alone_can_be_moved_for_the_better():
    labels, shares = drawn(3, rows=80, seed=2)
    logs = np.log(shares)
    best = _best(labels, logs)
    found = macro(labels, (logs + best).argmax(1))
    assert found > macro(labels, logs.argmax(1))
    for column, value in product(range(3), LOGS):
        moved = best.copy()
        moved[column] = value
        assert macro(labels, (logs + moved).argmax(1)) <= found + 1e-12


def test_a_rare_class_is_told_of_other_rows_too():
    """One in ten, never likelier than not: at one half nobody is told it, and F1 is nothing."""
    random = np.random.default_rng(3)
    chance = np.where(random.random(20_000) < 0.1, 0.45, 0.06)
    label = (random.random(20_000) < chance).astype(float)
    weights = class_weights(label[:10_000], chance[:10_000])
    assert 0.06 < weights[0] / weights.sum() < 0.45 and np.prod(weights) == pytest.approx(1)
    before = prediction_metrics("binary", label[10_000:], chance[10_000:])
    after = prediction_metrics("binary", label[10_000:], chance[10_000:], weights)
    assert before["recall"] == before["f1"] == 0 and after["recall"] > 0.4 and after["f1"] > 0.4
    assert after["f1_macro"] > before["f1_macro"] + 0.15
    for metric in ("auc", "log_loss"):  # the order and the probabilities are what they were
        assert after[metric] == before[metric]


def test_weights_that_are_no_better_on_other_rows_are_left():
    """Even classes, told as well as they can be: what a drawing prefers is chance."""
    random = np.random.default_rng(4)
    shares = np.exp(random.normal(size=(150, 4)) * 2)
    shares /= shares.sum(1, keepdims=True)
    labels = np.array([random.choice(4, p=share) for share in shares])
    assert (class_weights(labels, shares) == 1).all()


def test_what_cannot_be_told_weighs_the_same():
    assert class_weights(np.ones(5), np.full(5, 0.9)).tolist() == [1, 1]  # one class
    many = MOST_CLASSES + 1
    labels, shares = drawn(many, rows=50)
    assert (class_weights(labels, shares) == 1).all()
    level = class_weights(np.array([0.0, 1.0] * 50), np.tile([0.1, 0.9], 50))
    assert level == pytest.approx([1, 1])  # every weight from 1/9 to 9 is as good: the nearest to 1
