"""What tasks gain or lose by being learned together: lift over each task alone, with its interval.

Shapes: S seeds, N test rows (or queries) of a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tandemrec.config import Task
from tandemrec.evaluate.compare import LEAST, people_of
from tandemrec.evaluate.experience import SHOWN
from tandemrec.evaluate.problem import Array
from tandemrec.metrics import direction, standard_error

DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class Lift:
    """A task learned with others against the same task alone, in its metric: above 0 is better, whichever way the
    metric goes. The 95% interval speaks of other test rows and, of more than one, of other seeds; None where the rows
    are of too few people. `part` names the rows, of `rows` in number: empty for all of the test split.
    """

    task: str
    together: tuple[str, ...]
    metric: str
    alone: float
    joint: float
    lift: float
    low: float | None
    high: float | None
    part: str = ""
    rows: int = 0

    @property
    def verdict(self) -> str:
        if self.low is None or self.high is None:
            return "too few rows to tell"
        if self.low > 0:
            return "helps"
        return "hurts" if self.high < 0 else "no difference shown"

    @property
    def interval(self) -> str:
        """As it is read; empty where there is none."""
        return "" if self.low is None or self.high is None else f"{self.low:+.4f} to {self.high:+.4f}"


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
    label_N: Array | None = None,
    part: str = "",
) -> Lift:
    """Compare row by row, each seed with the same seed.

    The interval is that of the mean difference plus t times its standard error over rows, those of one owner going
    together, plus t times that over seeds, both drawn, with one degree of freedom less than there are people and seeds:
    rows and seeds are independent sources of chance.

    Args:
        label_N: of yes or no, whose rarer answer decides how much an AUC rests on.
    """
    gains_SN = direction(shown_metric(task)) * (joint_SN - alone_SN)
    seeds, rows = gains_SN.shape
    value = float(gains_SN.mean())
    generator = np.random.default_rng(seed)
    people = people_of(np.arange(rows) if owner_N is None else owner_N, label_N)
    low = high = None
    if people >= LEAST:
        draws = value + generator.standard_t(people - 1, DRAWS) * standard_error(gains_SN.mean(0), owner_N)
        if seeds > 1:
            draws += generator.standard_t(seeds - 1, DRAWS) * gains_SN.mean(1).std(ddof=1) / np.sqrt(seeds)
        low, high = (float(end) for end in np.quantile(draws, [0.025, 0.975]))
    return Lift(
        task=task.name,
        together=tuple(together),
        metric=shown_metric(task),
        alone=float(alone_SN.mean()),
        joint=float(joint_SN.mean()),
        lift=value,
        low=low,
        high=high,
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
