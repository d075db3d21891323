"""The model that is kept may have learned from the validation split too: rows, features, loop and baselines."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_lake import ENCODER, ITEMS, small_lake

from tandemrec.config import ModelSettings, Settings, Task, TrainSettings, parse_settings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.evaluate import BASELINES, Predictions, Problem
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import Data, Training, fit, load_examples, load_features, sizes_of
from tandemrec.learn.features import after_validation
from tandemrec.learn.feeds import TRAIN_VALID
from tandemrec.learn.neighbours import Weighing, learn_neighbours
from tandemrec.model import MultiTaskModel
from tandemrec.rank.factorised import matrix_factorisation

NEXT = Task(name="next_item", kind="next_item", reads=["user"])
RATING = Task(name="rating", kind="regression")
LOOP = TrainSettings(max_epochs=3, batch_size=64, learning_rate=0.02, history="around")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return small_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(scope="module")
def both(lake):
    return load_examples(lake, parts=[TRAIN_VALID])[TRAIN_VALID]


def test_the_rows_of_both_splits_are_those_of_one_after_those_of_the_other(lake, both):
    splits = load_examples(lake)
    train, valid = splits["train"], splits["valid"]
    assert len(both) == len(train) + len(valid)
    for name in ("user", "item", "history", "user_reviews", "item_reviews", "review", "event_time"):
        one_after_the_other = np.concatenate([getattr(train, name), getattr(valid, name)])
        np.testing.assert_array_equal(getattr(both, name), one_after_the_other)
    for name, label in both.labels.items():
        np.testing.assert_array_equal(label, np.concatenate([train.labels[name], valid.labels[name]]))
    last = np.arange(len(train), len(both))
    np.testing.assert_array_equal(both.seen_by(last)[0], valid.seen_by(last - len(train))[0])


def test_what_is_known_of_items_after_validation_by_brute_force(lake):
    features, valid = load_features(lake, encoder=ENCODER), load_examples(lake)["valid"]
    grown = after_validation(features, valid)
    chosen = valid.labels["next_item"]
    width = features.reviews.shape[1]
    written = [row for row in lake.read("examples").to_pylist() if (row["split"], row["kind"]) == ("valid", "review")]
    for item in range(ITEMS + 1):
        assert grown.interactions[item] == features.interactions[item] + (chosen == item).sum()
        new = sorted((row["event_time"], row["review"]) for row in written if row["item"] == item)
        texts = [text for text in features.reviews[item].tolist() if text] + [text for _, text in new]
        assert [text for text in grown.reviews[item].tolist() if text] == texts[-width:]
        assert grown.reviews[item, width - len(texts[-width:]) :].all()
    assert (grown.interactions != features.interactions).any() and (grown.reviews != features.reviews).any()
    assert grown.texts is features.texts


def test_what_is_written_in_the_test_split_is_not_known_after_validation(tmp_path):
    """Bought in validation, reviewed in the test: the row of the purchase names the review all the same."""
    lake = small_lake(tmp_path)
    rows = lake.read("examples").to_pylist()
    late = {row["review"] for row in rows if (row["split"], row["kind"]) == ("valid", "review") and row["user"] % 3}
    for row in rows:
        if row["kind"] == "review" and row["review"] in late:
            row["split"] = "test"
    lake.overwrite("examples", pa.Table.from_pylist(rows, arrow_schema(lake.table("examples"))))
    features, valid = load_features(lake, encoder=ENCODER), load_examples(lake)["valid"]
    assert late <= set(valid.review.tolist())
    known = set(after_validation(features, valid).reviews.flatten().tolist())
    assert not known & late
    assert known - set(features.reviews.flatten().tolist())  # what was written in validation is


def test_without_rows_to_stop_on_the_last_epoch_is_kept(lake, both):
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    sizes = sizes_of(lake, features, splits, DEFAULT_TASKS)

    def fresh():
        torch.manual_seed(4)
        return MultiTaskModel(ModelSettings(width=8, tower=[8], experts=2), DEFAULT_TASKS, sizes)

    data = Data(features=after_validation(features, splits["valid"]), train=both, valid=None)
    kept = fresh()
    progress = fit(kept, data, LOOP.model_copy(update={"patience": 1}), seed=3)
    assert (progress.epoch, progress.best_epoch, progress.best_value) == (3, 3, None)
    assert [entry["valid"] for entry in progress.curve] == [{}, {}, {}]
    training = Training(fresh(), data, LOOP, seed=3)
    for _ in range(3):
        training.run_epoch()
    for name, tensor in training.model.state_dict().items():
        assert torch.equal(kept.state_dict()[name], tensor), name


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_learns_from_the_rows_that_the_model_learns_from(lake, both, name, monkeypatch):
    """It answers as if these had been its training rows; a penalty and a damping are chosen before (one each here)."""
    monkeypatch.setattr("tandemrec.evaluate.ease.PENALTIES", (30.0,))
    monkeypatch.setattr("tandemrec.evaluate.baselines.DAMPINGS", (5.0,))
    splits = load_examples(lake)
    features = after_validation(load_features(lake, encoder=ENCODER), splits["valid"])
    tasks = [task for task in DEFAULT_TASKS if task.name in ("next_item", "rating", "sentiment")]
    problem = Problem(
        tasks=tasks,
        **splits,
        refit=both,
        interactions=features.interactions.numpy(),
        texts=lambda rows: [f"{'good' if row % 3 else 'bad'} {row % 7}" for row in rows],
    )
    answers, expected, before = (
        BASELINES[name](asked)
        for asked in (problem, replace(problem, train=both, refit=None), replace(problem, refit=None))
    )
    assert same(answers, expected) and not same(answers, before)


def test_the_penalty_of_ease_is_chosen_before_validation_rows_are_learned_from(lake, both, monkeypatch):
    splits = load_examples(lake)
    features = after_validation(load_features(lake, encoder=ENCODER), splits["valid"])
    problem = Problem(tasks=[NEXT], **splits, refit=both, interactions=features.interactions.numpy())
    alone = {}
    for penalty in (1.0, 1e6):
        monkeypatch.setattr("tandemrec.evaluate.ease.PENALTIES", (penalty,))
        alone[penalty] = (
            BASELINES["ease"](problem),
            BASELINES["ease"](replace(problem, test=splits["valid"], refit=None)),
        )
    worth = {penalty: reciprocal(valid.ranks["next_item"]) for penalty, (_, valid) in alone.items()}
    assert worth[1.0] != worth[1e6]
    monkeypatch.setattr("tandemrec.evaluate.ease.PENALTIES", (1.0, 1e6))
    chosen = BASELINES["ease"](problem)
    assert same(chosen, alone[max(worth, key=worth.get)][0]) and not same(chosen, alone[min(worth, key=worth.get)][0])


def test_what_a_validation_row_has_seen_of_the_test_split_is_not_learned_from(lake, both):
    """Under a random split somebody may have had a test item before."""
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    test = splits["test"]
    of_user = dict(zip(test.user.tolist(), test.item.tolist(), strict=True))
    asked = ~np.isnan(both.labels["next_item"]) & (np.arange(len(both)) >= len(splits["train"]))
    lists = [[of_user[user]] if held_out else [] for user, held_out in zip(both.user.tolist(), asked, strict=True)]
    offsets = np.cumsum([0, *map(len, lists)])
    had = replace(both, seen=(np.array([item for each in lists for item in each], np.int32), offsets))
    problem = Problem(tasks=[NEXT], **splits, refit=both, interactions=features.interactions.numpy())
    assert same(BASELINES["ease"](problem), BASELINES["ease"](replace(problem, refit=had)))
    model = MultiTaskModel(ModelSettings(width=8, neighbours=5), [NEXT], sizes_of(lake, features, splits, [NEXT]))
    weighing = Weighing(penalty=30.0, strength=1.0, decay=1.0, without=0.0, reciprocal_rank=0.0)
    learned = []
    for rows in (both, had):
        learn_neighbours(model, rows, weighing)
        learned.append(model.neighbours.weight.clone())
    assert torch.equal(*learned)


def test_the_factorisation_knows_who_was_first_seen_in_validation(lake, both):
    """An item without a training row: without the validation rows it is no candidate."""
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    later = [splits[name].labels["next_item"] for name in ("valid", "test")]
    item = int(np.intersect1d(*(label[label > 0] for label in later))[0])
    features.interactions[item] = 0
    splits["train"] = without(splits["train"], item)
    found = {
        name: matrix_factorisation(settings(lake), [NEXT, RATING], splits, features, refit=rows)
        for name, rows in (("before", None), ("after", both))
    }
    asked = splits["test"].labels["next_item"] == item
    assert not found["before"].ranks["next_item"][asked].any() and found["after"].ranks["next_item"][asked].all()
    assert not np.array_equal(found["before"].scores["rating"], found["after"].scores["rating"])


def without(examples, item):
    """The rows of other items, with nothing seen."""
    rows = np.flatnonzero(examples.item != item)
    columns = ("user", "item", "history", "user_reviews", "item_reviews", "review", "event_time", "weight")
    return replace(
        examples,
        **{name: getattr(examples, name)[rows] for name in (*columns, "categories", "numbers", "written")},
        labels={name: label[rows] for name, label in examples.labels.items()},
        seen=(np.zeros(0, np.int32), np.zeros(len(rows) + 1, np.int64)),
    )


def settings(lake) -> Settings:
    source = {"name": "e", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
    return parse_settings(
        {
            "data": {"root": lake.root},
            "lake": {"root": lake.root},
            "sources": [source],
            "model": {"width": 8},
            "train": {"batch_size": 64},
        }
    )


def same(some: Predictions, others: Predictions) -> bool:
    return all(
        ours.keys() == theirs.keys() and all(np.array_equal(ours[task], theirs[task]) for task in ours)
        for ours, theirs in ((some.scores, others.scores), (some.ranks, others.ranks))
    )


def reciprocal(ranks):
    return sum(1 / rank for rank in ranks if rank)
