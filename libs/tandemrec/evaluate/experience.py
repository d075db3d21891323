"""From warm to cold: figures of the rows whose user, or item, has this many training interactions.

A user is known by the history and the reviews of the moment as well, an item by its text and attributes: what a model
makes of them shows where there are few interactions or none.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tandemrec.config import EvaluateSettings, Task
from tandemrec.evaluate.compare import Measured, measure
from tandemrec.evaluate.problem import Array, Predictions, Problem, Rows, labelled

BANDS = ((0, 0), (1, 2), (3, 5), (6, 10), (11, 20), (21, 50), (51, None))
"""Numbers of training interactions, ends included."""

CUTOFF = 10
SHOWN = {"next_item": f"ndcg@{CUTOFF}", "binary": "auc", "multiclass": "accuracy", "regression": "rmse"}
"""The one metric of each kind of task that is drawn as a curve."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some rows of a split, as `measure` reads them."""

    user: Array
    item: Array
    review: Array
    query: Array
    labels: dict[str, Array]
    seen: tuple[Array, Array]


def by_experience(
    model: str,
    predictions: Predictions,
    problem: Problem,
    *,
    settings: EvaluateSettings,
    seed: int,
    ours: Predictions | None = None,
) -> list[Measured]:
    """A figure a task on users and items and band of `user` and of `item`; bands without rows have none."""
    tasks = [task for task in problem.tasks if "user" in task.reads]
    settings = settings.model_copy(update={"cutoffs": [CUTOFF]})
    wanted = {(task.name, SHOWN[task.kind]) for task in tasks}
    figures = []
    for name, rows in banded(problem).items():
        asked, answered = part_of(problem.test, rows), rows_of(predictions, rows)
        same = None if ours is None else rows_of(ours, rows)
        found = measure(model, answered, asked, tasks, settings=settings, seed=seed, ours=same, wanted=wanted)
        figures += [replace(figure, split=f"test, {name}") for figure in found]
    return figures


def banded(problem: Problem) -> dict[str, Array]:
    """The test rows of each band of `user` and of `item` that has some, as `user 1-2`."""
    parts = {}
    for who, count_N in (("user", user_counts(problem)), ("item", problem.interactions[problem.test.item])):
        for low, high in BANDS:
            rows = np.flatnonzero((count_N >= low) & (count_N <= (np.inf if high is None else high)))
            if len(rows):
                parts[f"{who} {band_name(low, high)}"] = rows
    return parts


def band_name(low: int, high: int | None) -> str:
    """`0`, `1-2`, `51+`."""
    if high is None:
        return f"{low}+"
    return str(low) if low == high else f"{low}-{high}"


def user_counts(problem: Problem) -> Array:
    """Training interactions (N,) of each test row's user: rows of a next-item task or, without one, of values."""
    train = problem.learned
    rows = _interactions(problem.tasks, problem)
    size = 1 + max(train.user.max(initial=0), problem.test.user.max(initial=0))
    counts: Array = np.bincount(train.user[rows], minlength=size)[problem.test.user]
    return counts


def _interactions(tasks: Sequence[Task], problem: Problem) -> Array:
    for kind in ("next_item", "regression"):
        found = [labelled(problem.learned, task) for task in tasks if task.kind == kind and "user" in task.reads]
        if found:
            return np.unique(np.concatenate(found))
    return np.arange(len(problem.learned.user))


def part_of(test: Rows, rows: Array) -> Part:
    """Some of the test rows."""
    nothing_seen = (np.empty(0, np.int32), np.zeros(len(rows) + 1, np.int64))
    labels = {name: label[rows] for name, label in test.labels.items()}
    user, item, review, query = (column[rows] for column in (test.user, test.item, test.review, test.query))
    return Part(user=user, item=item, review=review, query=query, labels=labels, seen=nothing_seen)


def rows_of(predictions: Predictions, rows: Array) -> Predictions:
    """The answers for some of the rows."""
    return Predictions(
        scores={name: answer[rows] for name, answer in predictions.scores.items()},
        ranks={name: answer[rows] for name, answer in predictions.ranks.items()},
        weights=predictions.weights,
    )
