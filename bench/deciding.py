"""From the probabilities of several members to one answer: their mean, and shifts of classes by the validation rows."""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Answers = dict[str, tuple[Array, Array]]  # task -> probabilities of the classes (n, C) of validation and test rows
NOTHING = 1e-9
DRAWINGS = 50


def together(answers: Sequence[Answers]) -> Answers:
    """The mean of log-probabilities, which is a geometric mean of probabilities."""
    mean: Answers = {}
    for task in answers[0]:
        each = [[np.log(np.maximum(one[task][at], NOTHING)) for one in answers] for at in (0, 1)]
        shares = [np.exp(np.mean(part, axis=0)) for part in each]
        mean[task] = (shares[0] / shares[0].sum(1, keepdims=True), shares[1] / shares[1].sum(1, keepdims=True))
    return mean


def shifts(label: Array, logs: Array) -> Array:
    """What to add to the logarithm of each class so that the largest has the best macro-F1; class by class in turn, the
    mean over drawings of the rows: what is best on all of them fits their few rows of rare classes too closely.
    """
    generator = np.random.default_rng(42)
    drawn = [generator.integers(len(label), size=len(label)) for _ in range(DRAWINGS)]
    return np.mean([_best_shifts(label[rows], logs[rows]) for rows in drawn], axis=0)


def _best_shifts(label: Array, logs: Array) -> Array:
    classes = logs.shape[1]
    best, highest = np.zeros(classes), -1.0
    for column in [1] if classes == 2 else list(range(classes)) * 3:
        for value in np.linspace(-4, 4, 81):
            tried = best.copy()
            tried[column] = value
            table = np.bincount(label * classes + (logs + tried).argmax(1), minlength=classes**2).reshape(classes, -1)
            either = np.maximum(table.sum(0) + table.sum(1), 1)
            if (worth := float(np.mean(2 * table.diagonal() / either))) > highest:
                best, highest = tried, worth
    return best
