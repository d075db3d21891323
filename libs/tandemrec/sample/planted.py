"""What the generator planted, in numbers that cleaning has to find again, row for row.

`planted.json` beside the files holds the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

NOW = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, kw_only=True)
class TableCounts:
    """Lines or records written for a table; rows = kept + former + merged + rejected.

    `merged` counts the rows that fall together with a kept one: `exact` (the same line again) and `near` (the same
    event or review written otherwise). `former` counts items as they were described before. `rejected` is by reason.
    """

    rows: int
    kept: int
    merged: Mapping[str, int]
    rejected: Mapping[str, int]
    former: int = 0


@dataclass(frozen=True, kw_only=True)
class Planted:
    """The counts of a sample.

    `time_formats` is over the lines of events with a readable time. `html` and `control_characters` count the reviews
    and items, duplicates and rejected ones included, with tags or entities, or with control or zero-width characters.
    `prices_unreadable` and `brands` are over the items that stay: how many have no price, how many brands there are
    once case and spaces are unified. `now` lies just after the last event: what is later is in the future.
    """

    events: TableCounts
    items: TableCounts
    reviews: TableCounts
    time_formats: Mapping[str, int]
    html: int
    control_characters: int
    prices_unreadable: int
    brands: int
    now: str = NOW

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"
