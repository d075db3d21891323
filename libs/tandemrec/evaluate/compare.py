"""Predictions and labels -> figures with their intervals, the same for the model and every baseline."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from tandemrec.config import EvaluateSettings, Task
from tandemrec.evaluate.problem import Array, Predictions, Rows, labelled
from tandemrec.evaluate.protocol import query_ids
from tandemrec.metrics import bootstrap_interval, prediction_metrics, ranking_metrics


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one model. `split` says of which rows: `test`, or a part such as `test, item 1-2`. `rows` are the
    labelled rows or the queries it rests on; the 95% interval is None where none was drawn.
    """

    model: str
    task: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    rows: int
    split: str = "test"


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
    figures = []
    draw = Draw(resamples=settings.resamples, seed=seed)
    for task in tasks:
        rows = labelled(test, task)
        found: Iterator[Figure] = iter(())
        if len(rows) and task.name in predictions.ranks:
            queries = query_ids(split, test.user[rows])
            found = _of_ranking(predictions.ranks[task.name][rows], queries, settings.cutoffs, draw)
        elif len(rows) and task.name in predictions.scores and task.kind != "next_item":
            labels, scores = test.labels[task.column][rows], predictions.scores[task.name][rows]
            found = _of_prediction(task.kind, labels, scores, draw)
        figures += [Measured(model=model, task=task.name, **figure) for figure in found]
    return figures


Figure = dict[str, Any]  # what Measured holds beside model and task
Mean = tuple[Array, Callable[[float], float]]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """How intervals are drawn; no resamples, no intervals."""

    resamples: int
    seed: int

    def interval(self, values: Array, back: Callable[[float], float] = float) -> Figure:
        """Ends of the interval of back(mean of values)."""
        if self.resamples == 0:
            return {}
        low, high = bootstrap_interval(values, self.resamples, self.seed)
        return {"low": float(back(low)), "high": float(back(high))}


def _of_ranking(ranks: Array, queries: Array, cutoffs: Sequence[int], draw: Draw) -> Iterator[Figure]:
    for metric, values in ranking_metrics(ranks, queries, cutoffs).items():
        yield {"metric": metric, "value": float(values.mean()), "rows": len(values), **draw.interval(values)}


def _of_prediction(
    kind: Literal["binary", "multiclass", "regression"], labels: Array, scores: Array, draw: Draw
) -> Iterator[Figure]:
    for metric, value in prediction_metrics(kind, labels, scores).items():
        interval = draw.interval(*MEAN_OF[metric](labels, scores)) if metric in MEAN_OF else {}
        yield {"metric": metric, "value": value, "rows": len(labels), **interval}


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
