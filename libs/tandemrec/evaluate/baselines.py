"""What anybody could answer with little or no learning: a model that does not beat these has learned nothing of use.

A baseline is data: its name in BASELINES leads to a function from the problem to predictions. One whose answers differ
from row to row is granted what the model has: which class it tells is chosen in validation.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from tandemrec.config import Task
from tandemrec.evaluate.ease import ease
from tandemrec.evaluate.problem import Array, Predictions, Problem, Rows, labelled
from tandemrec.evaluate.tfidf import tfidf
from tandemrec.metrics import class_weights

DAMPINGS = (5.0, 1.0, 2.0, 10.0, 20.0, 50.0)  # ratings at the mean that are added to each user and item

Baseline = Callable[[Problem], Predictions]


def popularity(problem: Problem) -> Predictions:
    """Rank by the number of training interactions; answer every pair of user and item with the training mean."""
    ranks = {
        task.name: popularity_ranks(problem, problem.test.labels[task.column])
        for task in problem.tasks
        if task.kind == "next_item"
    }
    return Predictions(ranks=ranks, scores=_constants(problem, [t for t in problem.tasks if "item" in t.reads]))


def majority(problem: Problem) -> Predictions:
    """Answer every review, and every row of tabular data, with the training mean or the shares of the classes."""
    return Predictions(scores=_constants(problem, [t for t in problem.tasks if {"review", "row"} & set(t.reads)]))


def bias(problem: Problem) -> Predictions:
    """Mean + user bias + item bias, both damped towards 0 (Koren 2010, section 2.1): of values, and of yes or no. Of
    some dampings the one with the smallest squared error in validation; without validation rows the first.
    """
    scores = {}
    for task in problem.tasks:
        rows = labelled(problem.learned, task)
        if task.kind not in ("regression", "binary") or "item" not in task.reads or len(rows) == 0:
            continue
        answer = _biased(problem.learned, task, _damping(problem, task), problem.test)
        least = 1 / (len(rows) + 2)  # nothing is certain: as one more row of each kind would have it
        scores[task.name] = answer if task.kind == "regression" else answer.clip(least, 1 - least)
    return Predictions(scores=scores)


def deciding(baseline: Baseline, problem: Problem) -> Predictions:
    """A baseline's answers, with weights of the classes that are best for what it answers in validation, having learned
    from training rows alone.
    """
    answers, valid = baseline(problem), problem.valid
    tasks = [task for task in problem.tasks if task.kind in ("binary", "multiclass") and task.name in answers.scores]
    if valid is None or not tasks:
        return answers
    before = baseline(replace(problem, tasks=tasks, test=valid, refit=None)).scores
    weights = {}
    for task in tasks:
        rows = labelled(valid, task)
        if len(rows) and task.name in before:
            weights[task.name] = class_weights(valid.labels[task.column][rows], before[task.name][rows])
    return replace(answers, weights=weights)


BASELINES: dict[str, Baseline] = {
    "popularity": popularity,
    "majority": majority,
    "bias": partial(deciding, bias),
    "ease": ease,
    "tfidf": partial(deciding, tfidf),
}


def popularity_ranks(problem: Problem, target: Array) -> Array:
    """Places (N,) of targets (N,) among the candidates by interactions; 0 for no candidate and for NaN."""
    known = ~np.isnan(target)
    target = np.where(known, target, 0).astype(np.int64)
    count = problem.interactions
    sorted_counts = np.sort(count[count > 0])
    as_popular = len(sorted_counts) - np.searchsorted(
        sorted_counts, count[target], side="left"
    )  # the target among them
    seen, offsets = problem.test.seen
    row = np.repeat(np.arange(len(target)), np.diff(offsets))
    passed_over = (count[seen] > 0) & (count[seen] >= count[target[row]]) & (seen != target[row])
    rank = as_popular - np.bincount(row[passed_over], minlength=len(target))
    return np.where(known & (count[target] > 0), rank, 0)


def _constants(problem: Problem, tasks: Sequence[Task]) -> dict[str, Array]:
    """The training mean of a value, or the shares of the classes with one more row each, for every test row."""
    scores: dict[str, Array] = {}
    for task in tasks:
        label = problem.learned.labels[task.column][labelled(problem.learned, task)].astype(np.float64)
        rows = len(problem.test.user)
        if len(label) == 0:
            continue
        if task.kind == "multiclass":
            most = np.nanmax(np.concatenate([label, problem.test.labels[task.column]]))
            counts = 1 + np.bincount(label.astype(np.int64), minlength=int(most) + 1)
            scores[task.name] = np.broadcast_to(counts / counts.sum(), (rows, len(counts)))
        elif task.kind == "binary":
            scores[task.name] = np.broadcast_to((label.sum() + 1) / (len(label) + 2), rows)
        else:
            scores[task.name] = np.broadcast_to(label.mean(), rows)
    return scores


def _damping(problem: Problem, task: Task) -> float:
    valid = problem.valid
    if valid is None or len(labelled(valid, task)) == 0 or len(labelled(problem.train, task)) == 0:
        return DAMPINGS[0]
    errors = {
        damping: np.nanmean(np.square(_biased(problem.train, task, damping, valid) - valid.labels[task.column]))
        for damping in DAMPINGS
    }
    return min(errors, key=lambda damping: float(errors[damping]))


def _biased(learned: Rows, task: Task, damping: float, asked: Rows) -> Array:
    """The answers (N,) for the rows that are asked about."""
    rows = labelled(learned, task)
    item, user, value = learned.item[rows], learned.user[rows], learned.labels[task.column][rows].astype(np.float64)
    mean = value.mean()
    item_bias = _damped_mean(item, value - mean, 1 + max(item.max(), asked.item.max(initial=0)), damping)
    residual = value - mean - item_bias[item]
    user_bias = _damped_mean(user, residual, 1 + max(user.max(), asked.user.max(initial=0)), damping)
    answers: Array = mean + user_bias[asked.user] + item_bias[asked.item]
    return answers


def _damped_mean(index: Array, value: Array, size: int, damping: float) -> Array:
    """(size,) mean of the values that fall on each index, as if `damping` more of value 0 fell on it."""
    return np.bincount(index, weights=value, minlength=size) / (np.bincount(index, minlength=size) + damping)
