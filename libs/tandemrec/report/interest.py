"""What users are interested in, as the page and `show user` tell it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow.compute as pc

from tandemrec.lake import Lake

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
    """`reviews` counts those it rests on; `summary` is a language model's, where one was asked for."""

    reviews: int
    language: str
    keywords: Sequence[Keyword]
    summary: str | None = None

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
        return cls(reviews=row["reviews"], language=row["language"], keywords=keywords, summary=summary)


def profiles(lake: Lake, user_ids: Sequence[str]) -> dict[str, Profile]:
    """The profiles of those of these users who have one, with their summaries."""
    if not lake.exists("user_profiles"):
        return {}
    of_users = pc.field("user_id").isin(list(user_ids))
    said: dict[str, str] = {}
    if lake.exists("user_summaries"):
        rows = lake.read("user_summaries", ["user_id", "summary"], where=of_users).to_pylist()
        said = {row["user_id"]: row["summary"] for row in rows}
    columns = ["user_id", "reviews", "language", "keywords"]
    rows = lake.read("user_profiles", columns, where=of_users).to_pylist()
    return {row["user_id"]: Profile.of(row, said.get(row["user_id"])) for row in rows}
