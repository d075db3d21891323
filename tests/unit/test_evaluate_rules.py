"""What holds of every figure: which class is told, and whose rows go together."""

from dataclasses import replace

import numpy as np
from evaluated_rows import by_name, rows

from tandemrec.config import EvaluateSettings, Task
from tandemrec.evaluate import BASELINES, Predictions, Problem, baselines, by_experience, measure
from tandemrec.metrics import class_weights

NEXT = Task(name="next_item", kind="next_item", reads=["user"])
CLICK = Task(name="click", kind="binary")
SETTINGS = EvaluateSettings(cutoffs=[1, 3], resamples=100)


def test_a_baseline_tells_classes_by_weights_that_are_best_in_validation():
    """Users click once in three, or hardly ever: at one half nobody is told to."""
    random = np.random.default_rng(7)
    user = np.tile(np.arange(60), 60)
    clicks = (random.random(len(user)) < np.where(user < 20, 0.35, 0.03)).astype(float)
    one = np.ones(len(user), np.int64)
    train, valid, test, both = (
        rows(user[part], one[part], click=clicks[part])
        for part in (slice(1200), slice(1200, 2400), slice(2400, None), slice(2400))
    )
    problem = Problem(tasks=[CLICK], train=train, valid=valid, test=test, interactions=np.array([0, 1]))
    before = baselines.bias(replace(problem, test=valid)).scores["click"]
    weights = class_weights(valid.labels["click"], before)
    answers = BASELINES["bias"](problem)
    np.testing.assert_allclose(answers.weights["click"], weights)
    again = BASELINES["bias"](replace(problem, refit=both))  # chosen where nothing of validation was learned
    np.testing.assert_allclose(again.weights["click"], weights)
    assert (again.scores["click"] != answers.scores["click"]).any()
    figures = by_name(measure("b", answers, test, [CLICK], settings=SETTINGS, seed=1))
    plain = by_name(measure("b", replace(answers, weights={}), test, [CLICK], settings=SETTINGS, seed=1))
    assert figures["click", "recall"].value > 0.5 > 0.1 > plain["click", "recall"].value
    assert figures["click", "f1_macro"].value > plain["click", "f1_macro"].value + 0.1
    part = by_experience("b", answers, problem, settings=SETTINGS, seed=1)
    assert {figure.metric for figure in part} == {"auc"}  # what is drawn by experience asks for no weights


def test_rows_of_one_person_are_drawn_together_and_those_of_nobody_each_by_itself():
    """Three people who are right in everything or in nothing, and as many rows of a table."""
    right = np.repeat([1.0, 0.0, 1.0], 40)
    answers = Predictions(scores={"click": right * 0.9}, ranks={"next_item": right.astype(int)})

    def width(users, task, metric):
        test = rows(users, np.ones(120), click=np.ones(120), next_item=np.ones(120))
        figures = by_name(measure("m", answers, test, [task], settings=SETTINGS, seed=1))
        return figures[task.name, metric].high - figures[task.name, metric].low

    people, nobody = np.repeat([1, 2, 3], 40), np.zeros(120, np.int64)
    for task, metric in ((CLICK, "accuracy"), (NEXT, "hr@1")):
        assert width(people, task, metric) == 1 and width(np.arange(1, 121), task, metric) < 0.2
        assert width(nobody, task, metric) < 0.2


def test_the_rows_of_one_person_alone_have_no_interval():
    """Drawn over people it would end where it begins, as if the figure were certain."""
    test = rows([1, 1, 1, 2], [1, 2, 3, 4], click=[1, 0, 1, np.nan])
    answers = Predictions(scores={"click": np.array([0.9, 0.4, 0.2, 0.5])})
    ours = Predictions(scores={"click": np.array([0.9, 0.1, 0.8, 0.5])})
    figures = measure("m", answers, test, [CLICK], settings=SETTINGS, seed=1, ours=ours)
    assert {(f.low, f.high, f.lead_low, f.lead_high) for f in figures} == {(None, None, None, None)}
    two = rows([1, 1, 1, 2], [1, 2, 3, 4], click=[1, 0, 1, 0])
    figures = measure("m", answers, two, [CLICK], settings=SETTINGS, seed=1, ours=ours)
    assert all(f.low is not None and f.lead_low is not None for f in figures)
