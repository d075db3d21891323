"""Which test rows form one query of a ranking."""

import numpy as np

from tandemrec.evaluate.problem import Array


def query_ids(split: str, user: Array) -> Array:
    """Ids (N,) of the queries that rows belong to.

    Where time orders the rows, each is a query of its own: what comes next for this user as of this moment. With a
    given split there may be no time, and the rows of a user are the relevant items of one query.

    Args:
        split: `examples.split` of the settings.
        user: (N,) of the rows.
    """
    return user if split == "given" else np.arange(len(user))
