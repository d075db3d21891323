"""Metrics of predictions that can be right or wrong on their own: classes, probabilities, stars.

Each is a mean over rows, so that intervals can be drawn over rows and models compared row by row. A metric that is no
mean is its value plus each row's influence on it (Hampel 1974): the mean of these values is the metric itself, their
standard deviation over the root of N its standard error.

Shapes: N rows, C classes.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from tandemrec.metrics.deciding import told_classes

SMALLEST_PROBABILITY = 1e-15  # a certain error costs 34.5 nats rather than infinity

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32] | Doubles
Kind = Literal["binary", "multiclass", "regression"]


def prediction_metrics(
    kind: Kind, labels: Numbers, scores: Numbers, weights: Numbers | None = None
) -> dict[str, float]:
    """The metrics of a task's kind over rows that all carry a label: the means of `row_values`."""
    return {metric: float(values.mean()) for metric, values in row_values(kind, labels, scores, weights).items()}


def row_values(kind: Kind, labels: Numbers, scores: Numbers, weights: Numbers | None = None) -> dict[str, Doubles]:
    """What each row adds to each metric: metric -> (N,), with the metric as their mean.

    The class is told whose probability times its weight is the largest. Where precision, recall or F1 divide by zero
    they count as 0, so that never saying yes earns nothing. Binary ones are those of class 1, and F1 has its mean over
    both classes beside it, `f1_macro`; multiclass ones are means over the classes that occur in labels or predictions.
    AUC is left out where the labels hold one class only. No rows, no metrics.

    Args:
        kind: of the task.
        labels: (N,) 0 or 1, class numbers, or values.
        scores: probabilities of 1 (N,), probabilities of the classes (N, C), or values (N,).
        weights: of the classes (C,), two of a binary task; default: all the same.

    Raises:
        ValueError: labels and scores differ in number, or hold what is no finite number.
    """
    labels, scores = _checked(labels, scores)
    if len(labels) == 0:
        return {}
    if kind == "regression":
        return {"rmse": _root(np.square(scores - labels)), "mae": np.abs(scores - labels)}
    chosen, predicted = labels.astype(np.int64), told_classes(scores, weights)
    classes = 1 + max(chosen.max(), predicted.max(), 1)
    occurs = np.bincount(chosen, minlength=classes) + np.bincount(predicted, minlength=classes) > 0
    values = {"accuracy": (chosen == predicted).astype(np.float64)}
    mean = _of_classes(chosen, predicted, occurs / occurs.sum())
    if kind == "binary":
        values |= _of_classes(chosen, predicted, np.arange(classes) == 1) | {"f1_macro": mean["f1"]}
    else:
        values |= mean
    if kind == "binary" and len(np.unique(chosen)) == 2:
        values["auc"] = _auc(chosen == 1, scores)
    return values | {"log_loss": _log_losses(kind, labels, scores)}


def direction(metric: str) -> int:
    """1 where a higher value of the metric is better, -1 where a lower one is."""
    return -1 if metric in LOWER_IS_BETTER else 1


def _checked(labels: Numbers, scores: Numbers) -> tuple[Doubles, Doubles]:
    """Labels and scores in double precision.

    Raises:
        ValueError: they differ in number, or hold what is no finite number.
    """
    if len(labels) != len(scores):
        raise ValueError(f"{len(labels)} labels and {len(scores)} scores, expected as many")
    if not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        raise ValueError("labels or scores hold NaN or infinite values")
    return labels.astype(np.float64), scores.astype(np.float64)


def _log_losses(kind: Literal["binary", "multiclass"], labels: Doubles, scores: Doubles) -> Doubles:
    """Negative logarithm (N,) of the probability that was given to what came."""
    if kind == "binary":
        given = np.where(labels == 1, scores, 1 - scores)
    else:
        given = scores[np.arange(len(labels)), labels.astype(np.int64)]
    losses: Doubles = -np.log(np.maximum(given, SMALLEST_PROBABILITY))
    return losses


def _root(squares: Doubles) -> Doubles:
    """RMSE plus (e^2 - MSE) / (2 RMSE)."""
    rmse = np.sqrt(squares.mean())
    return rmse + (squares - rmse**2) / (2 * rmse) if rmse > 0 else squares


def _of_classes(labels: Integers, predicted: Integers, weight_C: Doubles) -> dict[str, Doubles]:
    """Precision, recall and F1 of each class, weighted: each is a ratio n / d of means, and a row's influence on it is
    (n_row - ratio d_row) / d. A row counts for two classes at most, its own and the predicted one.
    """
    size, hit = len(weight_C), labels == predicted
    of_label, of_predicted = (np.bincount(classes, minlength=size) / len(labels) for classes in (labels, predicted))
    of_both = np.bincount(labels[hit], minlength=size) / len(labels)

    def ratio(above_C: Doubles, below_C: Doubles) -> tuple[Doubles, Doubles]:
        """The ratio, and the weight of the class over the ratio's denominator; 0 where that is 0."""
        there = below_C > 0
        safe = np.where(there, below_C, 1)
        return np.where(there, above_C / safe, 0), np.where(there, weight_C / safe, 0)

    precision, scale = ratio(of_both, of_predicted)
    values = {"precision": precision @ weight_C + (hit - precision[predicted]) * scale[predicted]}
    recall, scale = ratio(of_both, of_label)
    values["recall"] = recall @ weight_C + (hit - recall[labels]) * scale[labels]
    f1, scale = ratio(2 * of_both, of_label + of_predicted)
    values["f1"] = f1 @ weight_C + 2 * hit * scale[labels] - (f1 * scale)[labels] - (f1 * scale)[predicted]
    return values


def _auc(positive: npt.NDArray[np.bool_], scores: Doubles) -> Doubles:
    """AUC plus (V - AUC) / share of the row's class, V the share of the other class that the row stands on the right
    side of: the variance is DeLong's (DeLong, DeLong and Clarke-Pearson 1988).
    """
    right = np.empty(len(scores))
    right[positive] = _share_below(scores[~positive], scores[positive])
    right[~positive] = 1 - _share_below(scores[positive], scores[~positive])
    auc = right[positive].mean()
    values: Doubles = auc + (right - auc) / np.where(positive, positive.mean(), 1 - positive.mean())
    return values


def _share_below(others: Doubles, scores: Doubles) -> Doubles:
    """For each score the share of the others that lie below it, ties by half."""
    others = np.sort(others)
    below = np.searchsorted(others, scores, side="left") + np.searchsorted(others, scores, side="right")
    share: Doubles = below / (2 * len(others))
    return share
