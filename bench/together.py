"""From the probabilities of several members to one answer: their mean."""

from collections.abc import Sequence

import numpy as np

Array = np.ndarray
Answers = dict[str, tuple[Array, Array]]  # task -> probabilities of the classes (n, C) of validation and test rows
NOTHING = 1e-9


def together(answers: Sequence[Answers]) -> Answers:
    """The mean of log-probabilities, which is a geometric mean of probabilities."""
    mean: Answers = {}
    for task in answers[0]:
        each = [[np.log(np.maximum(one[task][at], NOTHING)) for one in answers] for at in (0, 1)]
        shares = [np.exp(np.mean(part, axis=0)) for part in each]
        mean[task] = (shares[0] / shares[0].sum(1, keepdims=True), shares[1] / shares[1].sum(1, keepdims=True))
    return mean
