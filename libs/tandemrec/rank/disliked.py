"""What users rated low: no reason for another item, near to it as it may be.

Shapes: N rows, P pairs.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tandemrec.learn.feeds import Array, Examples
from tandemrec.rank.rows import latest_of_each_pair


@dataclass(frozen=True, kw_only=True)
class Disliked:
    """Pairs of a user and an item whose last rating is low."""

    keys: Tensor  # (P + 1,) in ascending order; the last one is of no pair

    @classmethod
    def of(cls, parts: Iterable[Examples], low: float) -> "Disliked":
        """Of the ratings in some splits; at most `low` is one of these."""
        columns: list[tuple[Array, ...]] = [(np.zeros(0, np.int64),) * 4]
        for part in parts:
            rows = np.flatnonzero(~np.isnan(part.labels["rating"]))
            columns.append(tuple(each[rows] for each in (part.user, part.item, part.event_time, part.labels["rating"])))
        user_N, item_N, time_N, rating_N = (np.concatenate(column) for column in zip(*columns, strict=True))
        last = latest_of_each_pair(user_N, item_N, time_N, np.arange(len(user_N)))
        is_low = last[rating_N[last] <= low]
        key_P = _key(*(torch.from_numpy(index[is_low].astype(np.int64)) for index in (user_N, item_N))).sort().values
        return cls(keys=torch.cat([key_P, torch.tensor([torch.iinfo(torch.int64).max])]))

    def holds(self, user: Tensor, item: Tensor) -> Tensor:
        """Whether each pair is one of them; the two are broadcast."""
        key = _key(user, item)
        return self.keys[torch.searchsorted(self.keys, key)] == key


def _key(user: Tensor, item: Tensor) -> Tensor:
    """One number a pair, of indices below 2^31."""
    return user * 2**32 + item
