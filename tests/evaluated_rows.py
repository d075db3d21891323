"""Rows as an evaluation reads them, made by hand."""

from dataclasses import dataclass
from itertools import chain

import numpy as np


@dataclass
class Rows:
    """The columns of a split, as an evaluation reads them."""

    user: np.ndarray
    item: np.ndarray
    labels: dict[str, np.ndarray]
    seen: tuple[np.ndarray, np.ndarray]
    timeless: bool = False

    @property
    def query(self) -> np.ndarray:
        """Each row is one, or each user."""
        return self.user if self.timeless else np.arange(len(self.user))

    @property
    def review(self) -> np.ndarray:
        """Each row's own text."""
        return np.arange(len(self.user))


def rows(users, items, seen=None, **labels):
    lists = seen or [[] for _ in users]
    return Rows(
        user=np.array(users),
        item=np.array(items),
        labels={name: np.array(label, dtype=np.float32) for name, label in labels.items()},
        seen=(np.array(list(chain(*lists)), dtype=np.int32), np.cumsum([0, *map(len, lists)])),
    )


def by_name(figures):
    return {(figure.task, figure.metric): figure for figure in figures}
