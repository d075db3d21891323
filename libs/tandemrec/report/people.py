"""What users did and what they are recommended, with titles: for the page and for `show recommendations`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tandemrec.lake import Lake
from tandemrec.report.interest import Profile, profiles, terms_of_items
from tandemrec.report.scan import count_by
from tandemrec.report.words import visible

TITLE_LENGTH = 90
REASON_LENGTH = 48  # of a title in a reason


@dataclass(frozen=True, kw_only=True)
class Contact:
    """An item that a user had to do with: what was done, in the order of time, and when last."""

    item_id: str
    title: str
    did: str
    last: datetime


@dataclass(frozen=True, kw_only=True)
class Pick:
    """A recommended item. `reason` is in words."""

    rank: int
    item_id: str
    title: str
    category: str
    score: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Person:
    """`items` counts all items of the history; `contacts` are the last of them, newest first. `profile` is None of one
    who wrote no review.
    """

    user_id: str
    items: int
    contacts: Sequence[Contact]
    picks: Sequence[Pick]
    profile: Profile | None = None


def recommending_run(lake: Lake) -> str | None:
    """The training run whose recommendations are to be shown: the one whose model the settings read or, of those that
    have any, the one trained last.
    """
    if not lake.exists("recommendations"):
        return None
    present: list[str] = count_by(lake, "recommendations", {"run_id": pc.field("run_id")})["run_id"].to_pylist()
    if lake.model is not None:
        return lake.model if lake.model in present else None
    if not present:
        return None
    started: dict[str, datetime] = {}
    if lake.exists("runs"):
        rows = lake.read("runs", ["run_id", "started_at"], where=pc.field("stage") == "train").to_pylist()
        started = {row["run_id"]: row["started_at"] for row in rows}
    return max(present, key=lambda run_id: (run_id in started, started.get(run_id), run_id))


def spread(lake: Lake, number: int) -> list[str]:
    """Users evenly spread over the lengths of the histories, from the shortest to the longest; the same each time."""
    if number == 0 or not lake.exists("user_features"):
        return []
    columns = {"user_index": pc.field("user_index"), "items": pc.list_value_length(pc.field("seen"))}
    users = lake.dataset("user_features").to_table(columns=columns)
    users = users.sort_by([("items", "ascending"), ("user_index", "ascending")])
    if users.num_rows == 0:
        return []
    positions = np.unique(np.linspace(0, users.num_rows - 1, num=number).round().astype(int))
    chosen = users["user_index"].take(positions).to_pylist()
    rows = lake.read("users_vocabulary", where=pc.field("user_index").isin(chosen)).to_pylist()
    names = {row["user_index"]: row["user_id"] for row in rows}
    return [names[index] for index in chosen if index in names]


def people(
    lake: Lake,
    user_ids: Sequence[str],
    run_id: str | None,
    *,
    positives: list[str],
    contacts: int,
    picks: int,
    before: datetime | None = None,
) -> list[Person]:
    """History, interests and recommendations of some users, in their order.

    Args:
        positives: the event types, and `review`, that make a history.
        contacts: items of the history to show.
        picks: recommendations to show.
        before: the end of the history; default: all of it.
    """
    if not user_ids:
        return []
    done = _done(lake, user_ids, positives, before)
    known = profiles(lake, user_ids)
    picked = _picked(lake, user_ids, run_id, picks)
    # An item may be a reason though it stands beyond the contacts shown.
    shown = {item for user in done.values() for item in list(user)[:contacts]}
    shown |= {row["item_id"] for row in picked} | {_because(row["reason"]) for row in picked}
    titles, categories = _described(lake, shown)
    return [
        Person(
            user_id=user_id,
            items=len(done.get(user_id, {})),
            contacts=[
                Contact(item_id=item, title=_title(titles, item), did=", ".join(did), last=last)
                for item, (did, last) in list(done.get(user_id, {}).items())[:contacts]
            ],
            picks=[
                Pick(
                    rank=row["rank"],
                    item_id=row["item_id"],
                    title=_title(titles, row["item_id"]),
                    category=visible(categories.get(row["item_id"], ""), TITLE_LENGTH),
                    score=row["score"],
                    reason=_reason(row, done.get(user_id, {}), titles),
                )
                for row in picked
                if row["user_id"] == user_id
            ],
            profile=known.get(user_id),
        )
        for user_id in user_ids
    ]


Done = dict[str, dict[str, tuple[list[str], datetime]]]


def _done(lake: Lake, user_ids: Sequence[str], positives: list[str], before: datetime | None) -> Done:
    """By user and item, the newest item first: what was done and when last."""
    of_users = pc.field("user_id").isin(list(user_ids))
    rows: list[dict[str, Any]] = []
    if lake.exists("events"):
        columns = ["user_id", "item_id", "event_type", "event_time", "value"]
        rows += lake.read("events", columns, where=of_users & pc.field("event_type").isin(positives)).to_pylist()
    if "review" in positives and lake.exists("reviews"):
        written = lake.read("reviews", ["user_id", "item_id", "rating", "review_time"], where=of_users).to_pylist()
        rows += [
            {**row, "event_type": "review", "event_time": row["review_time"], "value": row["rating"]} for row in written
        ]
    rows = [row for row in rows if before is None or row["event_time"] < before]
    rows.sort(key=lambda row: (row["event_time"], row["item_id"], row["event_type"]))
    done: Done = {}
    for row in rows:
        items = done.setdefault(row["user_id"], {})
        did, _ = items.pop(row["item_id"], ([], row["event_time"]))  # popped and set again: the newest stands last
        what = row["event_type"] + (f" {row['value']:g}★" if row["value"] is not None else "")
        items[row["item_id"]] = ([*did, what] if what not in did else did, row["event_time"])
    return {user: dict(reversed(items.items())) for user, items in done.items()}


def _picked(lake: Lake, user_ids: Sequence[str], run_id: str | None, picks: int) -> list[dict[str, Any]]:
    if run_id is None:
        return []
    where = (pc.field("run_id") == run_id) & pc.field("user_id").isin(list(user_ids)) & (pc.field("rank") <= picks)
    picked: list[dict[str, Any]] = lake.read("recommendations", where=where).sort_by("rank").to_pylist()
    return picked


def _described(lake: Lake, item_ids: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Titles and categories. An item without a title is told by its identifier and what its reviews name."""
    wanted = sorted(filter(None, item_ids))
    if not wanted or not lake.exists("items"):
        return {}, {}
    found = lake.read("items", ["item_id", "title", "category"], where=pc.field("item_id").isin(wanted)).to_pylist()
    named = terms_of_items(lake, [row["item_id"] for row in found if not row["title"]])
    titles = {item: f"{item} ({', '.join(terms)})" for item, terms in named.items()}
    titles |= {row["item_id"]: row["title"] for row in found if row["title"]}
    return titles, {row["item_id"]: " › ".join(row["category"] or []) for row in found}


def _title(titles: Mapping[str, str], item_id: str, limit: int = TITLE_LENGTH) -> str:
    return visible(titles.get(item_id, item_id), limit)


def _reason(row: dict[str, Any], done: Mapping[str, tuple[list[str], datetime]], titles: Mapping[str, str]) -> str:
    """In words, with what the user did with the item that is the reason."""
    because = _because(row["reason"])
    if not because:
        return "popular with everybody"
    did = ", ".join(done[because][0]) if because in done else ""
    if because == row["item_id"]:
        return f"known already: {did}" if did else "known already"
    return f"close to {_title(titles, because, REASON_LENGTH)}" + (f": {did}" if did else "")


def _because(reason: str | None) -> str:
    kind, _, item_id = (reason or "").partition(":")
    return item_id if kind == "because" else ""
