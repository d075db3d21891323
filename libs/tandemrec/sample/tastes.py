"""The users as numbers: how active they are, which categories and styles they like, how kindly they rate.

Shapes: U users, C categories, K styles.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tandemrec.sample.catalogue import CATEGORY_SHARES, Catalogue, Floats, Ints
from tandemrec.sample.wording.goods import STYLES

CATEGORY_FOCUS = 3.0  # smaller: each user keeps to fewer categories
STYLE_FOCUS = 0.2
WRITES_CHINESE = 0.25


@dataclass(frozen=True, kw_only=True)
class Tastes:
    activity: Floats  # (U,) sums to 1, long-tailed
    categories: Floats  # (U, C) rows sum to 1
    styles: Floats  # (U, K) rows sum to 1
    kindness: Floats  # (U,) standard normal
    chinese: NDArray[np.bool_]  # (U,)

    def __len__(self) -> int:
        return len(self.activity)


def make_tastes(rng: np.random.Generator, users: int) -> Tastes:
    activity = rng.lognormal(0, 0.9, users)
    return Tastes(
        activity=activity / activity.sum(),
        categories=rng.dirichlet(CATEGORY_SHARES * CATEGORY_FOCUS, users),
        styles=rng.dirichlet(np.full(len(STYLES), STYLE_FOCUS), users),
        kindness=rng.standard_normal(users),
        chinese=rng.random(users) < WRITES_CHINESE,
    )


def affinity(tastes: Tastes, catalogue: Catalogue, user: Ints, item: Ints) -> Floats:
    """How well items suit users in style: u . v, shifted and scaled to a mean near 0 over random pairs.

    `user` and `item` broadcast against each other; the result has their common shape.
    """
    likeness: Floats = np.einsum("...k,...k->...", tastes.styles[user], catalogue.factor[item])
    return 4.0 * (likeness - 1.0 / len(STYLES))
