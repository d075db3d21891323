"""Predictions and labels -> figures with their intervals, the same for the model and every baseline."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tandemrec.config import EvaluateSettings, Task
from tandemrec.evaluate.problem import Array, Predictions, Rows, labelled
from tandemrec.metrics import bootstrap_interval, direction, ranking_metrics, row_values

LEAST = 10  # people, or as many of the rarer answer, below which an interval would say more than it knows
OF_THE_RARER = frozenset({"auc", "precision", "recall", "f1", "f1_macro"})
"""Metrics of yes or no that rest on the rows of the rarer answer, however many there are of the other; of several
classes metrics of the same names have no rarer one of two."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one model. `split` says of which rows: `test`, or a part such as `test, item 1-2`. `rows` are the
    labelled rows or the queries it rests on; the 95% interval is None where none was drawn, and where it would rest on
    too few people.

    `lead` of a baseline is how much better TandemRec is than it, whichever way the metric goes. Its interval is drawn
    over the differences on the same rows: narrower than what two intervals side by side tell, since both find the same
    rows hard.
    """

    model: str
    task: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    rows: int
    split: str = "test"
    lead: float | None = None
    lead_low: float | None = None
    lead_high: float | None = None


def measure(
    model: str,
    predictions: Predictions,
    test: Rows,
    tasks: Sequence[Task],
    *,
    settings: EvaluateSettings,
    seed: int,
    ours: Predictions | None = None,
    wanted: Container[tuple[str, str]] | None = None,
) -> list[Measured]:
    """All figures of a model, tasks in the order of the settings; a task without labels or answers has none.

    Args:
        model: name under which the figures stand.
        predictions: its answers for the rows of `test`.
        test: the rows.
        tasks: of the settings.
        settings: cut-offs and resamples.
        seed: of the intervals; every model is drawn the same resamples.
        ours: of a baseline, TandemRec's answers for the same rows.
        wanted: tasks and metrics to draw intervals of and to give; default: all.
    """
    figures = []
    draw = Draw(resamples=settings.resamples, seed=seed)
    for task in tasks:
        theirs = metric_values(task, predictions, test, cutoffs=settings.cutoffs)
        known = {} if ours is None else metric_values(task, ours, test, cutoffs=settings.cutoffs)
        owners, label = value_owners(task, test), test.labels[task.column][labelled(test, task)]
        people = people_of(owners) if theirs else 0
        rarer = people_of(owners, label) if theirs and task.kind == "binary" else people
        for metric, values in theirs.items():
            if wanted is not None and (task.name, metric) not in wanted:
                continue
            rests_on = rarer if metric in OF_THE_RARER else people
            low, high = draw.interval(values, owners, rests_on, 0, 1 if direction(metric) > 0 else np.inf)
            figure = Measured(
                model=model,
                task=task.name,
                metric=metric,
                value=float(values.mean()),
                low=low,
                high=high,
                rows=len(values),
            )
            if metric in known:
                leads = direction(metric) * (known[metric] - values)
                low, high = draw.interval(leads, owners, rests_on)
                figure = replace(figure, lead=float(leads.mean()), lead_low=low, lead_high=high)
            figures.append(figure)
    return figures


def metric_values(task: Task, predictions: Predictions, test: Rows, *, cutoffs: Sequence[int]) -> dict[str, Array]:
    """What each labelled row, or query, adds to each metric of a task, whose mean the metric is; nothing where the task
    has no labels or no answers.
    """
    rows = labelled(test, task)
    if len(rows) and task.name in predictions.ranks:
        return ranking_metrics(predictions.ranks[task.name][rows], test.query[rows], cutoffs)
    if len(rows) and task.name in predictions.scores and task.kind != "next_item":
        label, scores = test.labels[task.column][rows], predictions.scores[task.name][rows]
        return row_values(task.kind, label, scores, predictions.weights.get(task.name))
    return {}


def value_owners(task: Task, test: Rows) -> Array:
    """Whose each of the values of `metric_values` is: the user's, whose rows go together; where nobody's, its own."""
    rows = labelled(test, task)
    user = test.user[rows].astype(np.int64)
    if task.kind == "next_item":
        _, first = np.unique(test.query[rows], return_index=True)
        user = user[first]
    return np.where(user > 0, user, -1 - np.arange(len(user)))


def people_of(owner_N: Array, label_N: Array | None = None) -> int:
    """How many people the rows are of; with labels, how many those of the rarer answer are."""
    parts = [owner_N] if label_N is None else [owner_N[label_N == value] for value in np.unique(label_N)]
    return min(len(np.unique(part)) for part in parts)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How intervals are drawn; no resamples, no intervals, and none over the rows of fewer than LEAST people."""

    resamples: int
    seed: int

    def interval(
        self, values: Array, owners: Array, people: int, least: float = -np.inf, most: float = np.inf
    ) -> tuple[float, float] | tuple[None, None]:
        """Ends of the interval of the mean of values, which rests on so many people, within what the metric can be."""
        if self.resamples == 0 or people < LEAST:
            return None, None
        low, high = bootstrap_interval(values, self.resamples, self.seed, owners, people)
        return max(low, least), min(high, most)
