"""Aspect ratings from a mapping in the settings to labels that tasks learn: no code knows their names."""

import json

import numpy as np
import pytest

from jobs import build_examples, clean, ingest
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError
from tandemrec.learn import Data, fit, load_examples, load_features, sizes_of
from tandemrec.model import MultiTaskModel

USERS, ITEMS = 20, 8
ASPECTS = {"quality": "scores.quality", "value_for_money": "worth"}


def written():
    """Quality is the item's, 1 or 5; value for money is given by every other user only."""
    for user in range(USERS):
        for item in range(ITEMS):
            line = {
                "user": f"u{user}",
                "item": f"i{item}",
                "stars": 3,
                "when": f"2024-01-{1 + (item + user) % ITEMS:02d}T{user:02d}:00:00Z",
            }
            line |= {"text": f"words of {user} on {item}", "scores": {"quality": 1 if item % 2 else 5}}
            yield line | ({"worth": "4.5" if user % 4 else " 2 "} if user % 2 else {})


def settings_of(root, lake_root, **changes):
    columns = {"user_id": "user", "item_id": "item", "rating": "stars", "text": "text", "review_time": "when"}
    source = {"name": "said", "table": "reviews", "kind": "json", "path": "said.jsonl", "columns": columns}
    tasks = [
        {"name": "quality", "kind": "regression"},
        {"name": "worth", "kind": "regression", "label": "value_for_money"},
        {"name": "quality_told", "kind": "regression", "label": "review.quality", "reads": ["review"]},
    ]
    return parse_settings(
        {
            "data": {"root": str(root)},
            "lake": {"root": str(lake_root)},
            "sources": [source | {"aspects": ASPECTS} | changes],
            "examples": {"positives": ["review"], "exposure": None, "split": "leave_one_out"},
            "tasks": tasks,
            "model": {"text": False, "width": 8, "tower": [8], "experts": 2, "id_dropout": 0.0, "dropout": 0.0},
            "train": {"stop_on": "quality/rmse", "max_epochs": 12, "batch_size": 32, "learning_rate": 0.02},
        }
    )


@pytest.mark.slow
def test_a_task_for_an_aspect_is_an_entry_in_the_settings(spark, lake, tmp_path):
    lines = [*written(), next(written()) | {"user": "u1", "scores": {"quality": 9}}, {"user": "u2", "worth": "?"}]
    lines[-1] = next(written()) | {"user": "u2", "when": "2024-02-01T00:00:00Z", "worth": "much"}
    (tmp_path / "said.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = settings_of(tmp_path, lake.root)
    ingest.run(spark, settings)
    assert clean.run(spark, settings)["reviews"]["rejected"] == {"aspect_out_of_range": 2}
    figures = build_examples.run(spark, settings)
    assert sum(labels["review.quality"] for labels in figures["labels"].values()) == USERS * ITEMS

    items = {row["item_index"]: int(row["item_id"][1:]) for row in lake.read("items_vocabulary").to_pylist()}
    users = {row["user_index"]: int(row["user_id"][1:]) for row in lake.read("users_vocabulary").to_pylist()}
    for row in lake.read("examples").to_pylist():
        expected = {"quality": 1.0 if items[row["item"]] % 2 else 5.0}
        if users[row["user"]] % 2:
            expected["value_for_money"] = 4.5 if users[row["user"]] % 4 else 2.0
        prefix = "review." if row["kind"] == "review" else ""
        assert dict(row["labels"]) == {f"{prefix}{name}": value for name, value in expected.items()}

    splits, features = load_examples(lake), load_features(lake, encoder=None)
    assert np.nanmax(splits["train"].labels["review.quality"]) == 5.0
    tasks = settings.tasks[:2]  # nothing was embedded
    model = MultiTaskModel(settings.model, tasks, sizes_of(lake, features, splits, tasks))
    data = Data(features=features, train=splits["train"], valid=splits["valid"])
    progress = fit(model, data, settings.train, seed=1)
    assert progress.best_metrics["quality/rmse"] < 0.5 < np.std([1.0, 5.0])
    assert progress.best_metrics["worth/rmse"] < 1.0


def test_an_aspect_that_has_the_name_of_a_label_or_no_reviews_is_refused(spark, lake, tmp_path):
    with pytest.raises(ConfigError, match="a label is named 'rating'"):
        build_examples.run(spark, settings_of(tmp_path, lake.root, aspects={"rating": "worth"}))
    with pytest.raises(ConfigError, match="aspects are of reviews and events, found table items"):
        settings_of(tmp_path, lake.root, table="items", columns={"item_id": "item"})
    with pytest.raises(ConfigError, match="a line of kind pairs holds no more than a pair"):
        settings_of(tmp_path, lake.root, table="events", kind="pairs", columns={}, constants={"event_type": "click"})


@pytest.mark.slow
def test_numbers_that_come_with_events_are_labels_too(spark, lake, tmp_path):
    """Seconds of a play and a share watched: each event that tells one is a row, a repeat of the pair as well; what is
    no number is in quarantine; nothing of it stands in what another row reads.
    """
    told = [{"secs": 30, "share": "0.5"}, {"secs": " 12.5 "}, {"share": "half"}, {}, {"secs": "NaN"}, {"secs": ""}]
    plays = [
        {"u": f"u{user}", "i": f"i{item}", "e": "play", "t": f"2024-01-{1 + item:02d}T{user:02d}:{5 * turn:02d}:00Z"}
        | one
        for user in range(6)
        for item in range(4)
        for turn, one in enumerate(told)
    ]
    (tmp_path / "plays.jsonl").write_text("\n".join(map(json.dumps, plays)))
    columns = {"user_id": "u", "item_id": "i", "event_type": "e", "event_time": "t"}
    source = {"name": "plays", "table": "events", "kind": "json", "path": "plays.jsonl", "columns": columns}
    tasks = [{"name": "watched", "kind": "regression", "label": "secs"}, {"name": "share", "kind": "regression"}]
    settings = settings_of(tmp_path, lake.root).model_dump() | {
        "sources": [source | {"aspects": {"secs": "secs", "share": "share"}, "event_types": {"play": "click"}}],
        "examples": {"positives": ["click"], "exposure": None, "split": "time"},
        "clean": {"behaviour": {"repeat_seconds": {}}},
        "tasks": tasks,
        "train": {"stop_on": "watched/rmse"},
    }
    settings = parse_settings(settings)
    ingest.run(spark, settings)
    assert clean.run(spark, settings)["events"]["rejected"] == {"aspect_unreadable": 2 * 24}
    figures = build_examples.run(spark, settings)
    assert sum(labels["secs"] for labels in figures["labels"].values()) == 2 * 24
    assert not any("review.secs" in labels for labels in figures["labels"].values())
    rows = [(dict(row["labels"]), row["next_item"] is not None) for row in lake.read("examples").to_pylist()]
    first, again = ({"secs": 30.0, "share": 0.5}, True), ({"secs": 12.5}, False)
    assert (len(rows), rows.count(first), rows.count(again)) == (2 * 24, 24, 24)
