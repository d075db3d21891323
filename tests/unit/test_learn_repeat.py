"""The same seed gives the same model whatever the threads of torch do."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_lake import ENCODER, small_lake

from tandemrec.config import ModelSettings, TrainSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.learn import Data, fit, load_examples, load_features, sizes_of
from tandemrec.model import MultiTaskModel

LENGTH, ROWS = 64, 512


@pytest.fixture
def many_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Histories so long that torch cuts the gradient of their items among its threads."""
    lake = small_lake(tmp_path_factory.mktemp("lake"))
    splits, features = load_examples(lake), load_features(lake, encoder=ENCODER)
    generator = np.random.default_rng(2)
    for name, examples in splits.items():
        shape = (len(examples), LENGTH)
        splits[name] = replace(examples, history=generator.integers(1, len(features), shape, dtype=np.int32))
    data = Data(features=features, train=splits["train"], valid=splits["valid"])
    return data, sizes_of(lake, features, splits, DEFAULT_TASKS)


def test_the_same_seed_gives_the_same_weights_on_many_threads(made, many_threads):
    data, sizes = made
    settings = TrainSettings(batch_size=ROWS, max_epochs=4, learning_rate=0.01)
    weights = []
    for _ in range(4):
        torch.manual_seed(4)
        model = MultiTaskModel(ModelSettings(width=32, tower=[8], experts=2), DEFAULT_TASKS, sizes)
        fit(model, data, settings, seed=3)
        weights.append(model.state_dict())
    for other in weights[1:]:
        for name, tensor in weights[0].items():
            assert torch.equal(tensor, other[name]), name


def test_the_setting_of_the_caller_is_left_as_it_was(made):
    data, sizes = made
    model = MultiTaskModel(ModelSettings(width=8, tower=[8], experts=2), DEFAULT_TASKS, sizes)
    fit(model, data, TrainSettings(batch_size=ROWS, max_epochs=1), seed=3)
    assert not torch.are_deterministic_algorithms_enabled()
