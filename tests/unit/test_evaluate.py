import io
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from evaluated_rows import by_name, rows
from rich.console import Console
from sklearn.linear_model import Ridge

from tandemrec.config import EvaluateSettings, Task
from tandemrec.ease import LARGEST, item_weights
from tandemrec.evaluate import (
    BASELINES,
    Predictions,
    Problem,
    by_experience,
    compare,
    comparison_tables,
    measure,
)
from tandemrec.evaluate.ease import ease_ranks
from tandemrec.evaluate.experience import BANDS

NAN = float("nan")
NEXT = Task(name="next_item", kind="next_item", reads=["user"])
RATING = Task(name="rating", kind="regression")
CLICK = Task(name="click", kind="binary")
SENTIMENT = Task(name="sentiment", kind="binary", reads=["review"])
CATEGORY = Task(name="category", kind="multiclass", reads=["review"])
SETTINGS = EvaluateSettings(cutoffs=[1, 3], resamples=100)


def test_each_row_is_a_query_where_time_orders_them_and_each_user_where_there_is_none():
    test = rows([1, 1, 2], [5, 6, 5], next_item=[5, 6, 5])
    predictions = Predictions(ranks={"next_item": np.array([1, 4, 2])})

    def ranking(test):
        figures = measure("tandemrec", predictions, test, [NEXT], settings=SETTINGS, seed=1)
        return {metric: (figure.value, figure.rows) for (_, metric), figure in by_name(figures).items()}

    by_row, by_user = ranking(test), ranking(replace(test, timeless=True))
    assert by_row["hr@3"] == (pytest.approx(2 / 3), 3)
    assert by_row["recall@3"] == by_row["hr@3"]
    assert by_row["ndcg@3"][0] == pytest.approx((1 + 0 + 1 / np.log2(3)) / 3)
    assert by_row["mrr@3"][0] == pytest.approx((1 + 0 + 1 / 2) / 3)
    assert by_user["hr@3"] == (1.0, 2)
    assert by_user["recall@3"] == (pytest.approx((1 / 2 + 1) / 2), 2)
    assert by_user["ndcg@3"][0] == pytest.approx((1 / (1 + 1 / np.log2(3)) + 1 / np.log2(3)) / 2)


def test_a_task_is_measured_on_its_labelled_rows_alone_with_intervals_around_the_value(monkeypatch):
    monkeypatch.setattr(compare, "LEAST", 1)  # of two rows intervals are known by hand
    test = rows([1, 2, 3, 4], [1, 1, 1, 1], rating=[4, NAN, 2, NAN], click=[NAN, 1, NAN, 0], sentiment=[NAN] * 4)
    predictions = Predictions(
        scores={
            "rating": np.array([5.0, 99, 4.0, NAN]),  # answers on unlabelled rows count for nothing
            "click": np.array([NAN, 0.9, NAN, 0.2]),
            "sentiment": np.zeros(4),
        }
    )
    tasks = [CLICK, RATING, SENTIMENT]
    figures = by_name(measure("m", predictions, test, tasks, settings=SETTINGS, seed=1))
    assert figures["rating", "rmse"].value == pytest.approx(2.5**0.5)
    assert figures["rating", "mae"].value == 1.5
    assert figures["click", "accuracy"].value == figures["click", "auc"].value == 1
    assert {figure.rows for figure in figures.values()} == {2}
    assert {task for task, _ in figures} == {"click", "rating"}
    assert (figures["rating", "mae"].low, figures["rating", "mae"].high) == (1.0, 2.0)
    # The squares are 1 and 4: each weighs 1.5 / (2 RMSE) to its side.
    assert figures["rating", "rmse"].low == pytest.approx(2.5**0.5 - 1.5 / (2 * 2.5**0.5))
    assert figures["rating", "rmse"].high == pytest.approx(2.5**0.5 + 1.5 / (2 * 2.5**0.5))
    assert (figures["click", "f1"].low, figures["click", "f1"].high) == (1.0, 1.0)
    assert {figure.lead for figure in figures.values()} == {None}


def test_a_lead_is_that_over_a_baseline_on_the_same_rows_whichever_way_the_metric_goes():
    """Both find the same rows hard: side by side the intervals overlap, the differences are all of one sign."""
    draw = np.random.default_rng(6)
    hard = draw.exponential(2, 400)
    test = rows(np.arange(400), np.ones(400), rating=np.zeros(400), next_item=np.ones(400))
    ranks = np.where(draw.random(400) < 0.5, 2, 0)
    ours = Predictions(scores={"rating": hard}, ranks={"next_item": ranks})
    theirs = Predictions(scores={"rating": hard + 0.1}, ranks={"next_item": np.where(ranks > 0, 3, 0)})
    how = {"settings": SETTINGS, "seed": 1}
    model = by_name(measure("tandemrec", ours, test, [RATING, NEXT], **how))
    baseline = by_name(measure("b", theirs, test, [RATING, NEXT], ours=ours, **how))
    for key in (("rating", "mae"), ("rating", "rmse"), ("next_item", "ndcg@3"), ("next_item", "mrr@3")):
        found, own = baseline[key], model[key]
        assert found.lead == pytest.approx(abs(own.value - found.value)) and found.lead > 0
        assert 0 < found.lead_low <= found.lead + 1e-9 and found.lead <= found.lead_high + 1e-9
        assert own.lead is None
    mae, mine = baseline["rating", "mae"], model["rating", "mae"]
    assert mine.high > mae.low  # told apart by the differences alone
    level = by_name(measure("b", ours, test, [RATING, NEXT], ours=ours, **how))
    assert {(f.lead, f.lead_low, f.lead_high) for f in level.values()} == {(0.0, 0.0, 0.0)}
    swapped = by_name(measure("b", ours, test, [RATING, NEXT], ours=theirs, **how))
    assert swapped["rating", "rmse"].lead_high < 0 and swapped["next_item", "ndcg@3"].lead_high < 0


def test_intervals_end_where_the_metric_does():
    label, score = np.arange(30) >= 10, np.where(np.arange(30) > 10, 0.9, 0.1)
    score[0] = 0.9
    test = rows(np.arange(30), np.ones(30), click=label)
    figures = measure("m", Predictions(scores={"click": score}), test, [CLICK], settings=SETTINGS, seed=1)
    assert {f.metric for f in figures if f.high == 1.0} >= {"precision", "recall", "f1"}
    assert all(0 <= f.low <= f.value <= f.high for f in figures)
    assert max(f.high for f in figures if f.metric != "log_loss") == 1.0


def test_popularity_ranks_are_those_of_a_brute_force_count():
    random = np.random.default_rng(3)
    interactions = random.integers(0, 6, size=31)  # many ties, some items unseen in training
    interactions[0] = 0
    target = random.integers(1, 31, size=80)
    seen = [
        random.choice(np.setdiff1d(np.arange(1, 31), t), size=random.integers(0, 9), replace=False).tolist()
        for t in target
    ]
    label = target.astype(float)
    label[::7] = NAN
    problem = Problem(
        tasks=[NEXT],
        train=rows([1], [1], next_item=[1]),
        test=rows(np.ones(80), target, seen, next_item=label),
        interactions=interactions,
    )
    want = []
    for t, own in zip(label, seen, strict=True):
        candidates = {i for i in range(1, 31) if interactions[i] > 0} - set(own)
        before = [i for i in candidates if i != t and t in candidates and interactions[i] >= interactions[int(t)]]
        want.append(1 + len(before) if t in candidates else 0)
    assert BASELINES["popularity"](problem).ranks["next_item"].tolist() == want


def test_ease_weighs_items_as_a_ridge_regression_of_each_on_the_others_does():
    """Brute force: column j of B is scikit-learn's ridge regression of item j on all others, without an intercept."""
    chosen = np.random.default_rng(4).random((60, 9)) < 0.3
    matrix = chosen.astype(float)
    weights = item_weights(matrix.T @ matrix, 2.0)
    for item in range(9):
        others = np.delete(np.arange(9), item)
        ridge = Ridge(2.0, fit_intercept=False, tol=1e-12).fit(matrix[:, others], matrix[:, item])
        np.testing.assert_allclose(weights[others, item], ridge.coef_, atol=1e-9)
        assert weights[item, item] == 0


def test_ease_ranks_what_goes_with_what_a_user_has_seen_first():
    """Items 1 and 2 are always chosen together, so are 3 and 4; 5 is popular with all, 6 was never chosen."""
    users = np.repeat(np.arange(1, 31), 3)
    items = np.concatenate([[1, 2, 5] if user % 2 else [3, 4, 5] for user in range(1, 31)])
    test = rows([1, 2, 3, 4], [2, 4, 6, 3], [[1], [3], [1], [4, 3]], next_item=[2, 4, 6, NAN])
    for column in test.seen:  # as they are where examples are mapped files
        column.setflags(write=False)
    problem = Problem(
        tasks=[NEXT],
        train=rows(users, items, next_item=items),
        test=test,
        valid=test,
        interactions=np.bincount(items, minlength=7),
    )
    assert BASELINES["ease"](problem).ranks["next_item"].tolist() == [1, 1, 0, 0]
    other = replace(problem, test=rows([1], [3], [[1, 5]], next_item=[3]))  # of 2, 3, 4 what goes with 1 comes first
    assert BASELINES["ease"](other).ranks["next_item"].tolist() == [3]
    wide = replace(problem, interactions=np.ones(LARGEST + 1))
    assert not BASELINES["ease"](wide).ranks


def test_ease_takes_the_penalty_that_validation_likes_and_ranks_candidates_alone(monkeypatch):
    """Two sets of weights in place of two penalties: 1 leads to 2, or away from it. Item 3 was never chosen."""
    away, towards = np.zeros((4, 4)), np.zeros((4, 4))
    away[1, 2], towards[1, 2] = -1, 1
    found = iter((away, towards))
    monkeypatch.setattr("tandemrec.evaluate.ease.PENALTIES", (1.0, 2.0))
    monkeypatch.setattr("tandemrec.evaluate.ease.item_weights", lambda gram, penalty: next(found))
    test = rows([1], [2], [[1]], next_item=[2])
    problem = Problem(
        tasks=[NEXT],
        train=rows([1, 1, 1], [0, 1, 2], next_item=[0, 1, 2]),
        test=test,
        valid=test,
        interactions=np.array([1, 1, 1, 0]),
    )
    assert BASELINES["ease"](problem).ranks["next_item"].tolist() == [1]
    assert ease_ranks(away, problem.interactions, test, NEXT).tolist() == [2]  # behind item 0, and not behind item 3


def test_whoever_has_seen_nothing_gets_what_is_popular_of_ease():
    draw = np.random.default_rng(11)
    interactions = np.r_[0, draw.integers(0, 5, 30)]
    target = draw.integers(1, 31, 40)
    test = rows(np.ones(40), target, next_item=target)
    problem = Problem(tasks=[NEXT], train=rows([1], [1], next_item=[1]), test=test, interactions=interactions)
    expected = BASELINES["popularity"](problem).ranks["next_item"]
    np.testing.assert_array_equal(ease_ranks(draw.random((31, 31)), interactions, test, NEXT), expected)


def test_biases_are_damped_as_validation_likes_it():
    """Users with four ratings each who differ much, or hardly: five more at the mean are too many, or too few."""
    draw = np.random.default_rng(12)
    found = {}
    for spread in (2.0, 0.1):
        user = np.repeat(np.arange(1, 301), 6)
        stars = 3 + spread * draw.normal(size=301)[user] + draw.normal(size=len(user))
        parts = [np.arange(len(user)) % 6 < 4, np.arange(len(user)) % 6 == 4, np.arange(len(user)) % 6 == 5]
        train, valid, test = (rows(user[part], np.ones(part.sum(), int), rating=stars[part]) for part in parts)
        problem = Problem(tasks=[RATING], train=train, valid=valid, test=test, interactions=np.ones(2))

        def error(problem):
            return np.square(BASELINES["bias"](problem).scores["rating"] - problem.test.labels["rating"]).mean()

        found[spread] = error(problem) / error(replace(problem, valid=None))
        again = replace(problem, refit=rows(user, np.ones(len(user), int), rating=stars))
        assert error(again) < error(problem)  # learned from all, damped as before
    assert found[2.0] < 0.9 and found[0.1] < 0.99


def test_constant_and_bias_baselines_by_hand():
    train = rows([1, 1, 2], [1, 2, 1], rating=[5, 3, 1], click=[1, 1, 0], sentiment=[1, NAN, 1], category=[1, 2, 2])
    test = rows([1, 9], [1, 9], rating=[4, 4], click=[1, 0], sentiment=[0, 1], category=[3, 1])
    problem = Problem(
        tasks=[RATING, CLICK, SENTIMENT, CATEGORY], train=train, test=test, interactions=np.array([0, 2, 1])
    )
    popular = BASELINES["popularity"](problem).scores
    assert popular["rating"].tolist() == [3, 3] and popular["click"] == pytest.approx([3 / 5, 3 / 5])
    assert set(popular) == {"rating", "click"}
    major = BASELINES["majority"](problem).scores
    assert major["sentiment"] == pytest.approx([3 / 4, 3 / 4])
    np.testing.assert_allclose(major["category"], [np.array([1, 2, 3, 1]) / 7] * 2)
    assert set(major) == {"sentiment", "category"}
    item_1 = (2 - 2) / (2 + 5)
    user_1 = ((2 - item_1) + (0 - 0 / 6)) / (2 + 5)
    biased = BASELINES["bias"](problem).scores
    assert set(biased) == {"rating", "click"}
    assert biased["rating"] == pytest.approx([3 + user_1 + item_1, 3])
    clicked_1, clicked_2 = (1 / 3 - 2 / 3) / (2 + 5), (1 / 3) / (1 + 5)
    clicks_1 = ((1 / 3 - clicked_1) + (1 / 3 - clicked_2)) / (2 + 5)
    assert biased["click"] == pytest.approx([2 / 3 + clicks_1 + clicked_1, 2 / 3])


def test_biases_are_never_certain():
    """Item 1 is .4 above the mean of .5 and user 1 another .08, which is more than 41 of 42."""
    train = rows([1] * 20 + [2] * 20, [1] * 20 + [2] * 20, click=[1] * 20 + [0] * 20)
    test = rows([1, 2, 1], [1, 2, 2], click=[1, 0, 1])
    problem = Problem(tasks=[CLICK], train=train, test=test, interactions=np.array([0, 20, 20]))
    assert BASELINES["bias"](problem).scores["click"] == pytest.approx([41 / 42, 1 / 42, 0.5 - 0.4 + 0.08])


def test_words_in_a_row_tell_what_single_ones_do_not():
    """Not good and not bad have the same words but for one; a class that training lacks is never told."""
    random = np.random.default_rng(5)
    likes = random.integers(2, size=200)
    said = [
        " ".join(random.permutation(["not bad", "good"] if like else ["not good", "bad"])) + f", \u5f88 {number}"
        for number, like in enumerate(likes)
    ]
    stars = Task(name="stars", kind="regression", reads=["review"])
    label = {"sentiment": likes, "category": 1 + 2 * likes, "stars": 1 + 4 * likes, "rating": likes}
    train = rows(range(150), range(150), **{name: values[:150] for name, values in label.items()})
    test = rows(range(50), range(50), **{name: values[150:] for name, values in label.items()})
    test.labels["category"][0] = 4

    def texts(index):
        return [said[i] for i in index] if len(index) == 150 else [said[150 + i] for i in index]

    problem = Problem(
        tasks=[SENTIMENT, CATEGORY, stars, RATING], train=train, test=test, interactions=np.ones(1), texts=texts
    )
    scores = BASELINES["tfidf"](problem).scores
    assert set(scores) == {"sentiment", "category", "stars"}
    assert ((scores["sentiment"] > 0.5) == likes[150:]).all()
    assert (scores["category"].argmax(1) == 1 + 2 * likes[150:]).all() and scores["category"].shape == (50, 5)
    assert (scores["category"][:, [0, 2, 4]] == 0).all()
    np.testing.assert_allclose(scores["category"].sum(1), 1)
    assert np.abs(scores["stars"] - test.labels["stars"]).mean() < 1
    assert not BASELINES["tfidf"](replace(problem, texts=None)).scores


def test_a_baseline_leaves_out_a_task_that_training_says_nothing_about():
    problem = Problem(
        tasks=[RATING, SENTIMENT],
        train=rows([1], [1], rating=[NAN], sentiment=[NAN]),
        test=rows([1], [1], rating=[4], sentiment=[1]),
        interactions=np.array([0, 1]),
        texts=lambda index: ["good"] * len(index),
    )
    assert all(not baseline(problem).scores for baseline in BASELINES.values())


def test_every_numpy_baseline_is_one_that_the_settings_know():
    known = get_args(get_args(EvaluateSettings.model_fields["baselines"].annotation)[0])
    assert set(known) == {*BASELINES, "matrix_factorisation"}


def test_a_task_has_a_table_of_the_models_that_answer_it(monkeypatch):
    monkeypatch.setattr(compare, "LEAST", 1)
    test = rows([1, 2], [1, 1], rating=[4, 2], click=[1, 0])
    ours = {"rating": np.array([4.0, 3.0]), "click": np.array([0.9, 0.1])}
    answers = {"tandemrec": ours, "bias": {"rating": np.array([4.0, 2.0])}, "far": {"rating": np.array([8.0, 9.0])}}
    figures = []
    for model, scores in answers.items():
        of = None if model == "tandemrec" else Predictions(scores=ours)
        how = {"settings": SETTINGS, "seed": 1, "ours": of}
        figures += measure(model, Predictions(scores=scores), test, [RATING, CLICK], **how)
    console = Console(width=120, file=io.StringIO())
    console.print(*comparison_tables(figures))
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert lines[0] == ["rating", "tandemrec", "bias", "far"]
    assert lines[1] == ["rmse", "0.7071", "0.0000▼", "5.7009▲"]
    assert lines[3:5] == [["click", "tandemrec"], ["accuracy", "1.0000"]]


def test_names_of_metrics_are_whole_on_a_narrow_terminal():
    test = rows([1, 2], [1, 1], click=[1, 0])
    answers = Predictions(scores={"click": np.array([0.9, 0.1])})
    figures = []
    for model in ("tandemrec", "popularity", "majority", "matrix_factorisation", "bias", "ease", "tfidf"):
        figures += measure(model, answers, test, [CLICK], settings=SETTINGS, seed=1, ours=answers)
    console = Console(width=80, file=io.StringIO())
    console.print(*comparison_tables(figures))
    text = console.file.getvalue()
    assert "accuracy" in text and "precision" in text and "log_loss" in text
    assert "…" not in text


class TestExperience:
    """Figures by how often the row's user and item were seen in training."""

    @pytest.fixture
    def problem(self):
        """User 1 has 4 training interactions, user 2 one, user 3 none; item 7 has 3, item 8 two, item 9 none."""
        train = rows([1, 1, 1, 1, 2, 3], [7, 7, 8, 8, 7, 8], next_item=[7, 7, 8, 8, 7, NAN], rating=[5, 4, 3, 2, 1, 3])
        test = rows([1, 2, 3, 3], [9, 7, 8, 7], next_item=[9, 7, 8, NAN], rating=[1, 2, 3, 4], sentiment=[1, 1, 0, 0])
        interactions = np.array([0, 0, 0, 0, 0, 0, 0, 3, 2, 0])
        return Problem(tasks=[NEXT, RATING, SENTIMENT], train=train, test=test, interactions=interactions)

    def test_each_band_by_hand(self, problem):
        answers = Predictions(
            ranks={"next_item": np.array([0, 1, 3, 0])},
            scores={"rating": np.array([1.0, 4, 3, 1]), "sentiment": np.ones(4)},
        )
        figures = by_experience("m", answers, problem, settings=SETTINGS, seed=1)
        assert {f.lead for f in figures} == {None}
        better = Predictions(ranks={"next_item": np.array([0, 1, 1, 0])}, scores={"rating": np.array([1.0, 2, 4, 3])})
        leads = by_experience("m", answers, problem, settings=SETTINGS, seed=1, ours=better)
        told = {(f.task, f.split): f.lead for f in leads}
        assert told["next_item", "test, user 0"] == 0.5 and told["rating", "test, user 1-2"] == 2.0
        assert told["rating", "test, item 1-2"] == -1.0
        found = {(f.task, f.metric, f.split.removeprefix("test, ")): (round(f.value, 6), f.rows) for f in figures}
        assert found == {
            ("next_item", "ndcg@10", "user 0"): (0.5, 1),
            ("next_item", "ndcg@10", "user 1-2"): (1.0, 1),
            ("next_item", "ndcg@10", "user 3-5"): (0.0, 1),
            ("next_item", "ndcg@10", "item 0"): (0.0, 1),
            ("next_item", "ndcg@10", "item 1-2"): (0.5, 1),
            ("next_item", "ndcg@10", "item 3-5"): (1.0, 1),
            ("rating", "rmse", "user 0"): (round(np.sqrt(4.5), 6), 2),
            ("rating", "rmse", "user 1-2"): (2.0, 1),
            ("rating", "rmse", "user 3-5"): (0.0, 1),
            ("rating", "rmse", "item 0"): (0.0, 1),
            ("rating", "rmse", "item 1-2"): (0.0, 1),
            ("rating", "rmse", "item 3-5"): (round(np.sqrt(6.5), 6), 2),
        }

    def test_the_bands_hold_every_number_once(self):
        for number in (0, 1, 2, 3, 5, 6, 10, 11, 20, 21, 50, 51, 10**6):
            assert sum(low <= number and (high is None or number <= high) for low, high in BANDS) == 1
