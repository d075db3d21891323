"""What users do in a year: sessions about one category each, and the funnel from a view to a rating.

Shapes: S sessions, E events. Times are whole seconds since the start of the year.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tandemrec.sample.catalogue import CATEGORY_SHARES, Catalogue, Floats, Ints
from tandemrec.sample.tastes import Tastes, affinity

DAY = 86_400
YEAR = 365 * DAY
VIEW, CLICK, FAVOURITE, CART, PURCHASE, RATING = range(6)

EVENTS_PER_SESSION = 5.0  # fewer than come out, so that there are sessions to spare
LONGEST_SESSION = 24
SESSIONS_AT_ONCE = 50_000  # bounds the memory
CANDIDATES = 24  # items that a user has in view before looking at one
GOES_ON = 0.35  # share of sessions that return to the category of the user's last one
STAR_SHARES = (0.13, 0.10, 0.12, 0.24, 0.41)  # 1 to 5, of what was bought


@dataclass(frozen=True, kw_only=True)
class Events:
    """One row an event, unique by user, item, type and time, in the order of time."""

    user: Ints  # (E,)
    item: Ints  # (E,)
    type: Ints  # (E,) VIEW to RATING
    time: Ints  # (E,)
    stars: Ints  # (E,) 1 to 5 of a rating, else 0
    session: Ints  # (E,)

    def __len__(self) -> int:
        return len(self.user)

    def take(self, rows: NDArray[np.bool_] | Ints) -> "Events":
        return Events(**{name: column[rows] for name, column in vars(self).items()})


def make_events(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, events: int) -> Events:
    """About `events` events, never more: whole sessions until the next one would not fit."""
    sessions = max(len(tastes), round(events / EVENTS_PER_SESSION))
    everything = _happened(rng, tastes, catalogue, sessions)
    while len(everything) < events:  # few users or items: short sessions
        sessions *= 2
        everything = _happened(rng, tastes, catalogue, sessions)
    fits = np.cumsum(np.bincount(everything.session, minlength=sessions)) <= events
    kept = everything.take(fits[everything.session])
    kept = kept.take(np.lexsort((kept.type, kept.item, kept.user, kept.time)))
    keys = np.stack([kept.time, kept.user, kept.item, kept.type])
    return kept.take(np.concatenate([[True], (np.diff(keys) != 0).any(axis=0)]))


def _happened(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, sessions: int) -> Events:
    user, start, category = _sessions(rng, tastes, sessions)
    blocks = np.array_split(np.arange(sessions), -(-sessions // SESSIONS_AT_ONCE))
    views = [_views(rng, tastes, catalogue, b, user[b], start[b], category[b]) for b in blocks]
    return _funnel(rng, tastes, catalogue, concatenated(views))


def _sessions(rng: np.random.Generator, tastes: Tastes, sessions: int) -> tuple[Ints, Ints, Ints]:
    """User, start and category of each session, (S,) each, in random order but for one session a user at the front."""
    users = len(tastes)
    user = np.concatenate([rng.permutation(users), rng.choice(users, sessions - users, p=tastes.activity)])
    days = np.arange(YEAR // DAY)
    day_weight = (1.0 + 0.25 * (days % 7 >= 3)) * (1.0 + 0.5 * (days > 320) + 0.1 * np.sin(days / 58.0))
    hour_weight = 1.2 + np.sin((np.arange(24) - 13) / 24 * 2 * np.pi) + 0.6 * (np.arange(24) > 18)
    day = rng.choice(days, sessions, p=day_weight / day_weight.sum())
    hour = rng.choice(24, sessions, p=hour_weight / hour_weight.sum())
    start = day * DAY + hour * 3600 + rng.integers(0, 3600, sessions)
    category = _draw_rows(rng, tastes.categories[user])
    order = np.lexsort((start, user))
    fresh = (rng.random(sessions) >= GOES_ON) | np.concatenate([[True], np.diff(user[order]) != 0])
    category[order] = category[order][np.maximum.accumulate(np.where(fresh, np.arange(sessions), 0))]
    return user, start, category


def _views(
    rng: np.random.Generator,
    tastes: Tastes,
    catalogue: Catalogue,
    session: Ints,
    user: Ints,
    start: Ints,
    category: Ints,
) -> Events:
    """What is looked at in each session: popular items come into view, taste and likeness to the last one decide."""
    by_category = np.lexsort((np.arange(len(catalogue)), catalogue.category))
    shelf_of = catalogue.category[by_category]
    popularity = catalogue.popularity[by_category]
    totals = np.bincount(shelf_of, weights=popularity, minlength=len(CATEGORY_SHARES))
    # Position within the category as a share of its popularity, plus the category: one search draws for all sessions.
    ladder = np.cumsum(popularity / totals[shelf_of])
    ends = np.cumsum(totals > 0).astype(float)
    length = np.minimum(rng.geometric(0.2, len(user)) + 1, LONGEST_SESSION)
    time, last = start.copy(), np.full(len(user), -1)
    columns: list[tuple[Ints, Ints, Ints]] = []
    for step in range(LONGEST_SESSION):
        open_ = np.flatnonzero(length > step)
        rungs = ends[category[open_], None] - rng.random((len(open_), CANDIDATES))
        found = by_category[np.minimum(np.searchsorted(ladder, rungs), len(catalogue) - 1)]
        wish = 1.6 * affinity(tastes, catalogue, user[open_, None], found) + 0.3 * catalogue.quality[found]
        if step:
            before = last[open_, None]
            likeness = np.einsum("...k,...k->...", catalogue.factor[found], catalogue.factor[before])
            wish += likeness + 0.8 * (catalogue.brand[found] == catalogue.brand[before])
        choice = np.argmax(wish + rng.gumbel(size=wish.shape), axis=1)
        last[open_] = found[np.arange(len(open_)), choice]
        time[open_] += rng.integers(15, 150, len(open_))
        columns.append((open_, last[open_], time[open_]))
    row, item, when = (np.concatenate(column) for column in zip(*columns, strict=True))
    _, first = np.unique(row * len(catalogue) + item, return_index=True)
    first = first[(catalogue.launched[item[first]] <= when[first]) & (when[first] < YEAR)]
    return _events(user[row[first]], item[first], VIEW, when[first], session[row[first]])


def _funnel(rng: np.random.Generator, tastes: Tastes, catalogue: Catalogue, views: Events) -> Events:
    """Views and all that follows from them; nothing after the year's end, and nobody buys the same item twice."""
    liking = affinity(tastes, catalogue, views.user, views.item)
    quality = catalogue.quality[views.item]

    def go_on(before: Events, rows: Ints, type_: int, chance: Floats, delay: Ints) -> tuple[Events, Ints]:
        goes = (rng.random(len(rows)) < chance) & (before.time + delay < YEAR)
        after = before.take(goes)
        return _events(after.user, after.item, type_, after.time + delay[goes], after.session), rows[goes]

    def logistic(rows: Ints, base: float, of_liking: float, of_quality: float) -> Floats:
        return 1.0 / (1.0 + np.exp(-(base + of_liking * liking[rows] + of_quality * quality[rows])))

    everything = np.arange(len(views))
    clicks, clicked = go_on(
        views, everything, CLICK, logistic(everything, -0.9, 0.8, 0.4), rng.integers(2, 180, len(views))
    )
    favourites, _ = go_on(
        clicks, clicked, FAVOURITE, logistic(clicked, -1.9, 0.5, 0.3), rng.integers(5, 300, len(clicks))
    )
    carts, carted = go_on(
        clicks, clicked, CART, logistic(clicked, -0.1, 0.4, 0.5), rng.integers(300, 1500, len(clicks))
    )
    wait = np.clip(rng.lognormal(7.0, 2.0, len(carts)), 60, 2 * DAY - 3600).astype(np.int64)
    purchases, bought = go_on(carts, carted, PURCHASE, logistic(carted, 1.0, 0.4, 0.4), wait)
    # The purchase of the first session stays: sessions are cut from the end of their list, not of the year.
    _, first = np.unique(purchases.user * len(catalogue) + purchases.item, return_index=True)
    purchases, bought = purchases.take(first), bought[first]
    days = np.clip(rng.lognormal(1.9, 0.7, len(purchases)), 1, 40)
    ratings, rated = go_on(purchases, bought, RATING, np.full(len(purchases), 0.65), (days * DAY).astype(np.int64))
    stars = stars_of(pleasure(rng, tastes, ratings.user, liking[rated], quality[rated]))
    ratings = _events(ratings.user, ratings.item, RATING, ratings.time, ratings.session, stars)
    return concatenated([views, clicks, favourites, carts, purchases, ratings])


def pleasure(rng: np.random.Generator, tastes: Tastes, user: Ints, liking: Floats, quality: Floats) -> Floats:
    """How much a user enjoys an item: taste, quality, kindness of the user and chance."""
    return 0.9 * liking + 0.9 * quality + 0.4 * tastes.kindness[user] + rng.normal(0, 0.6, len(user))


def stars_of(pleasure: Floats) -> Ints:
    """Stars 1 to 5 by rank, so that each has its share whatever the tastes."""
    rank = np.argsort(np.argsort(pleasure, kind="stable"), kind="stable")
    above: Ints = np.searchsorted(np.cumsum(STAR_SHARES)[:-1], (rank + 0.5) / len(rank))
    return 1 + above


def _events(user: Ints, item: Ints, type_: int, time: Ints, session: Ints, stars: Ints | None = None) -> Events:
    return Events(
        user=user,
        item=item,
        type=np.full(len(user), type_),
        time=time,
        stars=np.zeros(len(user), dtype=np.int64) if stars is None else stars,
        session=session,
    )


def concatenated(parts: Sequence[Events]) -> Events:
    return Events(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})


def _draw_rows(rng: np.random.Generator, weights: Floats) -> Ints:
    """One column for each row of `weights` (S, C), by its weights."""
    ladder = np.cumsum(weights, axis=1)
    columns: Ints = np.argmax(ladder >= rng.random((len(weights), 1)) * ladder[:, -1:], axis=1)
    return columns
