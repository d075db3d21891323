import hashlib
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from examples_oracle import expected_examples, pair_hash

from jobs import build_examples
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.lake.types import arrow_schema

START = datetime(2024, 3, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ORIGIN = {"source": "s", "file": "f", "line": 1, "part": 0}


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def event(user, item, type_, hour=0.0, value=None, split=None, start=START):
    time = start + timedelta(hours=hour)
    return {"user_id": user, "item_id": item, "event_type": type_, "event_time": time, "value": value, "split": split}


def review(user, item, hour, stars, text, split=None, number=0, start=START):
    return {
        "review_id": f"r-{user}-{item}-{number}",
        "user_id": user,
        "item_id": item,
        "rating": stars,
        "review_time": start + timedelta(hours=hour),
        "title": None,
        "text": text,
        "clean_text": text,
        "text_hash": sha(text),
        "language": "en",
        "tokens": [],
        "split": split,
    }


def item(name, category=None, brand=None, price=None):
    row = dict.fromkeys(("title", "currency", "description", "attributes", "updated_at", "source", "file", "line"))
    text = f"about {name}"
    return row | {
        "item_id": name, "category": category, "brand": brand, "price": price, "text": text, "text_hash": sha(text),
    }


def random_log(seed, *, users=6, items=9, events=260, reviews=50, start=START, splits=(None,)):
    """A log with many ties in time: hours are drawn from a few, and every type of event may meet every other."""
    draw = random.Random(seed)
    types = ["view"] * 5 + ["click"] * 3 + ["favourite", "cart", "purchase", "rating", "rating"]
    rows = {}
    for _ in range(events):
        user, name, type_ = f"u{draw.randrange(users)}", f"i{int(items * draw.random() ** 2)}", draw.choice(types)
        hour = draw.randrange(40) * 6
        value = float(draw.randint(1, 5)) if type_ == "rating" and draw.random() < 0.9 else None
        row = event(user, name, type_, hour, value, draw.choice(splits), start)
        rows[user, name, type_, row["event_time"]] = row
    written = {}
    for number in range(reviews):
        user, name = f"u{draw.randrange(users)}", f"i{int(items * draw.random() ** 2)}"
        stars = draw.choice([1.0, 2.0, 3.0, 4.0, 5.0, None])
        text = f"text {draw.randrange(reviews * 3 // 4)}"  # some are written twice
        row = review(user, name, draw.randrange(40) * 6, stars, text, draw.choice(splits), number, start)
        written[user, name, row["review_time"]] = row
    shelf = [item(f"i{n}", ["Root", f"leaf {n % 3}"] if n % 4 else None, f"b{n % 2}", Decimal(n + 1)) for n in range(items)]
    return list(rows.values()), list(written.values()), shelf


def settings_for(lake, **options):
    source = {"name": "e", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
    return parse_settings(
        {"data": {"root": "none"}, "lake": {"root": lake.root}, "sources": [source], "examples": options}
    )


def fill(lake, events=(), reviews=(), items=()):
    for name, rows in (("events", events), ("reviews", reviews), ("items", items)):
        origin = ORIGIN if name != "items" else {}
        table = pa.Table.from_pylist([{**row, **origin} for row in rows], arrow_schema(lake.table(name)))
        lake.overwrite(name, table)


def vocabulary(lake, table, id_, index):
    return dict(zip(*lake.read(table, [index, id_]).to_pydict().values(), strict=True))


def readable(lake):
    """gold.examples with ids and text hashes in place of indices, as a list."""
    users = vocabulary(lake, "users_vocabulary", "user_id", "user_index")
    items = vocabulary(lake, "items_vocabulary", "item_id", "item_index") | {None: None}
    texts = vocabulary(lake, "texts_vocabulary", "text_hash", "text_index") | {0: None}
    values = lake.read("attributes_vocabulary").to_pylist()
    categories = {v["value_index"]: v["value"] for v in values if v["attribute"] == "category"} | {None: None}
    rows = lake.read("examples").to_pylist()
    for row in rows:
        row |= {"user": users[row["user"]], "item": items[row["item"]], "next_item": items[row["next_item"]]}
        row |= {name: [items[i] for i in row[name]] for name in ("history", "seen")}
        row |= {name: [texts[t] for t in row[name]] for name in ("user_reviews", "item_reviews")}
        row |= {"review": texts[row["review"]], "category": categories[row["category"]]}
    return rows


def comparable(row, names):
    return tuple(tuple(row[name]) if isinstance(row[name], list) else row[name] for name in names)


LABELS = ("next_item", "click", "purchase", "rating", "sentiment", "category")
COMPARED = ("split", "history", "user_reviews", "item_reviews", "review", "seen", *LABELS)

CASES = {
    "time": dict(split="time", valid_share=0.2, test_share=0.2, history_length=3, user_reviews=2, item_reviews=2),
    "leave one out": dict(split="leave_one_out", history_length=4, user_reviews=0, item_reviews=3),
    "purchases are predicted": dict(split="leave_one_out", targets=["purchase", "rating"], positives=["click", "rating",
                                    "purchase"], history_length=2, click_within_hours=6),
    "given, with times": dict(split="given", history_length=5),
    "given, without times": dict(split="given", history_length=3, user_reviews=2, item_reviews=2,
                                 targets=["purchase"], exposure=None),
}


@pytest.mark.parametrize("name", CASES)
def test_examples_agree_with_a_plain_account_of_them(spark, lake, name):
    start = EPOCH if name == "given, without times" else START
    splits = ("train", "train", "train", "valid", "test", None) if name.startswith("given") else (None,)
    events, reviews, items = random_log(len(name), start=start, splits=splits)
    if start == EPOCH:
        events = list({(e["user_id"], e["item_id"], e["event_type"]): e | {"event_time": EPOCH} for e in events}.values())
        reviews = list({(r["user_id"], r["item_id"]): r | {"review_time": EPOCH} for r in reviews}.values())
    fill(lake, events, reviews, items)
    settings = settings_for(lake, **CASES[name])
    figures = build_examples.run(spark, settings)

    categories = {i["item_id"]: " > ".join(i["category"]) for i in items if i["category"]}
    expected = expected_examples(events, reviews, categories, settings.examples)

    found = Counter(
        (row["kind"], row["user"], row["item"], row["event_time"], *comparable(row, COMPARED)) for row in readable(lake)
    )
    wanted = Counter((*key[:4], *comparable(row, COMPARED)) for key, row in expected.items())
    assert found == wanted
    for split in ("train", "valid", "test"):  # the log is rich enough to say something
        assert any(row["split"] == split and row["next_item"] for row in expected.values())
    assert sum(sum(kinds.values()) for kinds in figures["rows"].values()) == len(expected)
