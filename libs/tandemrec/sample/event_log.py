"""The events as twelve monthly files of JSON lines, clean and spoiled ones among each other."""

import random
from collections import Counter
from datetime import date, datetime, timedelta
from operator import itemgetter
from pathlib import Path

import numpy as np

from tandemrec.sample import dirt
from tandemrec.sample.behaviour import DAY, RATING, Events
from tandemrec.sample.files import write_lines
from tandemrec.sample.listing import sku
from tandemrec.sample.moments import FORMAT_SHARES, FORMATS, START, format_of, other_format, written
from tandemrec.sample.planted import TableCounts

ACTIONS = ("pv", "click", "fav", "cart", "buy", "rate")
PLAIN_MONTHS = (11, 12)  # not compressed yet
LATE_BY_AT_MOST = 7200
UNKNOWN_ACTIONS = ("hover", "share", "PageScroll", "", None)
IMPOSSIBLE_STARS = (0, 6, 11, -1, None)

_SPOILS: dict[str, dirt.Spoil] = {
    "user_id_missing": dirt.blank("uid"),
    "item_id_missing": dirt.blank("sku"),
    "event_type_unknown": dirt.one_of("action", *UNKNOWN_ACTIONS),
    "time_unreadable": dirt.unreadable_time("ts"),
    "time_in_future": dirt.future_time("ts", FORMATS),
    "time_too_early": dirt.early_time("ts", ("iso", "slash")),
    "rating_out_of_range": lambda rng, record: record | {"action": "rate", "stars": rng.choice(IMPOSSIBLE_STARS)},
    "item_unknown": dirt.unknown_item,
}


def uid(user: int) -> str:
    return f"u{user + 1:06d}"


def write_events(rng: np.random.Generator, folder: Path, events: Events) -> tuple[TableCounts, dict[str, int]]:
    """Write folder/events-YYYY-MM.jsonl[.gz]; what was written, and how often each time format."""
    draw = random.Random(int(rng.integers(2**62)))
    forms = rng.choice(FORMATS, len(events), p=FORMAT_SHARES).tolist()
    defects = dirt.assign(rng, len(events), dirt.EVENT_RATES)
    formats: Counter[str] = Counter()
    month_ends = [(date(2025 + month // 12, month % 12 + 1, 1) - START.date()).days * DAY for month in range(1, 13)]
    bounds = [0, *np.searchsorted(events.time, month_ends).tolist()]
    for month, rows in enumerate(map(range, bounds[:-1], bounds[1:]), start=1):
        timed: list[tuple[int, str]] = []
        for row in rows:
            form, moment = forms[row], int(events.time[row])
            record = _record(events, row, form)
            formats[form] += 1
            timed.append((moment, dirt.json_line(record)))
            if row in defects:
                line, readable = _spoiled(draw, record, defects[row], START + timedelta(seconds=moment), form)
                formats.update(readable)
                timed.append((moment + draw.randrange(LATE_BY_AT_MOST), line))
        timed.sort(key=itemgetter(0))
        suffix = "" if month in PLAIN_MONTHS else ".gz"
        write_lines(folder / f"events-2025-{month:02d}.jsonl{suffix}", [line for _, line in timed])
    return dirt.counted(len(events), defects, dirt.EVENT_RATES), {name: formats[name] for name in FORMATS}


def _record(events: Events, row: int, form: str) -> dirt.Record:
    type_ = int(events.type[row])
    record: dirt.Record = {
        "uid": uid(int(events.user[row])),
        "sku": sku(int(events.item[row])),
        "action": ACTIONS[type_],
        "ts": written(START + timedelta(seconds=int(events.time[row])), form),
        "sid": f"s{events.session[row] + 1:07d}",
    }
    return record | {"stars": int(events.stars[row])} if type_ == RATING else record


def _spoiled(draw: random.Random, record: dirt.Record, code: str, moment: datetime, form: str) -> tuple[str, list[str]]:
    """The line of the defect, and the time format that can be read in it, if any."""
    if code == dirt.BROKEN_JSON:
        return dirt.broken_line(draw, record), []
    if code == dirt.EXACT:
        spoiled = record
    elif code == dirt.NEAR:
        spoiled = _written_otherwise(draw, record, moment, form)
    else:
        spoiled = _SPOILS[code](draw, record)
    readable = [] if code == "time_unreadable" else [format_of(spoiled["ts"])]
    return dirt.json_line(spoiled), readable


def _written_otherwise(draw: random.Random, record: dirt.Record, moment: datetime, form: str) -> dirt.Record:
    """The same event as another collector writes it: another time format, spaces around ids, the action in capitals."""
    variants: tuple[dirt.Record, ...] = (
        {"ts": written(moment, other_format(draw, form))},
        {"uid": f" {record['uid']}", "sku": f"{record['sku']} "},
        {"action": record["action"].upper()},
    )
    changes: dirt.Record = {}
    for variant in draw.sample(variants, draw.randrange(1, len(variants) + 1)):
        changes |= variant
    return record | changes
