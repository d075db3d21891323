"""What a text encoder's vectors are worth on one's own reviews: linear probes, retrieval, and a rule to choose by.

Shapes: R reviews, D width of a vector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tandemrec.metrics import bootstrap_interval

Array = npt.NDArray[Any]

CUTOFF = 10
RESAMPLES = 500
QUERIES_AT_ONCE = 512


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A linear classifier on frozen vectors. Its accuracy with the 95% interval, beside that of the commonest label."""

    accuracy: float
    low: float
    high: float
    macro_f1: float
    majority: float
    classes: int
    rows: int


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """How near the other reviews of a review's item are among all reviews."""

    recall: float  # at CUTOFF
    mrr: float
    queries: int


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An encoder and what was measured of it; None where the data has no labels for it.

    `texts_per_s` and `peak_mb` are of a process that does nothing else; `failed` are texts without a vector.
    """

    model: str
    identity: str
    family: str
    generates: bool
    dimension: int
    texts_per_s: float
    peak_mb: int
    failed: int
    sentiment: Probe | None
    category: Probe | None
    retrieval: Retrieval | None

    @property
    def score(self) -> float | None:
        """Understanding in one number: the mean of the probes' macro F1 and the reciprocal rank, of those there are."""
        parts = [probe.macro_f1 for probe in (self.sentiment, self.category) if probe is not None]
        parts += [self.retrieval.mrr] if self.retrieval is not None else []
        return sum(parts) / len(parts) if parts else None


@dataclass(frozen=True, kw_only=True)
class Advice:
    """For what, which candidate (None: none of them), and by which figures."""

    use: str
    model: str | None
    because: str


def probe(vectors: Array, labels: Sequence[Any], groups: Sequence[Any], *, folds: int, seed: int) -> Probe | None:
    """Cross-validated accuracy of a logistic regression, every row predicted by a model that saw nothing of its group.

    Args:
        vectors: (R, D).
        labels: (R,), None where a row has none; labels of fewer groups than folds are left out.
        groups: (R,): whose label it is, who wrote the review or what it is about.

    Returns:
        None where fewer than two labels are left, or all rows but those of one label fall into one fold.
    """
    chosen = np.array([place for place, label in enumerate(labels) if label is not None], dtype=np.int64)
    names, label_R = np.unique(np.array([labels[place] for place in chosen]), return_inverse=True)
    group_R = np.unique(np.asarray(groups, dtype=object)[chosen].astype(str), return_inverse=True)[1]
    told = np.unique(np.stack([label_R, group_R]), axis=1)[0]  # each label once for each group that has it
    common = np.bincount(told, minlength=len(names)) >= folds
    kept = common[label_R]
    chosen, y, group_R = chosen[kept], label_R[kept], group_R[kept]
    if common.sum() < 2:
        return None
    apart = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed % 2**32).split(chosen, y, group_R))
    if any(len(np.unique(y[learned])) < 2 for learned, _ in apart):
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    predicted = cross_val_predict(classifier, vectors[chosen], y, cv=apart)
    right = predicted == y
    low, high = bootstrap_interval(right, RESAMPLES, seed, group_R)
    return Probe(
        accuracy=float(right.mean()),
        low=low,
        high=high,
        macro_f1=float(f1_score(y, predicted, average="macro")),
        majority=float(np.bincount(y).max() / len(y)),
        classes=int(common.sum()),
        rows=len(y),
    )


def retrieval(vectors: Array, items: Sequence[Any]) -> Retrieval | None:
    """Each review of an item with others is a query; all other reviews are ranked by cosine.

    Args:
        vectors: (R, D).
        items: (R,).

    Returns:
        Means over queries of the recall at CUTOFF and of the reciprocal rank of the nearest review of the same item;
        None where no item has two reviews.
    """
    _, item_R, counts = np.unique(np.asarray(items, dtype=object).astype(str), return_inverse=True, return_counts=True)
    queries = np.flatnonzero(counts[item_R] > 1)
    if len(queries) == 0:
        return None
    unit_RD = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    recalls, reciprocals = [], []
    for start in range(0, len(queries), QUERIES_AT_ONCE):
        rows = queries[start : start + QUERIES_AT_ONCE]
        cosines = unit_RD[rows] @ unit_RD.T
        cosines[np.arange(len(rows)), rows] = -np.inf  # a review is not its own neighbour: it comes last
        nearest = np.argsort(-cosines, axis=1, kind="stable")[:, :-1]
        hits = item_R[nearest] == item_R[rows][:, None]
        recalls.append(hits[:, :CUTOFF].sum(axis=1) / (counts[item_R[rows]] - 1))
        reciprocals.append(1 / (hits.argmax(axis=1) + 1))
    return Retrieval(
        recall=float(np.concatenate(recalls).mean()),
        mrr=float(np.concatenate(reciprocals).mean()),
        queries=len(queries),
    )


def advice(candidates: Sequence[Candidate], *, tolerance: float) -> list[Advice]:
    """Which candidate to use for what, by rule.

    Understanding (labels, similarity, what `embed` is for): the fastest of those whose score is within `tolerance` of
    the best. Generation (summaries, paraphrases): the best score of the models that generate. That encoders of the
    kinds of BERT and RoBERTa understand better than decoders is common guidance: the third answer is whether it holds.
    """
    scored = [(one, score) for one in candidates if (score := one.score) is not None]
    if not scored:
        return [Advice(use="understanding", model=None, because="the data has no labels and no item with two reviews")]
    best = max(score for _, score in scored)
    close = [(one, score) for one, score in scored if score >= best - tolerance]
    chosen, its = max(close, key=lambda pair: pair[0].texts_per_s)
    understanding = Advice(
        use="understanding",
        model=chosen.model,
        because=f"score {its:.3f}, the best is {best:.3f}; the fastest of {len(close)} within {tolerance:g} of it",
    )
    by_kind = {kind: [pair for pair in scored if pair[0].generates is kind] for kind in (True, False)}
    if not by_kind[True]:
        return [understanding, Advice(use="generation", model=None, because="no candidate generates text")]
    writer, its = max(by_kind[True], key=lambda pair: pair[1])
    found = [
        understanding,
        Advice(use="generation", model=writer.model, because=f"score {its:.3f} of those that generate"),
    ]
    if by_kind[False]:
        other, score = max(by_kind[False], key=lambda pair: pair[1])
        holds = "holds" if score > its else "does not hold"
        because = (
            f"the best encoder has {score:.3f}, the best decoder {its:.3f}: that encoders understand better {holds}"
        )
        found.append(Advice(use="guidance", model=other.model if score > its else writer.model, because=because))
    return found
