"""Who reviews what, when and with how many stars: buyers first, then people who only looked closer.

Shapes: R reviews, P pairs of user and item.
"""

from dataclasses import dataclass

import numpy as np

from tandemrec.sample.behaviour import CLICK, DAY, PURCHASE, RATING, YEAR, Events, concatenated, pleasure, stars_of
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
    touched = concatenated([bought, only_clicked])
    days = np.clip(rng.lognormal(1.9, 0.7, len(touched)), 1, 40)
    time = touched.time + (days * DAY).astype(np.int64)
    has_rating = np.isin(_pair(touched, catalogue), _pair(rated, catalogue))
    its_rating = np.searchsorted(_pair(rated, catalogue), _pair(touched, catalogue)[has_rating])
    time[has_rating] = rated.time[its_rating]
    stars = np.zeros(len(touched), dtype=np.int64)
    stars[has_rating] = rated.stars[its_rating]

    order = np.lexsort((rng.random(len(touched)), np.arange(len(touched)) >= len(bought)))
    chosen = order[time[order] < YEAR][:reviews]
    chosen = chosen[np.lexsort((touched.item[chosen], touched.user[chosen], time[chosen]))]
    user, item, time, stars = touched.user[chosen], touched.item[chosen], time[chosen], stars[chosen]
    new = stars == 0
    liking = affinity(tastes, catalogue, user[new], item[new])
    stars[new] = stars_of(pleasure(rng, tastes, user[new], liking, catalogue.quality[item[new]]))
    strays = rng.random(len(chosen)) < SAYS_SOMETHING_ELSE
    words = np.where(strays, 1 + (stars - 1 + rng.integers(1, 5, len(chosen))) % 5, stars)
    return Reviews(user=user, item=item, time=time, stars=stars, words=words)


def _pair(events: Events, catalogue: Catalogue) -> Ints:
    return events.user * len(catalogue) + events.item


def _first_of_pair(events: Events, type_: int, catalogue: Catalogue) -> Events:
    """The earliest event of the type for each pair, in the order of pairs."""
    of_type = events.take(events.type == type_)
    return of_type.take(np.unique(_pair(of_type, catalogue), return_index=True)[1])
