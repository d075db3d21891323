"""Evaluate and predict on a small lake with a model that has learned for two epochs."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_lake import ENCODER, USERS, small_lake

from ray_train import evaluate, predict
from tandemrec.config import parse_settings
from tandemrec.errors import ModelError
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import (
    Data,
    Metadata,
    fit,
    load_examples,
    load_features,
    models_folder,
    save_model,
    score_examples,
    sizes_of,
)
from tandemrec.metrics import prediction_metrics, ranking_metrics
from tandemrec.model import MultiTaskModel
from tandemrec.rank.users import user_batch

pytestmark = pytest.mark.usefixtures("ray_local")
RUN = "0123456789ab"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    root = str(tmp_path_factory.mktemp("lake"))
    source = {"name": "s", "table": "events", "kind": "pairs", "path": "p", "constants": {"event_type": "click"}}
    return parse_settings(
        {
            "data": {"root": root},
            "lake": {"root": root},
            "sources": [source],
            "model": {"width": 8, "tower": [8], "experts": 2},
            "train": {"batch_size": 64, "max_epochs": 2, "learning_rate": 0.01},
            "evaluate": {"resamples": 20, "batch_size": 16, "cutoffs": [3]},
            "predict": {"k": 5, "batch_size": 16},
        }
    )


@pytest.fixture(scope="module")
def trained(settings):
    """The lake after `train`: examples, the state of users as of now, a model, the record of its run."""
    lake = small_lake(settings.lake.root)
    _user_features(lake)
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    torch.manual_seed(1)
    model = MultiTaskModel(settings.model, settings.tasks, sizes_of(lake, features, splits, settings.tasks))
    fit(model, Data(features=features, train=splits["train"], valid=splits["valid"]), settings.train, seed=1)
    for calibration in model.calibration.values():  # not what the likeliest class would say
        calibration.weights.copy_(torch.linspace(3, 0.5, len(calibration.weights)))
    _finish(lake, model, RUN)
    return lake, model, splits["test"], features


def _user_features(lake: Lake) -> None:
    rows = {user: {"user_index": user, "history": [], "reviews": [], "seen": []} for user in range(1, USERS + 1)}
    examples = [row for row in lake.read("examples").to_pylist() if row["kind"] == "interaction"]
    for row in sorted(examples, key=lambda row: row["event_time"]):
        of_user = rows[row["user"]]
        of_user["history"] = [*of_user["history"], row["item"]][-5:]
        of_user["reviews"] = [*of_user["reviews"], row["review"]][-3:]
        of_user["seen"].append(row["item"])
    rows[USERS] = {"user_index": USERS, "history": [], "reviews": [], "seen": []}  # somebody who is new
    lake.overwrite(
        "user_features", pa.Table.from_pylist(list(rows.values()), arrow_schema(lake.table("user_features")))
    )


def _finish(lake: Lake, model: MultiTaskModel, run_id: str) -> None:
    inputs = {table.name: table.version for table in lake.tables() if table.name not in ("runs", "metrics")}
    metadata = Metadata(run_id=run_id, encoder=ENCODER, versions=inputs, epoch=2, metrics={})
    save_model(Path(models_folder(lake.root, run_id)) / "best", model, metadata)
    done = {"status": "done", "started_at": runs.now(), "seconds": 1.0, "config_hash": "", "code_version": ""}
    runs.record(lake, runs.Run(run_id=run_id, stage="train", inputs=inputs, outputs={}, **done))


def _staged(lake: Lake, name: str) -> pa.Table:
    """The rows by their key: tasks end in any order, so the files of a table come in any order."""
    keys = [(key, "ascending") for key in lake.table(name).key]
    return lake.read(f"{name}_staging").sort_by(keys)


def test_recommendations_are_the_best_unseen_candidates_of_every_user(settings, trained):
    lake, model, _, features = trained
    figures = predict.run(settings)
    rows = lake.read("recommendations_staging").sort_by([("user_id", "ascending"), ("rank", "ascending")])
    assert figures["recommendations"] == rows.num_rows == 5 * USERS
    assert figures["users"] == USERS
    assert set(rows["model_version"].to_pylist()) == {f"{RUN}/2"}
    users = {row["user_index"]: row for row in lake.read("user_features").to_pylist()}
    rated = {(r["user"], r["item"]): r["rating"] for r in lake.read("examples").to_pylist() if r["rating"] is not None}
    with torch.inference_mode():
        catalogue = model.catalogue(features)
        batch = user_batch(lake.read("user_features"), model.sizes.history)
        scores = (model.users(batch, features, catalogue) @ catalogue.vectors.T + catalogue.bias).numpy()
    by_user = {}
    for row in rows.to_pylist():
        by_user.setdefault(row["user_id"], []).append(row)
    for place, user in enumerate(batch.user.tolist()):
        candidates = set(np.flatnonzero(features.candidates.numpy())) - set(users[user]["seen"])
        want = sorted(candidates, key=lambda item: -scores[place, item])[:5]
        got = by_user[f"u{user}"]
        assert [row["item_id"] for row in got] == [f"i{item}" for item in want]
        assert [row["score"] for row in got] == pytest.approx(scores[place, want].tolist(), rel=1e-4)
        liked = [item for item in users[user]["history"] if rated[user, item] > 2]
        reasons = {f"because:i{item}" for item in liked} or {"popular"}
        assert {row["reason"] for row in got} <= reasons
    assert figures["because"] == 5 * (USERS - 1)
    before = [_staged(lake, name) for name in ("recommendations", "predictions")]
    assert predict.run(settings) == figures
    assert [_staged(lake, name) for name in ("recommendations", "predictions")] == before


def test_every_test_pair_has_the_score_of_each_task_once(settings, trained):
    lake, model, test, features = trained
    rows = lake.read("predictions_staging").to_pylist()
    interactions = np.flatnonzero(~np.isnan(test.labels["next_item"]) | ~np.isnan(test.labels["click"]))
    pairs = {(f"u{test.user[n]}", f"i{test.item[n]}") for n in interactions}
    assert {(row["user_id"], row["item_id"]) for row in rows} == pairs
    assert len(rows) == len(pairs)
    scored = score_examples(model, test, features)
    by_pair = {(f"u{test.user[n]}", f"i{test.item[n]}"): n for n in interactions}
    for row in rows:
        scores, n = dict(row["scores"]), by_pair[row["user_id"], row["item_id"]]
        assert set(scores) == {"next_item", "click", "purchase", "rating"}
        for task in ("click", "purchase", "rating"):
            assert scores[task] == pytest.approx(float(scored.scores[task][n]), rel=1e-4)


def test_figures_are_those_of_the_scores_and_a_rerun_changes_none(settings, trained):
    lake, model, test, features = trained
    figures = evaluate.run(settings)
    rows = lake.read("metrics").to_pylist()
    whole = [row for row in rows if row["split"] == "test"]
    of_model = {(row["task"], row["metric"]): row for row in whole if row["model"] == "tandemrec"}
    scored = score_examples(model, test, features)
    for task in model.tasks:
        known = ~np.isnan(test.labels[task.column])
        if not known.any():
            continue
        if task.kind == "next_item":
            ranks = scored.ranks[task.name][known]
            want = {k: v.mean() for k, v in ranking_metrics(ranks, np.arange(len(ranks)), [3]).items()}
        else:
            label, answer = test.labels[task.column][known], scored.scores[task.name][known]
            weights = model.calibration[task.name].weights.numpy()
            want = prediction_metrics(task.kind, label, answer, weights)
            if task.kind != "regression":
                assert want["accuracy"] != prediction_metrics(task.kind, label, answer)["accuracy"], task.name
        assert {k: row["value"] for (t, k), row in of_model.items() if t == task.name} == pytest.approx(want, rel=1e-4)
        assert {row["rows"] for (t, _), row in of_model.items() if t == task.name} == {int(known.sum())}
    for who in ("user", "item"):  # every test row of a task is in one band
        told = [
            r
            for r in rows
            if r["model"] == "tandemrec" and r["task"] == "rating" and r["split"].startswith(f"test, {who}")
        ]
        assert sum(row["rows"] for row in told) == of_model["rating", "rmse"]["rows"]
    assert {row["model"] for row in rows} == {"tandemrec", *settings.evaluate.baselines}
    assert {row["run_id"] for row in rows} == {RUN}
    ndcg = of_model["next_item", "ndcg@3"]
    assert ndcg["low"] <= ndcg["value"] <= ndcg["high"]
    assert figures["tandemrec"]["next_item/ndcg@3"] == pytest.approx(ndcg["value"], abs=1e-6)
    key = [(name, "ascending") for name in lake.table("metrics").key]
    assert evaluate.run(settings) == figures
    assert lake.read("metrics").sort_by(key).to_pylist() == sorted(rows, key=lambda r: tuple(r[k] for k, _ in key))


def test_a_new_model_adds_its_own_figures(settings, trained):
    lake, model, *_ = trained
    before = lake.info("metrics").rows
    _finish(lake, model, "ba9876543210")
    assert predict.depends_on(settings) == evaluate.depends_on(settings) == "ba9876543210"
    evaluate.run(settings)
    assert lake.info("metrics").rows == 2 * before


def test_without_a_trained_model_it_says_what_to_run(settings, tmp_path):
    lonely = settings.model_copy(update={"lake": settings.lake.model_copy(update={"root": str(tmp_path)})})
    for stage in (evaluate, predict):
        assert stage.depends_on(lonely) is None
        with pytest.raises(ModelError, match="run train first"):
            stage.run(lonely)
