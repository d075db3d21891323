"""Collaborative, content and hybrid: what each may read, that their parts add up, and that a rerun says the same."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from small_lake import small_lake
from test_train import settings_for

from ray_train import compare
from ray_train.train import built, looked_at
from tandemrec.config import ModelSettings
from tandemrec.config.learning import INPUTS
from tandemrec.errors import ConfigError
from tandemrec.learn import score_examples
from tandemrec.learn.scoring import Scores

pytestmark = pytest.mark.usefixtures("ray_local")


@pytest.fixture(scope="module")
def made(ray_local, tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    settings = settings_for(root, max_epochs=2, stop_on="sentiment/auc")  # of a task that is left out
    report = settings.report.model_copy(update={"path": str(root / "reports" / "index.html")})
    settings = settings.model_copy(update={"report": report})
    return root, settings, compare.run(settings, 5)


def test_a_table_of_three_whose_parts_add_up(made):
    root, _, told = made
    assert json.loads((root / "reports" / "compare.json").read_text()) == told
    found = {(one["model"], one["task"], one["metric"], one["split"]): one for one in told}
    assert {model for model, *_ in found} == {"collaborative", "content", "hybrid"}
    told = {(task, metric) for _, task, metric, _ in found}  # no test row was shown without being chosen
    assert told == {("next_item", "ndcg@10"), ("next_item", "hr@10"), ("rating", "rmse")}
    for (model, task, metric, split), one in found.items():
        if split == "test" and metric in ("ndcg@10", "rmse"):
            for who in ("user", "item"):
                parts = [found.get((model, task, metric, f"test, {warmth} {who}")) for warmth in ("cold", "warm")]
                parts = [part for part in parts if part is not None]
                power = 2 if metric == "rmse" else 1
                rows = sum(part["rows"] for part in parts)
                mean = sum(part["rows"] * part["value"] ** power for part in parts) / rows
                assert rows == one["rows"] and mean == pytest.approx(one["value"] ** power)
        drawn = one["low"] is not None  # not of a part that is of fewer than ten people
        assert drawn or split != "test"
        assert not drawn or one["low"] <= one["value"] <= one["high"]
        sign = -1 if metric == "rmse" else 1
        if model == "hybrid":
            assert one["lead"] is None
        else:  # of the same rows, drawn together
            both = found["hybrid", task, metric, split]["value"]
            assert one["lead"] == pytest.approx(sign * (both - one["value"]))
            assert (one["lead_low"] is not None) == drawn
            assert not drawn or (one["lead_low"] <= one["lead"] + 1e-9 and one["lead"] <= one["lead_high"] + 1e-9)


@pytest.mark.parametrize(("inputs", "blind_to"), [("collaborative", "texts"), ("content", "ids")])
def test_what_each_may_not_read_changes_nothing(made, inputs, blind_to):
    _, settings, _ = made
    settings = compare.with_inputs(settings, inputs)
    config, _, _ = looked_at(settings)
    model, data, test = built(settings, config, seed=1, device=torch.device("cpu"))
    model.eval()
    before = score_examples(model, test, data.features).scores["rating"]
    if blind_to == "ids":
        changed = score_examples(model, dataclasses.replace(test, user=test.user[::-1]), data.features)
        assert not any(name.endswith("id.own.weight") for name in model.state_dict())
    else:
        nothing = {
            name: torch.zeros_like(getattr(data.features, name)) for name in ("category", "brand", "price", "texts")
        }
        changed = score_examples(model, test, dataclasses.replace(data.features, **nothing))
    np.testing.assert_array_equal(changed.scores["rating"], before)


def test_one_word_or_each_setting(made):
    _, settings, _ = made
    reading = settings.model_copy(update={"model": ModelSettings(interest={})})
    read = {inputs: compare.with_inputs(reading, inputs).model.interest is not None for inputs in INPUTS}
    assert read == {"collaborative": False, "content": True, "hybrid": True}
    content = ModelSettings(inputs="content")
    assert not content.user_id and not content.item_id and content.text and content.attributes
    assert ModelSettings(**content.model_dump()) == content
    with pytest.raises(ValueError, match="inputs is content and item_id True"):
        ModelSettings(inputs="content", item_id=True)


def test_without_a_task_on_users_there_is_nothing_to_compare(made):
    _, settings, _ = made
    texts = [task for task in settings.tasks if "review" in task.reads]
    with pytest.raises(ConfigError, match="no task reads users"):
        compare.run(settings.model_copy(update={"tasks": texts}), 5)


def test_each_task_is_told_at_its_best_pass_whichever_way_its_metric_goes(made, monkeypatch):
    _, settings, _ = made
    tasks = [task for task in settings.tasks if task.name in ("next_item", "rating")]
    valid = [{"next_item/ndcg@10": 0.1, "rating/rmse": 1.0}, {"next_item/ndcg@10": 0.2, "rating/rmse": 2.0}]
    said = [Scores(scores={"rating": np.array([n])}, ranks={"next_item": np.array([n])}) for n in (1, 2)]
    monkeypatch.setattr(compare, "passes", lambda *_, **__: zip(valid, [None, None], said, strict=True))
    loop = settings.train.model_copy(update={"stop_on": "rating/rmse"})
    config = {"settings": settings.model_copy(update={"tasks": tasks, "train": loop}).model_dump(mode="json")}
    best = compare.attempt(config, "hybrid")
    assert (best.scores["rating"].item(), best.ranks["next_item"].item()) == (1, 2)
