"""What tasks gain or lose by being learned together: lift over each task alone, with its interval.

Shapes: S seeds, N test rows (or queries) of a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tandemrec.config import Task
from tandemrec.evaluate.experience import CUTOFF, SHOWN
from tandemrec.evaluate.problem import Array
from tandemrec.evaluate.protocol import query_ids
from tandemrec.metrics import ranking_metrics

DRAWS = 20_000
LOWER_IS_BETTER = frozenset({"rmse"})


@dataclass(frozen=True, kw_only=True)
class Lift:
    """A task learned with others against the same task alone, in its metric: above 0 is better, whichever way the
    metric goes. The 95% interval speaks of other test rows and of other seeds. `part` names the rows, of `rows` in
    number: empty for all of the test split.
    """

    task: str
    together: tuple[str, ...]
    metric: str
    alone: float
    joint: float
    lift: float
    low: float
    high: float
    part: str = ""
    rows: int = 0

    @property
    def verdict(self) -> str:
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no difference shown"


def shown_metric(task: Task) -> str:
    """The metric in which a task is compared: NDCG@10, AUC, accuracy or RMSE."""
    return SHOWN[task.kind]


def direction(task: Task) -> float:
    """1 where a higher value of the metric is better, -1 where a lower one is."""
    return -1.0 if shown_metric(task) in LOWER_IS_BETTER else 1.0


def row_values(task: Task, answers: Array, labels: Array, user: Array, *, split: str) -> Array:
    """(N,) what each labelled test row adds to the task's metric: the mean of the values is the metric itself, and
    their spread its standard error.

    NDCG and accuracy are means as they stand. RMSE is its value plus (e^2 - MSE) / (2 RMSE). AUC is its value plus each
    row's influence: (V - AUC) / share of the row's class, V the share of the other class that the row stands on the
    right side of, so that the variance is DeLong's (DeLong, DeLong and Clarke-Pearson 1988).

    Args:
        task: whose rows.
        answers: ranks (N,), probabilities (N,) or (N, C), values (N,).
        labels: (N,).
        user: (N,).
        split: `examples.split`, which decides what a query is.
    """
    if task.kind == "next_item":
        return ranking_metrics(answers, query_ids(split, user), [CUTOFF])[f"ndcg@{CUTOFF}"]
    if task.kind == "multiclass":
        return np.asarray(answers.argmax(1) == labels, np.float64)
    if task.kind == "regression":
        squares = (answers.astype(np.float64) - labels) ** 2
        rmse = float(np.sqrt(squares.mean()))
        return rmse + (squares - rmse**2) / (2 * rmse) if rmse > 0 else squares
    positive = labels == 1
    if positive.all() or not positive.any():
        return np.full(len(labels), np.nan)  # one class has no order
    right = np.empty(len(labels))
    right[positive] = _share_below(answers[~positive], answers[positive])
    right[~positive] = 1 - _share_below(answers[positive], answers[~positive])
    auc = right[positive].mean()
    values: Array = auc + (right - auc) / np.where(positive, positive.mean(), 1 - positive.mean())
    return values


def lift(task: Task, together: Sequence[str], alone_SN: Array, joint_SN: Array, *, seed: int, part: str = "") -> Lift:
    """Compare row by row, each seed with the same seed.

    The interval is that of the mean difference plus z times its standard error over rows plus t (S - 1 degrees of
    freedom) times that over seeds, z and t drawn: rows and seeds are independent sources of chance.
    """
    gains_SN = direction(task) * (joint_SN - alone_SN)
    seeds, rows = gains_SN.shape
    value = float(gains_SN.mean())
    generator = np.random.default_rng(seed)
    draws = value + generator.standard_normal(DRAWS) * gains_SN.mean(0).std(ddof=min(1, rows - 1)) / np.sqrt(rows)
    if seeds > 1:
        draws += generator.standard_t(seeds - 1, DRAWS) * gains_SN.mean(1).std(ddof=1) / np.sqrt(seeds)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Lift(
        task=task.name,
        together=tuple(together),
        metric=shown_metric(task),
        alone=float(alone_SN.mean()),
        joint=float(joint_SN.mean()),
        lift=value,
        low=float(low),
        high=float(high),
        part=part,
        rows=rows,
    )


def undominated(points: Sequence[tuple[float, float]]) -> list[int]:
    """The Pareto front: numbers of the points (higher is better in both) that no other beats in one and matches in the
    other.
    """
    return [
        number
        for number, (x, y) in enumerate(points)
        if not any(a >= x and b >= y and (a, b) != (x, y) for a, b in points)
    ]


def _share_below(others: Array, scores: Array) -> Array:
    """For each score the share of the others that lie below it, ties by half."""
    others = np.sort(others)
    below = np.searchsorted(others, scores, side="left") + np.searchsorted(others, scores, side="right")
    share: Array = below / (2 * len(others))
    return share
