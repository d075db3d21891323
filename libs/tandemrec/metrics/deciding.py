"""Which class is told, where the likeliest is not the one to tell: of a purchase in a hundred clicks no click is likely
to be one, and whoever waits for half never says yes.

Shapes: N rows, C classes.
"""

import numpy as np
import numpy.typing as npt

LOGS = np.round(np.linspace(-4, 4, 81), 1)  # of weights that are tried
DRAWINGS = 50
ROUNDS = 3  # over the classes; two have one weight to choose
MOST_ROWS = 10_000  # of a drawing
MOST_CLASSES = 20  # with more of them few have the rows that a weight of their own asks for
LEAST = 1e-9  # probability

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float32] | Doubles


def told_classes(probabilities: Numbers, weights: Numbers | None = None) -> Integers:
    """The class (N,) whose probability times its weight is the largest; of a binary task, where both are the same, 1.

    Args:
        probabilities: of 1 (N,), or of the classes (N, C).
        weights: (C,), two of a binary task; default: all the same. A class beyond them weighs 1.
    """
    weight_C = np.ones(2 if probabilities.ndim == 1 else probabilities.shape[1])
    if weights is not None:
        weight_C[: len(weights)] = weights[: len(weight_C)]
    if probabilities.ndim == 1:
        told: Integers = (probabilities * weight_C[1] >= (1 - probabilities) * weight_C[0]).astype(np.int64)
    else:
        told = (probabilities * weight_C).argmax(axis=1)
    return told


def class_weights(labels: Numbers, probabilities: Numbers) -> Doubles:
    """Weights of the classes (C,) with which the class that is told has the best macro-F1, their geometric mean 1.

    Class by class in turn, over drawings of the rows, and the mean of what is best on each: what is best on all of the
    rows fits the few of rare classes too closely. Of equal ones the nearest to 1. All are 1 where the weights of a
    drawing are no better than none on the rows that it has left out (on average), where the labels hold one class only,
    and where there are more than MOST_CLASSES.

    Args:
        labels: (N,) class numbers.
        probabilities: of 1 (N,), or of the classes (N, C).
    """
    both = np.stack([1 - probabilities, probabilities], 1) if probabilities.ndim == 1 else probabilities
    logs_NC, label_N = np.log(np.maximum(both.astype(np.float64), LEAST)), labels.astype(np.int64)
    rows, classes = logs_NC.shape
    if len(np.unique(label_N)) < 2 or classes > MOST_CLASSES:
        return np.ones(classes)
    generator = np.random.default_rng(42)
    found, gain = [], 0.0
    for _ in range(DRAWINGS):
        drawn = generator.integers(rows, size=min(rows, MOST_ROWS))
        best_C = _best(label_N[drawn], logs_NC[drawn])
        left = np.setdiff1d(np.arange(rows), drawn)[:MOST_ROWS]
        gain += _f1(label_N[left], logs_NC[left] + best_C) - _f1(label_N[left], logs_NC[left])
        found.append(best_C)
    mean_C = np.mean(found, axis=0) if gain > 0 else np.zeros(classes)
    weights: Doubles = np.exp(mean_C - mean_C.mean())
    return weights


def _f1(label_N: Integers, logs_NC: Doubles) -> float:
    """Macro-F1 of the largest; 0 of no rows."""
    classes = logs_NC.shape[1]
    told_N = logs_NC.argmax(1)
    hits_C = np.bincount(label_N[told_N == label_N], minlength=classes)
    either_C = np.bincount(told_N, minlength=classes) + np.bincount(label_N, minlength=classes)
    return float((2 * hits_C / np.maximum(either_C, 1)).sum() / max(1, (either_C > 0).sum()))


def _best(label_N: Integers, logs_NC: Doubles) -> Doubles:
    """Logarithms of the weights (C,)."""
    classes, best_C = logs_NC.shape[1], np.zeros(logs_NC.shape[1])
    for column in [1] if classes == 2 else list(range(classes)) * ROUNDS:
        worth = _macro_f1(label_N, logs_NC + best_C, column, LOGS - best_C[column])
        best_C[column] = LOGS[np.lexsort((np.abs(LOGS), -worth))[0]]
    return best_C


def _macro_f1(label_N: Integers, logs_NC: Doubles, column: int, more: Doubles) -> Doubles:
    """Macro-F1 (V,) where each of the rising values `more` (V,) is added to the logarithms of one class: a row goes
    over to that class at some value and stays there, so that counts of rows by class and value tell all.
    """
    classes, values = logs_NC.shape[1], len(more)
    others_NC = logs_NC.copy()
    others_NC[:, column] = -np.inf
    other_N = others_NC.argmax(1)
    goes_N = np.searchsorted(more, others_NC.max(1) - logs_NC[:, column])  # the first value at which it has gone

    def left(rows: npt.NDArray[np.bool_] | slice) -> Integers:
        """(C, V): rows that each other class still has."""
        counts = np.bincount(other_N[rows] * (values + 1) + goes_N[rows], minlength=classes * (values + 1))
        kept = counts.reshape(classes, -1)[:, ::-1].cumsum(1)[:, ::-1]
        return kept[:, 1:]

    told_CV, hits_CV = left(slice(None)), left(label_N == other_N)
    own_V = np.bincount(goes_N, minlength=values + 1).cumsum()[:values]
    told_CV[column] = own_V
    hits_CV[column] = np.bincount(goes_N[label_N == column], minlength=values + 1).cumsum()[:values]
    either_CV = told_CV + np.bincount(label_N, minlength=classes)[:, None]
    of_classes: Doubles = 2 * hits_CV / np.maximum(either_CV, 1)
    mean: Doubles = of_classes.sum(0) / (either_CV > 0).sum(0)
    return mean
