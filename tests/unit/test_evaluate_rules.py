"""What holds of every figure: which class is told, and whose rows go together."""

from dataclasses import replace

import numpy as np
from evaluated_rows import by_name, rows

from tandemrec.config import EvaluateSettings, Task
from tandemrec.evaluate import BASELINES, Predictions, Problem, baselines, by_experience, measure
from tandemrec.metrics import bootstrap_interval, class_weights

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
    """Twelve people who are right in everything or in nothing, and as many rows of a table."""
    right = np.repeat(np.arange(12) % 2.0, 10)
    answers = Predictions(scores={"click": right * 0.9}, ranks={"next_item": right.astype(int)})

    def width(users, task, metric):
        test = rows(users, np.ones(120), click=np.ones(120), next_item=np.ones(120))
        figures = by_name(measure("m", answers, test, [task], settings=SETTINGS, seed=1))
        return figures[task.name, metric].high - figures[task.name, metric].low

    people, nobody = np.repeat(np.arange(1, 13), 10), np.zeros(120, np.int64)
    for task, metric in ((CLICK, "accuracy"), (NEXT, "hr@1")):
        assert width(people, task, metric) > 0.5 and width(np.arange(1, 121), task, metric) < 0.2
        assert width(nobody, task, metric) < 0.2


def test_of_too_few_people_or_of_a_rare_answer_there_is_no_interval():
    """Drawn over one person it would end where it begins, over few it would be too sure. Of two hundred rows with nine
    of yes an AUC rests on the nine, the log loss on all.
    """

    def told(people, yes):
        user, click = np.arange(200) % people + 1, (np.arange(200) < yes).astype(float)
        draw = np.random.default_rng(3)
        answers, ours = (Predictions(scores={"click": draw.random(200)}) for _ in range(2))
        test = rows(user, np.ones(200), click=click)
        figures = measure("m", answers, test, [CLICK], settings=SETTINGS, seed=1, ours=ours)
        assert all((f.low is None) == (f.lead_low is None) and f.lead is not None for f in figures)
        return {f.metric for f in figures if f.low is not None}

    of_all = {"accuracy", "log_loss"}
    every = of_all | {"auc", "precision", "recall", "f1", "f1_macro"}
    assert told(1, 50) == told(9, 50) == set() and told(10, 50) == every
    assert told(200, 9) == told(200, 191) == of_all and told(200, 10) == told(200, 190) == every


def test_of_ten_people_intervals_hold_the_truth_nearly_as_often_as_they_say():
    """With three rows each; plain percentiles hold it .876 of the time."""
    hits = 0
    for seed in range(800):
        draw = np.random.default_rng([10, seed])
        owner = np.repeat(np.arange(10), draw.geometric(1 / 3, 10))
        values = draw.normal(size=10)[owner] + draw.normal(size=len(owner))
        low, high = bootstrap_interval(values, 300, seed, owner)
        hits += low <= 0 <= high
    assert 0.91 < hits / 800 < 0.97
