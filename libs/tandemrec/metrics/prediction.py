"""Metrics of predictions that can be right or wrong on their own: classes, probabilities, stars.

Shapes: N rows, C classes.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

SMALLEST_PROBABILITY = 1e-15  # a certain error costs 34.5 nats rather than infinity

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})

Doubles = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.float32] | Doubles


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
    labels, scores = checked(labels, scores)
    if len(labels) == 0:
        return {}
    if kind == "regression":
        error = scores - labels
        return {"rmse": float(np.sqrt(np.mean(error**2))), "mae": float(np.mean(np.abs(error)))}
    average = "binary" if kind == "binary" else "macro"
    metrics = _classes(labels.astype(np.int64), predicted_classes(scores), average=average)
    if kind == "binary" and len(np.unique(labels)) == 2:
        metrics["auc"] = float(roc_auc_score(labels, scores))
    return metrics | {"log_loss": float(log_losses(kind, labels, scores).mean())}


def direction(metric: str) -> int:
    """1 where a higher value of the metric is better, -1 where a lower one is."""
    return -1 if metric in LOWER_IS_BETTER else 1


def checked(labels: Numbers, scores: Numbers) -> tuple[Doubles, Doubles]:
    """Labels and scores in double precision.

    Raises:
        ValueError: they differ in number, or hold what is no finite number.
    """
    if len(labels) != len(scores):
        raise ValueError(f"{len(labels)} labels and {len(scores)} scores, expected as many")
    if not (np.isfinite(labels).all() and np.isfinite(scores).all()):
        raise ValueError("labels or scores hold NaN or infinite values")
    return labels.astype(np.float64), scores.astype(np.float64)


def predicted_classes(scores: Doubles) -> npt.NDArray[np.int64]:
    """The class (N,) of each row's probabilities (N,) or (N, C)."""
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= 0.5).astype(np.int64)


def log_losses(kind: Literal["binary", "multiclass"], labels: Doubles, scores: Doubles) -> Doubles:
    """Negative logarithm (N,) of the probability that was given to what came."""
    if kind == "binary":
        given = np.where(labels == 1, scores, 1 - scores)
    else:
        given = scores[np.arange(len(labels)), labels.astype(np.int64)]
    losses: Doubles = -np.log(np.maximum(given, SMALLEST_PROBABILITY))
    return losses


def _classes(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], *, average: str) -> dict[str, float]:
    precision, recall, f1, _ = precision_recall_fscore_support(labels, predicted, average=average, zero_division=0.0)
    accuracy = np.mean(labels == predicted)
    return {"accuracy": float(accuracy), "precision": float(precision), "recall": float(recall), "f1": float(f1)}
