"""Which texts that were made are fit to be learned from with their source's labels.

Shapes: N texts made, R reviews, D width of a vector.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

Array = npt.NDArray[Any]

FOLDS = 5
SMALLEST_NORM = 1e-12


def cosines(one_ND: Array, other_ND: Array, common_D: Array) -> Array:
    """Cosine of each pair of rows (N,) without what all vectors have in common, as the model reads them: of E5's, which
    all lie near each other, any two have a cosine above .8 with it. 0 where one is the zero vector, which stands for no
    text.
    """
    told_N = one_ND.any(1) & other_ND.any(1)
    one_ND, other_ND = one_ND - common_D, other_ND - common_D
    norms = np.linalg.norm(one_ND, axis=1) * np.linalg.norm(other_ND, axis=1)
    products: Array = (one_ND * other_ND).sum(1) * told_N / np.maximum(norms, SMALLEST_NORM)
    return products


class Probes:
    """Linear probes of frozen vectors: for each task logistic regression with balanced classes, in folds, so that a
    text is judged by one that has not learned from its source.

    Args:
        vectors_RD: of the reviews that texts are made from.
        labels: by task, (R,) classes, NaN where there is none. A task of one class judges nothing.
        seed: of the folds.
    """

    def __init__(self, vectors_RD: Array, labels: Mapping[str, Array], *, seed: int) -> None:
        self.labels = dict(labels)
        self.fold_R = np.random.default_rng(seed).permutation(len(vectors_RD)) % FOLDS
        self.models = {
            (task, fold): model
            for task, label_R in labels.items()
            for fold in range(FOLDS)
            if (model := _fitted(vectors_RD, label_R, self.fold_R != fold)) is not None
        }
        self.of_source = {task: self._answers(task, vectors_RD, np.arange(len(vectors_RD))) for task in labels}

    def agree(self, vectors_ND: Array, source_N: Array) -> npt.NDArray[np.bool_]:
        """Whether every task's probe says of each text the label of its source, or what it says of the source itself:
        where the probe errs about both, the text is no less true than its source.

        Args:
            vectors_ND: of the texts.
            source_N: which of the reviews each is made from.
        """
        good_N = np.ones(len(source_N), bool)
        for task, label_R in self.labels.items():
            said_N, label_N = self._answers(task, vectors_ND, source_N), label_R[source_N]
            unjudged_N = np.isnan(label_N) | np.isnan(said_N)
            good_N &= unjudged_N | (said_N == label_N) | (said_N == self.of_source[task][source_N])
        return good_N

    def _answers(self, task: str, vectors_ND: Array, source_N: Array) -> Array:
        """Classes (N,), NaN where there is no probe."""
        said_N = np.full(len(source_N), np.nan)
        for fold in range(FOLDS):
            chosen = np.flatnonzero(self.fold_R[source_N] == fold)
            model = self.models.get((task, fold))
            if model is not None and len(chosen):
                said_N[chosen] = model.predict(vectors_ND[chosen])
        return said_N


def _fitted(vectors_RD: Array, label_R: Array, learned_R: Array) -> Any:
    known = np.flatnonzero(learned_R & ~np.isnan(label_R))
    if len(np.unique(label_R[known])) < 2:
        return None
    return LogisticRegression(class_weight="balanced", max_iter=1000).fit(vectors_RD[known], label_R[known])
