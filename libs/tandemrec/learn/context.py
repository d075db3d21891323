"""What a training row of next item may know of its user: all other training interactions, not only those before it.

Where users have few interactions, most rows have next to nothing before them. A linear autoencoder (EASE) and BERT4Rec
(Sun et al. 2019, section 3.6) learn each interaction from all others of the user; held-out rows are asked with what
came before them in either case.

Shapes: N rows, B rows of a batch, L entries.
"""

from dataclasses import replace

import numpy as np
import torch

from tandemrec.learn.feeds import Array, Examples
from tandemrec.model.batch import Batch


class Around:
    """The interactions nearest in time to each row of next item, of the same user and the same split, and their reviews
    that were written in it.

    Args:
        examples: of the training split.
        column: the label of next item.
    """

    def __init__(self, examples: Examples, column: str) -> None:
        rows = np.flatnonzero(~np.isnan(examples.labels[column]))
        self.rows = rows[np.lexsort((examples.event_time[rows], examples.user[rows]))]  # by user, then by time
        user = examples.user[self.rows]
        begins = np.flatnonzero(np.r_[True, user[1:] != user[:-1]]) if len(user) else np.zeros(0, np.int64)
        counts = np.diff(np.r_[begins, len(user)])
        self.first, self.end = np.repeat(begins, counts), np.repeat(begins + counts, counts)
        self.place = np.full(len(examples), -1)
        self.place[self.rows] = np.arange(len(self.rows))
        self.examples = examples

    def applied(self, batch: Batch, rows_B: Array) -> Batch:
        """The batch of these rows, with `history` and `user_reviews` from around where a row is one of next item."""
        asked = np.flatnonzero(self.place[rows_B] >= 0)
        if len(asked) == 0:
            return batch
        changed = {}
        for name, column in (("history", self.examples.item), ("user_reviews", self.examples.written_reviews)):
            values = getattr(batch, name).clone()
            near = self.nearest(rows_B[asked], column, values.shape[1])
            values[torch.from_numpy(asked).to(values.device)] = torch.from_numpy(near).to(values)
            changed[name] = values
        return replace(batch, **changed)

    def nearest(self, rows_B: Array, column: Array, length: int) -> Array:
        """(B, L): what `column` (N,) says of the neighbours of each row, zeros left out, the nearest last; of two as
        near the one before. As many steps to either side are looked at as there are entries.
        """
        place_B = self.place[rows_B]
        step_L = np.arange(1, length + 1)
        near_B2L = (place_B[:, None, None] + np.stack([-step_L, step_L], axis=1)).reshape(len(rows_B), 2 * length)
        there = (near_B2L >= self.first[place_B, None]) & (near_B2L < self.end[place_B, None])
        value_B2L = np.where(there, column[self.rows[np.where(there, near_B2L, 0)]], 0)
        first_L = np.argsort(value_B2L == 0, axis=1, kind="stable")[:, :length]
        near: Array = np.take_along_axis(value_B2L, first_L, axis=1)[:, ::-1]
        return near.astype(np.int64)
