"""Predictions and labels -> figures with their intervals, the same for the model and every baseline."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tandemrec.config import EvaluateSettings, Task
from tandemrec.evaluate.problem import Array, Predictions, Rows, labelled
from tandemrec.evaluate.protocol import query_ids
from tandemrec.metrics import bootstrap_interval, prediction_metrics, ranking_metrics


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one model. `rows` are the labelled rows or the queries it rests on; the 95% interval is None where
    none was drawn.
    """

    model: str
    task: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    rows: int


def measure(
    model: str,
    predictions: Predictions,
    test: Rows,
    tasks: Sequence[Task],
    *,
    split: str,
    settings: EvaluateSettings,
    seed: int,
) -> list[Measured]:
    """All figures of a model, tasks in the order of the settings; a task without labels or answers has none.

    Args:
        model: name under which the figures stand.
        predictions: its answers for the rows of `test`.
        test: the rows.
        tasks: of the settings.
        split: `examples.split` of the settings, which decides what a query is.
        settings: cut-offs and resamples.
        seed: of the intervals; every model is drawn the same resamples.
    """
    figures: list[Measured] = []

    def interval(values: Array) -> tuple[float, float] | tuple[None, None]:
        return bootstrap_interval(values, settings.resamples, seed) if settings.resamples else (None, None)

    for task in tasks:
        rows = labelled(test, task)
        if len(rows) == 0:
            continue
        if task.name in predictions.ranks:
            queries = query_ids(split, test.user[rows])
            by_query = ranking_metrics(predictions.ranks[task.name][rows], queries, settings.cutoffs)
            for metric, values in by_query.items():
                low, high = interval(values)
                value = float(values.mean())
                figures.append(
                    Measured(
                        model=model, task=task.name, metric=metric, value=value, low=low, high=high, rows=len(values)
                    )
                )
        elif task.name in predictions.scores and task.kind != "next_item":
            labels, scores = test.labels[task.column][rows], predictions.scores[task.name][rows]
            for metric, value in prediction_metrics(task.kind, labels, scores).items():
                low = high = None
                if metric in MEAN_OF:
                    values, back = MEAN_OF[metric](labels, scores)
                    low, high = (None if end is None else float(back(end)) for end in interval(values))
                figures.append(
                    Measured(
                        model=model, task=task.name, metric=metric, value=value, low=low, high=high, rows=len(rows)
                    )
                )
    return figures


Mean = tuple[Array, Callable[[float], float]]


def _correct(labels: Array, scores: Array) -> Mean:
    return (labels == (scores.argmax(axis=1) if scores.ndim == 2 else scores >= 0.5)), float


def _squared_error(labels: Array, scores: Array) -> Mean:
    return (labels - scores) ** 2, np.sqrt


def _absolute_error(labels: Array, scores: Array) -> Mean:
    return np.abs(labels - scores), float


MEAN_OF: dict[str, Callable[[Array, Array], Mean]] = {
    "accuracy": _correct,
    "rmse": _squared_error,
    "mae": _absolute_error,
}
"""Metrics that are a mean over rows, or a function of one: the values of the rows and the way back from their mean."""
