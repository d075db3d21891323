"""What a model is asked and what it answers; the trained model and every baseline alike.

Shapes: N rows of a split, S seen items over all rows, I items, C classes of a multiclass task.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tandemrec.config import Task

Array = npt.NDArray[Any]


class Rows(Protocol):
    """The columns of a split that an evaluation reads. `learn.feeds.Examples` is one."""

    @property
    def user(self) -> Array:
        """(N,) users_vocabulary."""

    @property
    def item(self) -> Array:
        """(N,) items_vocabulary."""

    @property
    def review(self) -> Array:
        """(N,) texts_vocabulary: the review that text tasks read; 0 none."""

    @property
    def labels(self) -> Mapping[str, Array]:
        """Label column -> (N,), NaN where the row says nothing."""

    @property
    def query(self) -> Array:
        """(N,) numbers, the same of rows whose items are the relevant ones of one ranked list."""

    @property
    def seen(self) -> tuple[Array, Array]:
        """Items (S,) and offsets (N + 1,): row n has seen items[offsets[n] : offsets[n + 1]]."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Learn from `learned`, answer for every row of `test`.

    A baseline with settings chooses them by learning from `train` and asking about `valid`. `learned` is `train` or,
    where a chosen model is fitted again, all that lies before the test: `refit`. `interactions` (I + 1,) counts each
    item's positives in it; the items with one or more, less what the row's user has seen, are what a baseline ranks
    (the model may rank new ones too, which finds their rows and is harder on all others). `texts` tells what reviews
    (N,) say, empty where nothing is known.
    """

    tasks: Sequence[Task]
    train: Rows
    test: Rows
    interactions: Array
    valid: Rows | None = None
    refit: Rows | None = None
    texts: Callable[[Array], Sequence[str]] | None = None

    @property
    def learned(self) -> Rows:
        """The rows that answers are learned from."""
        return self.train if self.refit is None else self.refit


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """A model's answers for the N test rows, by task name; a task it does not attempt is absent.

    `scores`: probabilities (N,) or (N, C), or values (N,); read only where the row has the task's label.
    `ranks`: of next-item tasks, the place (N,) of the row's target among the candidates, from 1; 0 where the target
    is no candidate. A candidate that scores as high as the target stands before it.
    `weights`: of classes (C,), chosen in validation; the class is told whose weighted probability is the largest.
    """

    scores: Mapping[str, Array] = field(default_factory=dict)
    ranks: Mapping[str, Array] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)


def labelled(rows: Rows, task: Task) -> npt.NDArray[np.intp]:
    """The rows that say something about a task."""
    return np.flatnonzero(~np.isnan(rows.labels[task.column]))
