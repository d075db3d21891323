"""The running average of the weights: its recursion, that it is validated and kept, that a checkpoint has it."""

import pytest
import torch
from small_lake import ENCODER, small_lake

from tandemrec.config import ModelSettings, TrainSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.lake import Lake
from tandemrec.learn import Data, Training, fit, load_examples, load_features, sizes_of
from tandemrec.learn.checkpoint import restore_checkpoint, save_checkpoint
from tandemrec.learn.validation import validate
from tandemrec.model import MultiTaskModel

LOOP = TrainSettings(max_epochs=3, batch_size=64, average=0.8, learning_rate=0.02, threads_per_worker=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    lake = small_lake(tmp_path_factory.mktemp("lake"))
    splits, features = load_examples(lake), load_features(Lake(lake.root), encoder=ENCODER)
    return Data(features=features, train=splits["train"], valid=splits["valid"]), sizes_of(
        lake, features, splits, DEFAULT_TASKS
    )


def model_of(sizes):
    torch.manual_seed(4)
    return MultiTaskModel(ModelSettings(width=8, tower=[8], experts=2), DEFAULT_TASKS, sizes)


def test_what_is_validated_and_kept_is_the_average(made):
    data, sizes = made
    training = Training(model_of(sizes), data, LOOP, seed=3)
    steps = []
    training.optimizer.register_step_post_hook(
        lambda *_: steps.append({n: p.detach().clone() for n, p in training.model.named_parameters()})
    )
    training.run_epoch()
    expected = steps[0]
    for step in steps[1:]:
        expected = {name: 0.8 * old + 0.2 * step[name] for name, old in expected.items()}
    kept = dict(training.kept.named_parameters())
    for name, tensor in expected.items():
        torch.testing.assert_close(kept[name].detach(), tensor)
        torch.testing.assert_close(training.best[name], tensor)
    assert not torch.equal(expected["pair.weight"], steps[-1]["pair.weight"])
    told = training.progress.curve[-1]["valid"]
    assert told == validate(training.kept, data.valid, data.features, LOOP.stop_on)


def test_going_on_from_a_checkpoint_knows_the_average(made, tmp_path):
    data, sizes = made
    whole, resumed = model_of(sizes), model_of(sizes)
    fit(whole, data, LOOP, seed=3)
    stopped = Training(model_of(sizes), data, LOOP, seed=3)
    stopped.run_epoch()
    save_checkpoint(tmp_path / "checkpoint", stopped)
    fit(resumed, data, LOOP, seed=3, resume=lambda training: restore_checkpoint(tmp_path / "checkpoint", training))
    for name, tensor in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], tensor), name
