"""Metrics of predictions that can be right or wrong on their own: classes, probabilities, stars.

Shapes: N rows, C classes.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

SMALLEST_PROBABILITY = 1e-15  # a certain error costs 34.5 nats rather than infinity

Numbers = npt.NDArray[np.float32] | npt.NDArray[np.float64]


def prediction_metrics(
    kind: Literal["binary", "multiclass", "regression"], labels: Numbers, scores: Numbers
) -> dict[str, float]:
    """The metrics of a task's kind over rows that all carry a label.

    A class is predicted where its probability is 0.5 or more (binary) or the largest (multiclass). Where precision,
    recall or F1 divide by zero they count as 0, so that never saying yes earns nothing; multiclass ones are means over
    the classes that occur in labels or predictions. AUC is left out where the labels hold one class only. No rows, no
    metrics.

    Args:
        kind: of the task.
        labels: (N,) 0 or 1, class numbers, or values.
        scores: probabilities of 1 (N,), probabilities of the classes (N, C), or values (N,).
    """
    if len(labels) != len(scores):
        raise ValueError(f"{len(labels)} labels and {len(scores)} scores, expected as many")
    if not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        raise ValueError("labels or scores hold NaN or infinite values")
    if len(labels) == 0:
        return {}
    labels, scores = labels.astype(np.float64), scores.astype(np.float64)
    if kind == "regression":
        error = scores - labels
        return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}
    if kind == "binary":
        metrics = _classes(labels, scores >= 0.5, average="binary")
        if len(np.unique(labels)) == 2:
            metrics["auc"] = float(roc_auc_score(labels, scores))
        return metrics | {"log_loss": _log_loss(np.where(labels == 1, scores, 1 - scores))}
    chosen = labels.astype(np.int64)
    return _classes(chosen, scores.argmax(axis=1), average="macro") | {
        "log_loss": _log_loss(scores[np.arange(len(chosen)), chosen])
    }


def _classes(labels: npt.NDArray[np.generic], predicted: npt.NDArray[np.generic], *, average: str) -> dict[str, float]:
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average=average, zero_division=0.0)
    accuracy = np.mean(labels == predicted)
    return {"accuracy": float(accuracy), "precision": float(precision), "recall": float(recall), "f1": float(f1)}


def _log_loss(probability_of_label: npt.NDArray[np.float64]) -> float:
    """Mean negative logarithm of the probability (N,) that was given to what came."""
    return float(-np.mean(np.log(np.maximum(probability_of_label, SMALLEST_PROBABILITY))))
