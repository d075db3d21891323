"""The events as twelve monthly files of JSON lines, clean and spoiled ones among each other."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np

from tandemrec.sample import dirt
from tandemrec.sample.behaviour import DAY, Events
from tandemrec.sample.files import write_lines
from tandemrec.sample.listing import sku
from tandemrec.sample.moments import FORMAT_SHARES, FORMATS, START, other_format, written
from tandemrec.sample.planted import TableCounts

ACTIONS = ("pv", "click", "fav", "cart", "buy", "rate")
PLAIN_MONTHS = (11, 12)  # not compressed yet
LATE_BY_AT_MOST = 7200

_SPOILS: dict[str, dirt.Spoil] = {
    "user_id_missing": dirt.blank("uid"),
    "item_id_missing": dirt.blank("sku"),
    "event_type_unknown": dirt.one_of("action", "hover", "share", "PageScroll", "", None),
    "time_unreadable": dirt.unreadable_time("ts"),
    "time_in_future": dirt.future_time("ts", FORMATS),
    "time_too_early": dirt.early_time("ts", ("iso", "slash")),
    "rating_out_of_range": lambda rng, record: record | {"action": "rate", "stars": rng.choice((0, 6, 11, -1, None))},
    "item_unknown": dirt.unknown_item,
}


def uid(user: int) -> str:
    return f"u{user + 1:06d}"


def write_events(rng: np.random.Generator, folder: Path, events: Events) -> tuple[TableCounts, dict[str, int]]:
    """Write folder/events-YYYY-MM.jsonl[.gz]; what was written, and how often each time format."""
    words = random.Random(int(rng.integers(2**62)))
    style = rng.choice(len(FORMATS), len(events), p=FORMAT_SHARES)
    defects = dirt.assign(rng, len(events), dirt.EVENT_RATES)
    starts = [_days_to(month) * DAY for month in range(1, 14)]
    bounds = np.searchsorted(events.time, starts)
    formats: Counter[str] = Counter()
    for month, first, end in zip(range(1, 13), bounds[:-1], bounds[1:], strict=True):
        timed = sorted(_month(words, events, style, defects, range(first, end), formats), key=lambda pair: pair[0])
        suffix = "" if month in PLAIN_MONTHS else ".gz"
        write_lines(folder / f"events-2025-{month:02d}.jsonl{suffix}", [line for _, line in timed])
    by_code = Counter(defects.values())
    counts = TableCounts(
        rows=len(events) + by_code.total(),
        kept=len(events),
        merged={code: by_code[code] for code in (dirt.EXACT, dirt.NEAR)},
        rejected={code: by_code[code] for code in dirt.EVENT_RATES if code not in (dirt.EXACT, dirt.NEAR)},
    )
    return counts, {name: formats[name] for name in FORMATS}
