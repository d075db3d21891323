"""A small lake with what `train` reads, made by hand: people of two tastes, items of two kinds, reviews that say so."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema

USERS, ITEMS, ENCODER, WIDTH = 40, 24, "0123456789abcdef", 12


def small_lake(root, *, seed: int = 7, sentiment: bool = True, encoder: str = ENCODER) -> Lake:
    """Tables for training: each user goes through 8 items, mostly of the user's own taste, and reviews each. The
    vectors say that they are of `encoder`.
    """
    generator = np.random.default_rng(seed)
    lake, start = Lake(str(root)), datetime(2024, 1, 1, tzinfo=UTC)
    rows, vectors, item_reviews, interactions = [], [np.zeros(WIDTH)], {}, np.zeros(ITEMS + 1, int)
    said, by = [""], [("", "")]
    for user in range(1, USERS + 1):
        taste = user % 2
        weight = np.where(np.arange(1, ITEMS + 1) % 2 == taste, 6.0, 1.0) / np.arange(1, ITEMS + 1) ** 0.5
        items = generator.choice(np.arange(1, ITEMS + 1), size=8, replace=False, p=weight / weight.sum())
        history, own = [], []
        for step, item in enumerate(items.tolist()):
            split = "train" if step < 6 else ("valid", "test")[step - 6]
            stars = float(np.clip(round(generator.normal(4.5 if item % 2 == taste else 1.5, 0.7)), 1, 5))
            vectors.append(generator.normal(size=WIDTH) + 2 * np.eye(WIDTH)[item % 2] + (stars - 3) * np.eye(WIDTH)[2])
            by.append((f"u{user}", f"i{item}"))
            said.append(f"{('bad', 'good')[stars > 3]} {stars:.0f}, not {('thin', 'thick')[item % 2]} {len(said)}")
            common = {
                "split": split,
                "event_time": start + timedelta(hours=100 * step + user),
                "user": user,
                "item": item,
                "review": len(vectors) - 1,
            }
            recommended = common | {
                "history": history[-5:],
                "user_reviews": own[-3:],
                "item_reviews": item_reviews.get(item, [])[-3:],
            }
            rows.append(
                recommended
                | {"kind": "interaction", "next_item": item, "rating": stars}
                | {"seen": list(history) if split != "train" else []}
            )
            if step % 3 == 0:
                clicked = float(item % 2 == taste)
                rows.append(recommended | {"kind": "exposure", "click": clicked, "purchase": clicked})
            if stars != 3:
                told = {"sentiment": float(stars > 3) if sentiment else None, "category": float(1 + item % 2)}
                told["stars"] = stars
                rows.append(common | {"kind": "review", **told})
            history.append(item)
            own.append(len(vectors) - 1)
            if split == "train":
                item_reviews.setdefault(item, []).append(len(vectors) - 1)
                interactions[item] += 1
    empty = {"history": [], "user_reviews": [], "item_reviews": [], "seen": []}
    for number in range(len(rows)):
        rows[number] = {"example_id": f"{generator.integers(2**62):032x}", **empty, **rows[number]}
    texts = range(1, len(vectors))
    tables = {
        "examples": rows,
        "users_vocabulary": [{"user_id": f"u{index}", "user_index": index} for index in range(1, USERS + 1)],
        "items_vocabulary": [{"item_id": f"i{index}", "item_index": index} for index in range(1, ITEMS + 1)],
        "texts_vocabulary": [{"text_hash": f"t{index}", "text_index": index} for index in texts],
        "attributes_vocabulary": [
            {"attribute": name, "value": f"{name}{index}", "value_index": index}
            for name in ("category", "brand")
            for index in (1, 2)
        ],
        "reviews": [
            {"review_id": f"r{index}", "user_id": by[index][0], "item_id": by[index][1], "review_time": start}
            | {"text": said[index], "clean_text": said[index], "text_hash": f"t{index}", "language": "en"}
            | {"source": "made", "file": "made", "line": index, "part": 0}
            for index in texts
        ],
        "text_vectors": [
            {"text_hash": f"t{index}", "encoder": encoder, "vector": vectors[index].tolist()} for index in texts
        ],
        "item_features": [
            {
                "item_index": item,
                "category": 1 + item % 2,
                "brand": 1 + item // 2 % 2,
                "price": item % 4,
                "text": 0,
                "reviews": item_reviews.get(item, [])[::-1][:6],
                "interactions": int(interactions[item]),
                "attributes": {},
            }
            for item in range(1, ITEMS + 1)
        ],
    }
    for name, content in tables.items():
        schema = arrow_schema(lake.table(name))
        lake.overwrite(name, pa.Table.from_pylist([{f: row.get(f) for f in schema.names} for row in content], schema))
    embedded = runs.Run(
        run_id="embedrun",
        stage="embed",
        status="done",
        started_at=start,
        seconds=1.0,
        inputs={},
        outputs={},
        config_hash="",
        code_version="",
        figures={"encoder": encoder},
    )
    runs.record(lake, embedded)
    return lake
