"""The sample's planted dirt: cleaning finds exactly what was planted."""

from jobs import clean, ingest
from tandemrec.config import parse_settings
from tandemrec.lake import Lake
from tandemrec.sample import generate

SOURCES = [
    {
        "name": "events",
        "table": "events",
        "kind": "json",
        "path": "events",
        "columns": {"user_id": "uid", "item_id": "sku", "event_type": "action", "event_time": "ts", "value": "stars"},
        "time_formats": ["iso", "epoch_ms", "dd/MM/yyyy HH:mm:ss"],
        "event_types": {"pv": "view", "fav": "favourite", "buy": "purchase", "rate": "rating"},
    },
    {
        "name": "items",
        "table": "items",
        "kind": "csv",
        "path": "items/items.csv",
        "columns": {
            "item_id": "sku",
            "title": "name",
            "brand": "maker",
            "category": "category",
            "price": "price_usd",
            "description": "details",
            "updated_at": "updated",
        },
    },
    {
        "name": "reviews",
        "table": "reviews",
        "kind": "json",
        "path": "reviews/*.jsonl",
        "columns": {
            "review_id": "rid",
            "user_id": "uid",
            "item_id": "sku",
            "rating": "stars",
            "title": "headline",
            "text": "body",
            "review_time": "posted",
        },
    },
]


def test_what_was_planted_is_what_is_found(spark, tmp_path):
    planted = generate(tmp_path / "data", users=120, items=150, events=4000, reviews=600, seed=7)
    settings = parse_settings(
        {
            "data": {"root": str(tmp_path / "data")},
            "lake": {"root": str(tmp_path / "lake")},
            "sources": SOURCES,
            "clean": {"now": planted.now},
        }
    )
    ingest.run(spark, settings)
    figures = clean.run(spark, settings)
    for table in ("events", "items", "reviews"):
        expected = getattr(planted, table)
        assert figures[table] == {
            "in": expected.rows,
            "kept": expected.kept,
            "merged": sum(expected.merged.values()),
            "rejected": dict(expected.rejected),
        }, table
    items = Lake(settings.lake.root).read("items").to_pylist()
    assert sum(item["price"] is None for item in items) == planted.prices_unreadable
    assert len({item["brand"] for item in items}) == planted.brands
    languages = {row["language"] for row in Lake(settings.lake.root).read("reviews", ["language"]).to_pylist()}
    assert languages == {"en", "zh"}
