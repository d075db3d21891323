"""What tasks gain or lose by being learned together: lift over each task alone, with its interval.

Shapes: S seeds, N test rows (or queries) of a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tandemrec.config import Task
from tandemrec.evaluate.experience import SHOWN
from tandemrec.evaluate.problem import Array
from tandemrec.metrics import direction, standard_error

DRAWS = 20_000


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


def lift(
    task: Task,
    together: Sequence[str],
    alone_SN: Array,
    joint_SN: Array,
    *,
    seed: int,
    owner_N: Array | None = None,
    part: str = "",
) -> Lift:
    """Compare row by row, each seed with the same seed.

    The interval is that of the mean difference plus z times its standard error over rows, those of one owner going
    together, plus t (S - 1 degrees of freedom) times that over seeds, z and t drawn: rows and seeds are independent
    sources of chance.
    """
    gains_SN = direction(shown_metric(task)) * (joint_SN - alone_SN)
    seeds, rows = gains_SN.shape
    value = float(gains_SN.mean())
    generator = np.random.default_rng(seed)
    draws = value + generator.standard_normal(DRAWS) * standard_error(gains_SN.mean(0), owner_N)
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
