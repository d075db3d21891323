"""Who reviews what, when and with how many stars: buyers first, then people who only looked closer.

Shapes: R reviews, P pairs of user and item.
"""

from dataclasses import dataclass

import numpy as np

from tandemrec.sample.behaviour import CLICK, DAY, PURCHASE, RATING, YEAR, Events, pleasure, stars_of
from tandemrec.sample.catalogue import Catalogue, Ints
from tandemrec.sample.tastes import Tastes, affinity

SAYS_SOMETHING_ELSE = 0.04  # share of reviews whose words belong to another number of stars


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """One row a review, in the order of time; a user reviews an item once."""

    user: Ints  # (R,)
    item: Ints  # (R,)
    time: Ints  # (R,) seconds since the start of the year
    stars: Ints  # (R,) 1 to 5
    words: Ints  # (R,) the stars that the text speaks of; mostly the same

    def __len__(self) -> int:
        return len(self.user)


def make_reviews(
    rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, events: Events, reviews: int
) -> Reviews:
    """`reviews` reviews, or fewer where there are not as many pairs of a user and an item that they touched.

    Who rated an item writes at that moment, with those stars; others write days after they bought or clicked it.
    """
    bought, clicked, rated = (_first_of_pair(events, type_, catalogue) for type_ in (PURCHASE, CLICK, RATING))
    only_clicked = clicked.take(~np.isin(_pair(clicked, catalogue), _pair(bought, catalogue)))
    user, item, after = (
        np.concatenate([getattr(bought, name), getattr(only_clicked, name)]) for name in ("user", "item", "time")
    )
    days = np.clip(rng.lognormal(1.9, 0.7, len(user)), 1, 40)
    time = after + (days * DAY).astype(np.int64)
    stars = stars_of(pleasure(rng, tastes, user, affinity(tastes, catalogue, user, item), catalogue.quality[item]))
    has_rating = np.flatnonzero(np.isin(user * len(catalogue) + item, _pair(rated, catalogue)))
    at = np.searchsorted(_pair(rated, catalogue), (user * len(catalogue) + item)[has_rating])
    time[has_rating], stars[has_rating] = rated.time[at], rated.stars[at]

    buyer = np.arange(len(user)) < len(bought)
    order = np.lexsort((rng.random(len(user)), ~buyer))
    chosen = order[time[order] < YEAR][:reviews]
    chosen = chosen[np.lexsort((item[chosen], user[chosen], time[chosen]))]
    strays = rng.random(len(chosen)) < SAYS_SOMETHING_ELSE
    words = np.where(strays, 1 + (stars[chosen] - 1 + rng.integers(1, 5, len(chosen))) % 5, stars[chosen])
    return Reviews(user=user[chosen], item=item[chosen], time=time[chosen], stars=stars[chosen], words=words)


def _pair(events: Events, catalogue: Catalogue) -> Ints:
    return events.user * len(catalogue) + events.item


def _first_of_pair(events: Events, type_: int, catalogue: Catalogue) -> Events:
    """The earliest event of the type for each pair, in the order of pairs."""
    of_type = events.take(events.type == type_)
    return of_type.take(np.unique(_pair(of_type, catalogue), return_index=True)[1])
