"""Numbers are learned in units of their own size: what they are counted in, stars or seconds, is nothing to anybody."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from learned import data_of, loop, model_of
from safetensors.torch import load_file, save_file
from small_lake import ENCODER, small_lake

from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.lake import Lake
from tandemrec.learn import Metadata, fit, load_model, save_model, score_examples, sizes_of
from tandemrec.learn.calibration import calibrate

NEXT, RATING = DEFAULT_TASKS[0], DEFAULT_TASKS[3]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    return Lake(str(root)), data_of(root)


def counted_in(data, size):
    """The same rows with ratings that are `size` times as large."""
    rows = (data.train, data.valid)
    train, valid = (
        replace(one, labels={**one.labels, "rating": one.labels["rating"] * np.float32(size)}) for one in rows
    )
    return replace(data, train=train, valid=valid)


def learned(lake, data, size, tasks=(NEXT, RATING), **settings):
    """A calibrated model, and what it says of the validation rows."""
    data = counted_in(data, size)
    model = model_of(sizes_of(lake, data.features, {"train": data.train, "valid": data.valid}, tasks), tasks)
    progress = fit(model, data, loop(max_epochs=6, stop_on="rating/rmse", **settings), seed=5)
    calibrate(model, data.valid, data.features, seed=1)
    return model, progress.curve[-1]["valid"], score_examples(model, data.valid, data.features)


@pytest.mark.parametrize("method", ["fixed", "uncertainty", "gradnorm", "cagrad"])
@pytest.mark.parametrize("size", [1e-3, 1e4])
def test_a_task_counted_in_other_numbers_learns_the_same_and_so_do_the_others(data, size, method):
    lake, rows = data
    balance = {"balance": {"method": method}}
    _, stars, of_stars = learned(lake, rows, 1, **balance)
    model, others, of_others = learned(lake, rows, size, **balance)
    assert model.units.tolist() == pytest.approx([1, size], rel=1e-6)
    assert others["next_item/ndcg@10"] == pytest.approx(stars["next_item/ndcg@10"], abs=0.02)
    assert others["rating/rmse"] / size == pytest.approx(stars["rating/rmse"], rel=0.01)
    np.testing.assert_allclose(of_others.scores["rating"] / size, of_stars.scores["rating"], atol=0.05)


def test_stars_are_learned_as_they_are(data):
    lake, rows = data
    assert learned(lake, rows, 1)[0].units.tolist() == [1, 1]


def test_a_model_of_before_answers_as_it_did(data, tmp_path):
    lake, rows = data
    model, _, said = learned(lake, rows, 1)
    save_model(tmp_path / "best", model, Metadata(run_id="r", encoder=ENCODER, versions={}, epoch=1, metrics={}))
    file = tmp_path / "best" / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(file).items() if name != "units"}, file)
    again, _ = load_model(tmp_path / "best")
    answers = score_examples(again, rows.valid, rows.features).scores["rating"]
    torch.testing.assert_close(torch.from_numpy(answers), torch.from_numpy(said.scores["rating"]), rtol=0, atol=0)
