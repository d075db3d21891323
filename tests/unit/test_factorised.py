"""The lone matrix factorisation that a joint model is held against has settings of its own, chosen before the test."""

import numpy as np
import pytest
from small_lake import ENCODER, small_lake

from tandemrec.config import BalanceSettings, Task, parse_settings
from tandemrec.learn import load_examples, load_features
from tandemrec.learn.balance import BALANCERS
from tandemrec.learn.feeds import TRAIN_VALID
from tandemrec.rank import factorised

NEXT = Task(name="next_item", kind="next_item", reads=["user"])
RATING = Task(name="rating", kind="regression")


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    return small_lake(tmp_path_factory.mktemp("lake"))


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(factorised, "LOOP", factorised.LOOP | {"max_epochs": 4})


def answers_of(lake, tasks, *, refit=None, **of_train):
    source = {"name": "e", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
    settings = parse_settings(
        {
            "data": {"root": lake.root},
            "lake": {"root": lake.root},
            "sources": [source],
            "model": {"width": 8},
            "train": {"batch_size": 64} | of_train,
        }
    )
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    return factorised.matrix_factorisation(settings, tasks, splits, features, refit=refit)


def test_how_the_model_balances_its_tasks_is_nothing_to_it(lake):
    """Uncertainty weighs the loss of a lone task too, and would lead elsewhere."""
    plain = answers_of(lake, [RATING])
    for method in BALANCERS:
        balance = BalanceSettings(method=method).model_dump()
        np.testing.assert_array_equal(
            answers_of(lake, [RATING], balance=balance).scores["rating"], plain.scores["rating"]
        )


def test_its_settings_are_chosen_before_validation_rows_are_learned_from(lake, capsys):
    """What is said of the choice is the same whether it then learns from both or not; the answers are not."""
    both = load_examples(lake, parts=[TRAIN_VALID])[TRAIN_VALID]
    alone, said_alone = answers_of(lake, [NEXT]), capsys.readouterr().out
    again, said_again = answers_of(lake, [NEXT], refit=both), capsys.readouterr().out
    assert said_alone == said_again and "in epoch" in said_alone
    assert not np.array_equal(alone.ranks["next_item"], again.ranks["next_item"])
