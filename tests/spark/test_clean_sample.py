"""The sample's planted dirt: by the settings of the demo, cleaning finds exactly what was planted."""

from pathlib import Path

from jobs import clean, ingest
from tandemrec.config import load_settings
from tandemrec.lake import Lake
from tandemrec.sample import generate

CONF = Path(__file__).parents[2] / "conf" / "local.yaml"


def test_what_was_planted_is_what_is_found(spark, tmp_path):
    planted = generate(tmp_path / "data", users=120, items=150, events=4000, reviews=600, seed=7)
    root = tmp_path / "lake"
    settings = load_settings(
        CONF, [f"data.root={tmp_path / 'data'}", f"lake.root={root}", f"clean.now='{planted.now}'"]
    )
    ingest.run(spark, settings)
    figures = clean.run(spark, settings)
    for table in ("events", "items", "reviews"):
        expected = getattr(planted, table)
        assert figures[table] == {
            "in": expected.rows,
            "kept": expected.kept,
            **({"former": expected.former} if table == "items" else {}),
            "merged": sum(expected.merged.values()),
            "rejected": dict(expected.rejected),
        }, table
    items = Lake(str(root)).read("items").to_pylist()
    assert sum(item["price"] is None for item in items) == planted.prices_unreadable
    assert len({item["brand"] for item in items}) == planted.brands
    assert set(Lake(str(root)).read("reviews", ["language"])["language"].to_pylist()) == {"en", "zh"}
