"""What users are interested in, as the page and `show user` tell it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.lake import Lake, runs

STEPS = 5  # of a bar, on each side of its middle


@dataclass(frozen=True, kw_only=True)
class Keyword:
    """A term of a profile. `weight` is its share of all, `sentiment` from -1 to 1 or None."""

    term: str
    weight: float
    sentiment: float | None
    count: int
    last: datetime

    @property
    def mood(self) -> str:
        """good, bad or faint: as the page's classes of colours are called."""
        if self.sentiment is None or round(self.sentiment * STEPS) == 0:
            return "faint"
        return "good" if self.sentiment > 0 else "bad"

    @property
    def bar(self) -> str:
        """The sentiment as a bar that grows from the middle, to the left below 0; empty where there is none."""
        if self.sentiment is None:
            return ""
        blocks = "█" * round(abs(self.sentiment) * STEPS)
        left, right = (blocks, "") if self.sentiment < 0 else ("", blocks)
        return f"{left:>{STEPS}}│{right:<{STEPS}}"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """`reviews` counts those it rests on, of before `as_of` where that is told; `summary` is a language model's, where
    one was asked for.
    """

    reviews: int
    language: str
    keywords: Sequence[Keyword]
    summary: str | None = None
    as_of: datetime | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any], summary: str | None = None) -> "Profile":
        """From a row of gold.user_profiles."""
        keywords = [
            Keyword(
                term=one["term"],
                weight=one["weight"],
                sentiment=one["sentiment"],
                count=one["count"],
                last=one["last_time"],
            )
            for one in row["keywords"]
        ]
        return cls(
            reviews=row["reviews"],
            language=row["language"],
            keywords=keywords,
            summary=summary,
            as_of=row["as_of"],
        )


def profiles(lake: Lake, user_ids: Sequence[str]) -> dict[str, Profile]:
    """The profiles of those of these users who have one, with their summaries where these are of the same profiles: a
    lone run of profiles, as of another moment say, leaves those of before.
    """
    if not lake.exists("user_profiles"):
        return {}
    of_users = pc.field("user_id").isin(list(user_ids))
    said: dict[str, str] = {}
    written = runs.latest(lake, "summarise") if lake.exists("user_summaries") else None
    if written is not None and written.inputs.get("user_profiles") == lake.data_version("user_profiles"):
        rows = lake.read("user_summaries", ["user_id", "summary"], where=of_users).to_pylist()
        said = {row["user_id"]: row["summary"] for row in rows}
    columns = ["user_id", "reviews", "language", "keywords", "as_of"]
    rows = lake.read("user_profiles", columns, where=of_users).to_pylist()
    return {row["user_id"]: Profile.of(row, said.get(row["user_id"])) for row in rows}


def terms_of_items(lake: Lake, item_ids: Sequence[str], number: int = 3) -> dict[str, list[str]]:
    """What sets the reviews of items apart: the terms named by most of an item's reviews, each weighted by how rare it
    is among users (tf-idf), the heaviest first. Items without terms are left out.
    """
    tables = ("reviews", "texts_vocabulary", "text_terms", "terms_vocabulary")
    if not item_ids or not all(lake.exists(table) for table in tables):
        return {}
    reviews = lake.read("reviews", ["item_id", "text_hash"], where=pc.field("item_id").isin(list(item_ids))).to_pylist()
    texts = _by_key(lake, "texts_vocabulary", "text_hash", "text_index", {row["text_hash"] for row in reviews})
    terms = _by_key(lake, "text_terms", "text_index", "terms", set(texts.values()))
    named = {row["item_id"]: Counter[int]() for row in reviews}
    for row in reviews:
        named[row["item_id"]].update(terms.get(texts.get(row["text_hash"], 0), []))
    wanted = {term for counts in named.values() for term in counts}
    where = pc.field("term_index").isin(pa.array(sorted(wanted), pa.int32()))
    known = {row["term_index"]: row for row in lake.read("terms_vocabulary", where=where).to_pylist()}
    everybody = 1 + lake.info("users_vocabulary").rows
    found = {}
    for item, counts in named.items():
        weights = {
            known[term]["term"]: times * math.log(everybody / known[term]["users"])
            for term, times in counts.items()
            if term in known
        }
        if weights:
            found[item] = sorted(weights, key=lambda term: (-weights[term], term))[:number]
    return found


def _by_key(lake: Lake, table: str, key: str, value: str, wanted: set[Any]) -> dict[Any, Any]:
    if not wanted:
        return {}
    rows = lake.read(table, [key, value], where=pc.field(key).isin(sorted(wanted))).to_pylist()
    return {row[key]: row[value] for row in rows}
