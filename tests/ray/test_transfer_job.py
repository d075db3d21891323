import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from small_lake import small_lake
from test_train import settings_for

from ray_train import transfer
from ray_train.train import looked_at
from ray_train.transfer import Trial, learned_tasks
from tandemrec.config import BalanceSettings, Task
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import Lake
from tandemrec.learn import load_examples

pytestmark = pytest.mark.usefixtures("ray_local")


@pytest.fixture(scope="module")
def made(ray_local, tmp_path_factory):
    """Three tasks, two seeds and the trade-off of two on a tiny lake."""
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    settings = settings_for(root, max_epochs=2)
    report = settings.report.model_copy(update={"path": str(root / "reports" / "index.html")})
    settings = settings.model_copy(update={"report": report})
    return root, settings, transfer.run(settings, 2, "rating,sentiment,category", "rating,sentiment")


def test_every_task_alone_by_pairs_and_with_all(made):
    root, _, figures = made
    found = {(one["task"], tuple(one["together"])): one for one in figures["lifts"]}
    sets = [
        ("rating", "sentiment", "category"),
        ("rating", "sentiment"),
        ("rating", "category"),
        ("sentiment", "category"),
    ]
    assert set(found) == {(task, together) for together in sets for task in together}
    for one in found.values():
        sign = -1 if one["metric"] == "rmse" else 1
        assert one["lift"] == pytest.approx(sign * (one["joint"] - one["alone"]), abs=1e-9)
        if one["metric"] == "auc":  # of fewer than ten people who were not content
            assert one["low"] is one["high"] is None
        else:
            assert one["low"] <= one["lift"] <= one["high"]
    assert len({one["alone"] for one in found.values() if one["task"] == "rating"}) == 1
    assert json.loads((root / "reports" / "transfer.json").read_text()) == json.loads(json.dumps(figures))
    assert [point["share"] for point in figures["pareto"]] == list(transfer.SHARES)
    for point in figures["pareto"]:  # a training a seed, and their mean
        assert len({*map(tuple, point["seeds"])}) == 2
        np.testing.assert_allclose((point["x"], point["y"]), np.mean(point["seeds"], axis=0))
    page = (root / "reports" / "transfer.html").read_text()
    for said in ("All together", "Which task helps which", "Who gains", "The trade-off of two", "rating", "sentiment"):
        assert said in page
    assert page.count("<svg") == 4 and "src=" not in page


def test_lifts_by_training_interactions_are_of_their_own_rows(made):
    root, settings, figures = made
    test = load_examples(Lake(str(root)))["test"]
    known = ~np.isnan(test.labels["rating"])
    parts = {one["part"]: one for one in figures["parts"]}
    assert {one["task"] for one in figures["parts"]} == {"rating"}  # the others read no user
    assert {one["together"] for one in figures["parts"]} == {("rating", "sentiment", "category")}
    for who in ("user", "item"):
        assert sum(one["rows"] for name, one in parts.items() if name.startswith(who)) == known.sum()
    config, splits, features = looked_at(settings)
    outcomes = [transfer.attempt(config, Trial(tasks=("rating",), seed=seed)) for seed in (0, 1)]
    interactions = features.interactions.numpy()[splits["test"].item]
    rows = np.flatnonzero(known & (interactions >= 6) & (interactions <= 10))
    errors = [outcome.answers["rating"][rows] - test.labels["rating"][rows] for outcome in outcomes]
    expected = np.mean([np.sqrt((error.astype(np.float64) ** 2).mean()) for error in errors])
    assert len(rows) == parts["item 6-10"]["rows"]
    assert parts["item 6-10"]["alone"] == pytest.approx(expected, abs=1e-6)


def test_a_trial_repeats_and_alone_equals_what_a_lone_training_gives(made):
    """The same trial gives the same figures; the values of its rows are of its best pass in validation."""
    from ray_train.train import READS, encoder_of
    from tandemrec.config.learning import DEFAULT_TASKS
    from tandemrec.learn import load_features, sizes_of

    root, settings, figures = made
    lake = Lake(str(root))
    splits, encoder = load_examples(lake), encoder_of(lake, settings)
    features = load_features(lake, encoder=encoder)
    config = {
        "settings": settings.model_dump(mode="json"),
        "sizes": asdict(sizes_of(lake, features, splits, DEFAULT_TASKS)),
        "encoder": encoder,
        "versions": {name: v for name in READS if (v := lake.version(name)) is not None},
    }
    outcomes = [transfer.attempt(config, Trial(tasks=("rating",), seed=seed)) for seed in (0, 1)]
    alone = next(one["alone"] for one in figures["lifts"] if one["task"] == "rating")
    task = next(task for task in settings.tasks if task.name == "rating")
    means = [transfer.values_of(task, outcome.answers["rating"], splits["test"]).mean() for outcome in outcomes]
    assert np.mean(means) == pytest.approx(alone, abs=1e-6)
    for outcome, mean in zip(outcomes, means, strict=True):
        best = int(np.argmin(outcome.valid["rating"]))
        assert mean == pytest.approx(outcome.test["rating"][best])


def test_tasks_of_a_trial():
    tasks = [Task(name="click", kind="binary"), Task(name="purchase", kind="binary", given="click", weight=3.0)]
    alone = learned_tasks(tasks, Trial(tasks=("purchase",), seed=0))
    assert [(t.name, t.given, t.weight) for t in alone] == [("purchase", "", 3.0)]
    both = learned_tasks(tasks, Trial(tasks=("purchase", "click"), seed=0, share=0.3))
    assert [(t.name, t.given) for t in both] == [("purchase", "click"), ("click", "")]
    assert [t.weight for t in both] == pytest.approx([1.8, 1.4])


@pytest.mark.parametrize(
    ("seeds", "tasks", "pareto", "message"),
    [
        (3, "rating,stars", "", "no task 'stars', expected some of"),
        (3, "rating", "", "1 tasks and 3 seeds, expected at least two tasks"),
        (3, "", "rating", "--pareto rating: expected two tasks"),
        (
            3,
            "rating,sentiment",
            "rating,category",
            r"expected two tasks, TASK,TASK, of \['rating', 'sentiment'",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused(made, seeds, tasks, pareto, message):
    _, settings, _ = made
    with pytest.raises(ConfigError, match=message):
        transfer.run(settings, seeds, tasks, pareto)


def test_weights_are_compared_where_nothing_else_weighs(made):
    _, settings, _ = made
    train = settings.train.model_copy(update={"balance": BalanceSettings(method="gradnorm")})
    with pytest.raises(ConfigError, match=r"train.balance.method is gradnorm, which undoes .* expected fixed"):
        transfer.run(settings.model_copy(update={"train": train}), 1, "rating,sentiment", "rating,sentiment")


def test_a_trial_reads_words_where_the_model_does(made):
    _, settings, _ = made
    read = settings.model.model_copy(update={"bottoms": ["vectors", "cnn"]})
    config, _, _ = looked_at(settings.model_copy(update={"model": read}))
    outcome = transfer.attempt(config, Trial(tasks=("sentiment",), seed=0))
    assert np.isfinite(outcome.answers["sentiment"]).all() and len(outcome.valid["sentiment"]) == 2


def test_a_task_that_held_out_rows_do_not_tell_is_refused_before_any_training(made, monkeypatch):
    _, settings, _ = made
    monkeypatch.setattr(transfer, "side_by_side", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(ConfigError, match=r"task click: no test row has the label click; leave it out with --tasks"):
        transfer.run(settings, 1, "rating,click", "")
    _, splits, features = looked_at(settings)
    for split in ("valid", "test"):
        same = dict(splits[split].labels) | {"sentiment": splits[split].labels["sentiment"] * 0}
        odd = splits | {split: replace(splits[split], labels=same)}
        monkeypatch.setattr(transfer, "looked_at", lambda _, odd=odd: ({}, odd, features))
        said = f"task sentiment: the label sentiment is 0 in every {split} row, and of one class there is no AUC"
        with pytest.raises(ConfigError, match=said):
            transfer.run(settings, 1, "rating,sentiment", "")


def test_a_trial_that_fails_says_why_in_a_line(ray_local):
    def fails(config, trial):
        raise ModelError(f"the loss of task {trial} is nan in epoch 1")

    with pytest.raises(ModelError) as told:
        transfer.side_by_side(fails, {}, ["rating"], gpu=False)
    assert str(told.value) == "training failed: tandemrec.errors.ModelError: the loss of task rating is nan in epoch 1"
