"""Hand-made and random silver rows for the tests of the examples stage."""

import hashlib
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from tandemrec.config import parse_settings
from tandemrec.lake import TABLES
from tandemrec.lake.types import arrow_schema

START = datetime(2024, 3, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ORIGIN = {"source": "s", "file": "f", "line": 1, "part": 0}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def event(user, item, type_, hour=0.0, value=None, split=None):
    time = START + timedelta(hours=hour)
    row = {"user_id": user, "item_id": item, "event_type": type_, "event_time": time, "value": value, "split": split}
    return row | {"strength": 1.0, "count": 1, "last_time": time}


def review(user, item, hour, stars, text, split=None, number=0):
    return {
        "review_id": f"r-{user}-{item}-{number}",
        "user_id": user,
        "item_id": item,
        "rating": stars,
        "review_time": START + timedelta(hours=hour),
        "text": text,
        "clean_text": text,
        "text_hash": sha(text),
        "language": "en",
        "tokens": [],
        "split": split,
    }


def item(name, category=None, brand=None, price=None, attributes=None):
    text = f"about {name}"
    row = {"item_id": name, "category": category, "brand": brand, "text": text, "text_hash": sha(text)}
    row["attributes"] = attributes
    return row | {"price": None if price is None else Decimal(price)}


def random_log(seed, *, users=6, items=9, events=260, reviews=50, splits=(None,)):
    """Events, reviews and items with many ties: times are drawn from a few, and any two types of event may meet."""
    draw = random.Random(seed)
    types = ["view"] * 5 + ["click"] * 3 + ["favourite", "cart", "purchase", "rating", "rating"]
    done, written = {}, {}
    for _ in range(events):
        user, name, type_ = f"u{draw.randrange(users)}", f"i{int(items * draw.random() ** 2)}", draw.choice(types)
        value = float(draw.randint(1, 5)) if type_ == "rating" and draw.random() < 0.9 else None
        row = event(user, name, type_, draw.randrange(40) * 6, value, draw.choice(splits))
        done[user, name, type_, row["event_time"]] = row
    for number in range(reviews):
        user, name = f"u{draw.randrange(users)}", f"i{int(items * draw.random() ** 2)}"
        text = f"text {draw.randrange(reviews * 3 // 4)}"  # some texts are written twice
        stars = draw.choice([1.0, 2.0, 3.0, 4.0, 5.0, None])
        row = review(user, name, draw.randrange(40) * 6, stars, text, draw.choice(splits), number)
        written[user, name, row["review_time"]] = row
    shelf = []
    for n in range(items):
        attributes = {"colour": ("Red", " red", "blue", "")[n % 4], "size": f"{n} cm", "text": "x"} if n % 5 else None
        shelf.append(item(f"i{n}", ["Root", f"leaf {n % 3}"] if n % 4 else None, f"b{n % 2}", n + 1, attributes))
    return list(done.values()), list(written.values()), shelf


def without_times(events, reviews):
    """The same log as a source tells it that has no times: each pair and type once."""
    done = {(e["user_id"], e["item_id"], e["event_type"]): e | {"event_time": EPOCH} for e in events}
    written = {(r["user_id"], r["item_id"]): r | {"review_time": EPOCH} for r in reviews}
    return list(done.values()), list(written.values())


def silver(name, rows):
    """Rows as an Arrow table of a silver contract."""
    origin = _ORIGIN if name != "items" else {}
    return pa.Table.from_pylist([{**row, **origin} for row in rows], arrow_schema(TABLES[name]))


def settings_of(root="none", seed=42, **options):
    source = {"name": "e", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
    raw = {"data": {"root": "none"}, "lake": {"root": root}, "sources": [source]}
    return parse_settings({**raw, "seed": seed, "examples": options})
