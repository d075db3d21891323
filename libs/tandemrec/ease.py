"""The linear autoencoder over items (EASE): what behaviour alone says, in closed form, where the catalogue allows it.

Shapes: U users, I items, N rows.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import get_lapack_funcs
from scipy.sparse import csr_matrix

Array = npt.NDArray[Any]

LARGEST = 16_000  # items: the matrix of weights is this squared (1 GB), and what it takes to find it this cubed
PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)


def item_weights(gram_II: Array, penalty: float) -> Array:
    """The matrix B (I, I) of the smallest ||X - X B||^2 + penalty ||B||^2 with zeros on its diagonal: with P the
    inverse of X'X + penalty, B = 1 - P / diag(P) (Steck 2019, equation 8).

    By Cholesky's way, which takes a quarter of the time that an inverse for any matrix does.
    """
    factor, inverse = get_lapack_funcs(("potrf", "potri"), (gram_II,))
    regular_II = gram_II.T.copy(order="F")
    regular_II[np.diag_indices_from(regular_II)] += penalty
    lower_II, _ = factor(regular_II, lower=1, overwrite_a=1)
    weights, _ = inverse(lower_II, lower=1, overwrite_c=1)  # its lower half; the other one is zeros
    diagonal = np.diag(weights).copy()
    weights += weights.T.copy()
    weights /= -diagonal
    np.fill_diagonal(weights, 0)
    found: Array = weights
    return found


def co_occurrence(user_N: Array, chosen_N: Array, items: int) -> Array:
    """X'X (I, I), with X (U, I) of what each user has chosen in these rows: what a row has seen may be of another
    split.

    Args:
        user_N: of the rows.
        chosen_N: items, NaN where a row has none.
        items: I.
    """
    rows = np.flatnonzero(~np.isnan(chosen_N))
    users = user_N[rows].astype(np.int64)
    places = np.unique(users * items + chosen_N[rows].astype(np.int64))
    who, what = np.divmod(places, items)
    matrix = csr_matrix((np.ones(len(places), np.float32), (who, what)), shape=(int(users.max()) + 1, items))
    gram: Array = (matrix.T @ matrix).toarray()
    return gram
