"""A small lake made by hand, of which the tests of the report know all figures."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from tandemrec.config import Settings, parse_settings
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema

START = datetime(2024, 1, 1, tzinfo=UTC)
HOSTILE = "<script>alert('title')</script>"
HOSTILE_RAW = '{"text": "</pre><img src=https://evil.example/x onerror=alert(1)> \x1b[31m' + "x" * 400 + '"}'
TYPES = ("view", "click", "cart", "purchase", "rating")
USERS, ITEMS = 24, 30
REJECTED = {"user_id_missing": 1_234, "time_in_future": 5}


def settings_for(lake: Lake, folder, /, **changes) -> Settings:
    source = {"name": "logs", "table": "events", "kind": "json", "path": "events.json"}
    columns = {name: name for name in ("user_id", "item_id", "event_type", "event_time")}
    raw = {
        "data": {"root": str(folder / "raw")},
        "lake": {"root": lake.root},
        "sources": [source | {"columns": columns}],
        "report": {"path": str(folder / "out" / "index.html"), "users": 5},
    }
    return parse_settings(raw | changes)


def fill(lake: Lake, name: str, rows: list[dict]) -> None:
    """Rows of some of the columns; the others are null."""
    lake.merge(name, pa.Table.from_pylist(rows, arrow_schema(lake.table(name))))


def origin(number: int) -> dict:
    return {"source": "logs", "file": "events.json", "line": number + 1, "part": 0}


def event(user: str, item: str, kind: str, when: datetime, number: int) -> dict:
    who = {"user_id": user, "item_id": item, "event_type": kind, "event_time": when}
    return who | {"strength": 1.0, "count": 1, "last_time": when} | origin(number)


def record(lake: Lake, stage: str, minute: int, figures: dict, *, run_id: str = "", outputs: tuple = ()) -> None:
    run = runs.Run(
        run_id=run_id or f"{stage}-1", stage=stage, status="done",
        started_at=START + timedelta(days=400, minutes=minute),
        seconds=10.0 + minute, inputs={}, outputs=dict.fromkeys(outputs, 0), config_hash="c", code_version="0.1.0",
        figures=figures,
    )  # fmt: skip
    runs.record(lake, run)


def metric(task: str, name: str, split: str = "test", **values: float) -> list[dict]:
    """A lead's interval is .003 to either side; of the figures themselves only ranking metrics have one here."""
    sign = -1 if name in ("rmse", "mae") else 1

    def around(value: float | None, by: float) -> tuple[float | None, float | None]:
        return (value - by, value + by) if value is not None else (None, None)

    rows = []
    for m, v in values.items():
        lead = None if m == "tandemrec" else sign * (values["tandemrec"] - v)
        (low, high), (lead_low, lead_high) = around(v if "@" in name else None, 0.004), around(lead, 0.003)
        rows.append({"run_id": "model-2", "model": m, "split": split, "task": task, "metric": name, "value": v,
                     "low": low, "high": high, "rows": 2_000,
                     "lead": lead, "lead_low": lead_low, "lead_high": lead_high})  # fmt: skip
    return rows


def write_behaviour(lake: Lake) -> None:
    """User n has n items; each is clicked, and every third bought later."""
    random = np.random.default_rng(7)
    events, reviews, features = [], [], []
    for user in range(USERS):
        seen = [int(i) for i in sorted(random.choice(ITEMS, size=min(user, ITEMS), replace=False))]
        for step, item in enumerate(seen):
            when = START + timedelta(days=3 * step + user)
            for kind, later in (("view", 0), ("click", 1), *((("purchase", 60),) if item % 3 == 0 else ())):
                events.append(event(f"u{user}", f"i{item}", kind, when + timedelta(minutes=later), len(events)))
            if item % 4 == 0:
                text = "很好用 " * (user + 1) if user % 5 == 0 else f"{HOSTILE} works well " * (user + 1)
                reviews.append({"review_id": f"r{len(reviews)}", "user_id": f"u{user}", "item_id": f"i{item}",
                                "rating": float(1 + (user + item) % 5), "review_time": when + timedelta(days=1),
                                "text": text, "clean_text": text, "text_hash": f"h{len(reviews)}",
                                "language": "zh" if user % 5 == 0 else "en", "tokens": []}
                               | origin(len(reviews)))  # fmt: skip
        features.append({"user_index": user + 1, "history": seen, "reviews": [], "seen": seen})
    fill(lake, "events", events)
    fill(lake, "reviews", reviews)
    fill(lake, "user_features", features)
    fill(lake, "users_vocabulary", [{"user_id": f"u{n}", "user_index": n + 1} for n in range(USERS)])
    titles = [HOSTILE if n == 1 else f"Item [bold]number {n}[/bold]" for n in range(ITEMS)]
    fill(
        lake,
        "items",
        [{"item_id": f"i{n}", "title": titles[n], "category": ["Music", "蓝牙耳机"]} for n in range(ITEMS)],
    )


def write_results(lake: Lake) -> None:
    recommended = [
        {"run_id": run, "user_id": f"u{user}", "rank": rank, "item_id": f"i{(user + rank) % ITEMS}",
         "score": 3.0 - rank / 7,
         "reason": "popular" if rank == 2 else "because:i1", "model_version": "1"}
        for run in ("model-1", "model-2") for user in range(USERS) for rank in range(1, 8)
    ]  # fmt: skip
    fill(lake, "recommendations", recommended)
    rows = []
    for name, value in (("ndcg", 0.0812), ("hr", 0.1532), ("mrr", 0.0611)):
        for k, more in ((5, 0.8), (10, 1.0)):
            base = {
                "tandemrec": value,
                "popularity": 0.7 * value,
                "matrix_factorisation": value * (1.04 if k == 5 else 0.96),
            }
            rows += metric("next_item", f"{name}@{k}", **{m: v * more for m, v in base.items()})
    rows += metric("sentiment", "f1", tandemrec=0.8734, majority=0.79) + metric("sentiment", "auc", tandemrec=0.93)
    for band, value in (("0", 0.01), ("1-2", 0.05), ("11-20", 0.12)):
        rows += metric("next_item", "ndcg@10", f"test, item {band}", tandemrec=value, popularity=value / 2)
    rows += metric("next_item", "ndcg@10", "test, user 1-2", tandemrec=0.05)  # one band is no curve
    rows += metric("rating", "rmse", tandemrec=1.02, bias=0.97) + metric("rating", "mae", tandemrec=0.71, bias=0.77)
    fill(lake, "metrics", rows)
    quarantine = [
        {"table_name": "events", "reason": "user_id_missing" if n < 9 else "time_in_future",
         "raw": HOSTILE_RAW if n == 0 else f"line {n}"} | origin(10_000 + n)
        for n in range(12)
    ]  # fmt: skip
    fill(lake, "quarantine", quarantine)
