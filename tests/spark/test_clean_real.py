"""Three public layouts through ingest and clean, by the deployment files: the counts that their descriptions give."""

import csv
import io
import json
import zipfile
from pathlib import Path

import pytest

from jobs import clean, ingest
from tandemrec.config import load_settings
from tandemrec.lake import Lake

CONF = Path(__file__).parents[2] / "conf"


def cleaned(spark, name, folder, tmp_path):
    settings = load_settings(CONF / f"{name}.yaml", [f"data.root={folder}", f"lake.root={tmp_path / 'lake'}"])
    ingest.run(spark, settings)
    return clean.run(spark, settings), Lake(settings.lake.root)


@pytest.mark.slow
def test_reviews_of_musical_instruments(spark, shared_data, tmp_path):
    folder = shared_data / "amazon_musical_instruments_2014_5core"
    figures, lake = cleaned(spark, "musical_instruments", folder, tmp_path)
    assert figures["reviews"] == {"in": 10_261, "kept": 10_261, "merged": 0, "rejected": {}}
    assert figures["items"] == {"from_behaviour": 900}
    with zipfile.ZipFile(next(folder.glob("*.zip"))) as archive:
        text = io.TextIOWrapper(archive.open(archive.namelist()[0]), encoding="utf-8", newline="")
        expected = dict(enumerate(csv.DictReader(text), 1))
    raw = {row["line"]: json.loads(row["raw"]) for row in lake.read("reviews_raw", ["line", "raw"]).to_pylist()}
    assert raw.keys() == expected.keys()
    for line, row in expected.items():
        assert {name: value or "" for name, value in raw[line].items()} == row
    reviews = lake.read("reviews").to_pylist()
    assert len({row["user_id"] for row in reviews}) == 1429
    assert sum(row["text"] == "" and row["clean_text"] == row["title"] for row in reviews) == 7
    for row in reviews:
        of_csv = expected[row["line"]]
        assert row["text"] == of_csv["reviewText"] and row["rating"] == float(of_csv["overall"])
        assert int(row["review_time"].timestamp()) == int(of_csv["unixReviewTime"])
    assert {row["language"] for row in reviews} <= {"en", "other"}


def test_amazon_2023_with_histories_within_lines(spark, shared_data, tmp_path):
    figures, lake = cleaned(spark, "amazon2023", shared_data / "amazon2023_multicategory_sample", tmp_path)
    assert figures["reviews"] == {"in": 3455, "kept": 3455, "merged": 0, "rejected": {}}
    assert figures["items"] == {"in": 3455, "kept": 3228, "merged": 227, "rejected": {}}
    reviews, items = lake.read("reviews").to_pylist(), lake.read("items").to_pylist()
    assert len({(row["user_id"], row["item_id"]) for row in reviews}) == 3455 - 3
    assert len({row["category"][0] for row in items}) == 24
    assert {row["currency"] for row in items if row["price"] is not None} == {"USD"}
    assert max(row["part"] for row in reviews) == 4


@pytest.mark.slow
def test_jd_pairs(spark, shared_data, tmp_path):
    figures, lake = cleaned(spark, "jd", shared_data / "jd_multibehavior", tmp_path)
    assert figures["events"] == {"in": 297_229, "kept": 297_229, "merged": 0, "rejected": {}}
    events = lake.read("events", ["event_type", "split", "event_time"])
    counts = events.group_by(["event_type", "split"]).aggregate([([], "count_all")]).to_pylist()
    assert {(row["event_type"], row["split"]): row["count_all"] for row in counts} == {
        ("click", "train"): 217_977,
        ("favourite", "train"): 7_380,
        ("purchase", "train"): 60_967,
        ("purchase", "valid"): 5_892,
        ("purchase", "test"): 5_013,
    }
    assert len(events["event_time"].unique()) == 1
