"""Figures of cold and warm users and items, by hand."""

import numpy as np
import pytest
from test_evaluate import NAN, NEXT, RATING, SENTIMENT, SETTINGS, rows

from tandemrec.evaluate import Predictions, Problem
from tandemrec.evaluate.warmth import by_warmth


def test_each_part_by_hand():
    """User 1 has 4 training interactions, user 2 one, user 3 none; item 7 has 3, item 8 two, item 9 none."""
    train = rows([1, 1, 1, 1, 2, 3], [7, 7, 8, 8, 7, 8], next_item=[7, 7, 8, 8, 7, NAN], rating=[5, 4, 3, 2, 1, 3])
    test = rows([1, 2, 3, 3], [9, 7, 8, 7], next_item=[9, 7, 8, NAN], rating=[1, 2, 3, 4], sentiment=[1, 1, 0, 0])
    interactions = np.array([0, 0, 0, 0, 0, 0, 0, 3, 2, 0])
    problem = Problem(tasks=[NEXT, RATING, SENTIMENT], train=train, test=test, interactions=interactions)
    answers = Predictions(
        ranks={"next_item": np.array([0, 1, 3, 0])},
        scores={"rating": np.array([1.0, 4, 3, 1]), "sentiment": np.ones(4)},
    )
    figures = by_warmth("m", answers, problem, cold=2, settings=SETTINGS, seed=1)
    found = {(f.task, f.metric, f.split): (f.value, f.rows) for f in figures}
    expected = {
        ("next_item", "ndcg@10", "test"): (0.5, 3),
        ("next_item", "hr@10", "test"): (2 / 3, 3),
        ("next_item", "ndcg@10", "test, cold user"): (0.75, 2),
        ("next_item", "hr@10", "test, cold user"): (1.0, 2),
        ("next_item", "ndcg@10", "test, warm user"): (0.0, 1),
        ("next_item", "hr@10", "test, warm user"): (0.0, 1),
        ("next_item", "ndcg@10", "test, cold item"): (0.25, 2),
        ("next_item", "hr@10", "test, cold item"): (0.5, 2),
        ("next_item", "ndcg@10", "test, warm item"): (1.0, 1),
        ("next_item", "hr@10", "test, warm item"): (1.0, 1),
        ("rating", "rmse", "test"): (np.sqrt(13 / 4), 4),
        ("rating", "rmse", "test, cold user"): (np.sqrt(13 / 3), 3),
        ("rating", "rmse", "test, warm user"): (0.0, 1),
        ("rating", "rmse", "test, cold item"): (0.0, 2),
        ("rating", "rmse", "test, warm item"): (np.sqrt(13 / 2), 2),
    }
    assert found.keys() == expected.keys()
    for key, (value, count) in expected.items():
        assert found[key] == (pytest.approx(value), count), key
