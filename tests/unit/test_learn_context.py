from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_lake import ENCODER, small_lake

from tandemrec.config import ModelSettings, TrainSettings, parse_settings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.learn import Data, Training, load_examples, load_features, sizes_of
from tandemrec.learn.context import Around
from tandemrec.model import Batch, MultiTaskModel

REVIEW = {name: name for name in ("user_id", "item_id", "text", "review_time")}
USERS, ROWS, LENGTH = 7, 60, 4
NAN = float("nan")


class Sized(SimpleNamespace):
    def __len__(self):
        return ROWS


@pytest.fixture
def examples():
    """Some rows say nothing of next item, some have no review, or one of a later split; times repeat."""
    random = np.random.default_rng(6)
    item = np.arange(1, ROWS + 1)
    label = np.where(random.random(ROWS) < 0.8, item, NAN)
    review = np.where(random.random(ROWS) < 0.8, 100 + item, 0)
    return Sized(
        user=random.integers(1, USERS, ROWS),
        item=item,
        review=review,
        written_reviews=np.where(random.random(ROWS) < 0.8, review, 0),
        event_time=random.permutation(ROWS) // 2,
        labels={"next_item": label},
    )


def batch_of(examples, rows):
    unknown = torch.full((len(rows), LENGTH), 999)
    column = {name: torch.from_numpy(getattr(examples, name)[rows]) for name in ("user", "item", "review")}
    return Batch(history=unknown, user_reviews=unknown[:, :2], item_reviews=unknown, labels={}, **column)


def test_a_row_knows_the_nearest_others_of_its_user_as_a_plain_account_says(examples):
    known = [n for n in range(ROWS) if examples.labels["next_item"][n] == examples.item[n]]
    line = {u: [n for n in known if examples.user[n] == u] for u in range(USERS)}
    for own in line.values():
        own.sort(key=lambda n: examples.event_time[n])  # rows of one time stay in their order
    rows = np.random.default_rng(7).permutation(ROWS)
    batch = batch_of(examples, rows)
    found = Around(examples, "next_item").applied(batch, rows)
    for place, row in enumerate(rows):
        if row not in known:
            assert (found.history[place] == 999).all() and (found.user_reviews[place] == 999).all()
            continue
        own = line[examples.user[row]]
        at = own.index(row)
        for column, values, length in (("item", found.history, LENGTH), ("written_reviews", found.user_reviews, 2)):
            near = sorted((n for n in own if n != row), key=lambda n: (abs(own.index(n) - at), own.index(n) > at))
            near = [n for n in near if abs(own.index(n) - at) <= length]
            told = [v for v in (int(getattr(examples, column)[n]) for n in near) if v][:length]
            assert values[place].tolist() == [0] * (length - len(told)) + told[::-1], (row, column)
        assert examples.item[row] not in found.history[place].tolist()
    assert found.item_reviews is batch.item_reviews


def test_it_is_refused_where_histories_hold_more_than_targets():
    raw = {
        "data": {"root": "data"},
        "lake": {"root": "lake"},
        "sources": [{"name": "a", "table": "reviews", "kind": "json", "path": "a", "columns": REVIEW}],
        "train": {"history": "around"},
        "examples": {"targets": ["purchase"]},
    }
    with pytest.raises(ConfigError, match=r"train\.history is around and examples\.targets is \['purchase'\]"):
        parse_settings(raw)


@pytest.mark.parametrize("task", ["next_item", "rating"])
def test_training_reads_it_where_the_settings_ask_for_it(tmp_path, task):
    """The same first step of the same model, with other histories: another loss. Of rows of next item, whatever is
    learned from them: what company gives a task is compared with the task alone.
    """
    small_lake(tmp_path)
    lake = Lake(str(tmp_path))
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    tasks, losses = [one for one in DEFAULT_TASKS if one.name == task], {}
    stop_on = {"next_item": "next_item/ndcg@10", "rating": "rating/rmse"}[task]
    for history in ("before", "around"):
        torch.manual_seed(8)
        model = MultiTaskModel(ModelSettings(width=8, dropout=0), tasks, sizes_of(lake, features, splits, tasks))
        settings = TrainSettings(history=history, batch_size=10_000, stop_on=stop_on)
        data = Data(features=features, train=splits["train"], valid=splits["valid"])
        training = Training(model, data, settings, seed=8)
        training.run_epoch()
        losses[history] = training.progress.curve[0]["losses"][task]
    assert losses["before"] != losses["around"]
