"""What the model answers -> rows of predictions and recommendations, identifiers in place of indices.

Shapes: B users or pairs, K recommended items, U users, I items.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.lake import Lake

Array = npt.NDArray[Any]


def identifiers(lake: Lake, vocabulary: str, version: int | None = None) -> pa.Array:
    """Identifiers of a vocabulary by index, null for 0: (U + 1,) or (I + 1,) strings.

    Args:
        lake: where the tables are.
        vocabulary: users or items.
        version: of the table; default: the newest.
    """
    one = vocabulary.removesuffix("s")
    rows = lake.read(f"{vocabulary}_vocabulary", version=version).sort_by(f"{one}_index")
    index, known = rows[f"{one}_index"].to_numpy(), rows[f"{one}_id"].combine_chunks()
    place = np.zeros(int(index.max(initial=0)) + 1, np.int64)
    place[index] = np.arange(1, len(index) + 1)
    return pa.concat_arrays([pa.nulls(1, known.type), known]).take(pa.array(place))


def recommendation_rows(
    user_B: Array, item_BK: Array, score_BK: Array, because_BK: Array, users: pa.Array, items: pa.Array
) -> pa.Table:
    """user_id, rank, item_id, score and reason, for each place that holds an item.

    Args:
        user_B: indices.
        item_BK: recommended items, best first, 0 where there is none.
        score_BK: their scores.
        because_BK: the user's own item that each is like, 0 for a user without history.
        users: identifiers by index.
        items: identifiers by index.
    """
    row, place = np.nonzero(item_BK)
    because = items.take(pa.array(because_BK[row, place]))
    return pa.table(
        {
            "user_id": users.take(pa.array(user_B[row])),
            "rank": pa.array((place + 1).astype(np.int32)),
            "item_id": items.take(pa.array(item_BK[row, place])),
            "score": pa.array(score_BK[row, place].astype(np.float64)),
            "reason": pc.fill_null(pc.binary_join_element_wise("because", because, ":"), "popular"),
        }
    )


def prediction_rows(
    user_B: Array, item_B: Array, scores: Mapping[str, Array], users: pa.Array, items: pa.Array
) -> pa.Table:
    """user_id, item_id and scores, a map from the task to its score (B,), tasks in the order given."""
    rows, tasks = len(user_B), list(scores)
    values = np.column_stack([scores[task] for task in tasks]).astype(np.float64)
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * len(tasks))
    names = pa.array(tasks, pa.string()).take(pa.array(np.tile(np.arange(len(tasks)), rows)))
    return pa.table(
        {
            "user_id": users.take(pa.array(user_B)),
            "item_id": items.take(pa.array(item_B)),
            "scores": pa.MapArray.from_arrays(offsets, names, pa.array(values.ravel())),
        }
    )


def latest_of_each_pair(user: Array, item: Array, time: Array, rows: Array) -> Array:
    """Of the rows, the latest of each pair of user and item, in ascending order; the last of equal times.

    Args:
        user: (N,) indices.
        item: (N,) indices.
        time: (N,) in any order-preserving unit.
        rows: the rows among the N to choose from.
    """
    order = rows[np.lexsort((rows, time[rows], item[rows], user[rows]))]
    last = np.ones(len(order), bool)
    last[:-1] = (user[order][1:] != user[order][:-1]) | (item[order][1:] != item[order][:-1])
    return np.sort(order[last])
