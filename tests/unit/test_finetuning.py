"""An encoder cut in two: together the halves are the encoder; the upper one learns, in parallel too."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_lake import ENCODER, small_lake

from tandemrec.config import EncoderSettings, FinetuneSettings, ModelSettings, Task, TrainSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import ModelError
from tandemrec.lake import Lake
from tandemrec.learn import Data, fit, load_examples, load_features, sizes_of
from tandemrec.learn.checkpoint import Metadata, models_folder, save_model
from tandemrec.learn.feeds import batch_at
from tandemrec.learn.loop import parameter_groups
from tandemrec.learn.reviews import review_states
from tandemrec.model import MultiTaskModel
from tandemrec.model.finetuning import UpperLayers
from tandemrec.rank.trained import Trained
from tandemrec.text import layers
from tandemrec.text.encoder import Encoder
from tandemrec.text.layers import Cut, lower_states, upper_shape, upper_weights
from tandemrec.text.sources import model_folder

TEXTS = ["a good book", "", "not a good book, it is bad and I hate it", "bad", " ", "good " * 40]
SENTIMENT = Task(name="sentiment", kind="binary", reads=["review"])


def cut_of(layers=1, **settings) -> Cut:
    encoder = EncoderSettings(**{"model": "tiny:3", "dtype": "float32", "max_length": 32} | settings)
    return Cut(encoder=encoder, layers=layers, longest=24)


def states_of(cut, texts):
    """(N, L, W) and which tokens are known (N, L)."""
    each = [np.zeros((0, 32), np.float16)] * len(texts)
    for places, found in lower_states(cut, texts):
        for place, states in zip(places, found, strict=True):
            each[place] = states
    known = np.arange(24) < np.array([len(states) for states in each])[:, None]
    padded = np.zeros((len(texts), 24, 32), np.float32)
    padded[known] = np.concatenate(each)
    return torch.from_numpy(padded), torch.from_numpy(known)


def upper_of(cut, dimension=32) -> UpperLayers:
    upper = UpperLayers(upper_shape(cut) | {"dimension": dimension}, dropout=0.1).eval()
    upper.layers.load_state_dict(upper_weights(cut))
    return upper


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_both_halves_are_the_encoder(layers, pooling):
    cut = cut_of(layers, pooling=pooling, prefix="it is: ")
    whole = Encoder(cut.encoder.model_copy(update={"max_length": 24})).encode(TEXTS)
    vectors = upper_of(cut)(*states_of(cut, TEXTS)).detach().numpy()
    np.testing.assert_allclose(vectors, whole, atol=2e-3)
    assert (vectors[[1, 4]] == 0).all()
    assert np.abs(whole[0] - whole[2]).max() > 0.1  # other texts, other vectors


def test_the_tokeniser_s_own_sides_do_not_matter(tmp_path):
    folder = tmp_path / "left"
    shutil.copytree(model_folder("tiny:3"), folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    sides = {"padding_side": "left", "truncation_side": "left"}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | sides))
    (states, known), (expected, expected_known) = (states_of(cut_of(model=m), TEXTS) for m in (str(folder), "tiny:3"))
    assert torch.equal(known, expected_known)
    torch.testing.assert_close(states, expected)


def test_padding_and_the_rest_of_a_batch_change_nothing():
    cut = cut_of()
    upper, (states, known) = upper_of(cut), states_of(cut, TEXTS)
    whole = upper(states, known)
    noise = torch.where(known.unsqueeze(-1), states, 9.0)
    torch.testing.assert_close(upper(noise, known), whole)
    torch.testing.assert_close(upper(states[:4, :20], known[:4, :20]), whole[:4])
    for row in range(len(TEXTS)):
        torch.testing.assert_close(upper(states[row : row + 1], known[row : row + 1])[0], whole[row])


def test_asked_without_gradients_they_answer_the_same():
    """Torch has another, faster way then."""
    upper, (states, known) = upper_of(cut_of(2)), states_of(cut_of(2), TEXTS)
    with torch.inference_mode():
        fast = upper(states, known)
    torch.testing.assert_close(fast, upper(states, known).detach(), atol=1e-5, rtol=1e-4)


def test_no_batch_of_the_lower_layers_is_larger_than_it_may_be(monkeypatch):
    monkeypatch.setattr(layers, "TOKENS_AT_ONCE", 50)
    found = [[len(states) for states in each] for _, each in lower_states(cut_of(), ["bad"] * 30 + TEXTS)]
    assert max(len(lengths) * max(lengths) for lengths in found) <= 50


def test_what_cannot_be_cut_is_refused(tmp_path):
    for refused in (upper_shape, lambda cut: next(lower_states(cut, TEXTS))):  # before all texts are read
        with pytest.raises(ModelError, match="layers is 3, expected at most 2, those of tiny:3"):
            refused(cut_of(3))
    for config, message in (
        ('{"model_type": "gpt2"}', "is of type gpt2, expected bert"),
        ('{"model_type": "bert", "is_decoder": true}', "is a decoder, expected one that looks both ways"),
    ):
        (tmp_path / "config.json").write_text(config)
        for refused in (upper_shape, lambda cut: next(lower_states(cut, TEXTS))):
            with pytest.raises(ModelError, match=message):
                refused(cut_of(model=str(tmp_path)))
    with pytest.raises(ValueError, match="expected vectors in it"):
        ModelSettings(bottoms=["cnn"], finetune=FinetuneSettings())
    settings = ModelSettings(finetune=FinetuneSettings(layers=2, longest=24))
    assert Cut.of(settings, DEFAULT_TASKS, cut_of().encoder) == cut_of(2)
    assert Cut.of(settings, [Task(name="click", kind="binary")], cut_of().encoder) is None


@pytest.fixture
def lake(tmp_path, monkeypatch) -> Lake:
    monkeypatch.setattr("tandemrec.learn.cache.cache_root", lambda: tmp_path)
    return small_lake(tmp_path / "lake")


def learning(lake, tasks, **settings):
    splits = load_examples(lake)
    cut = cut_of()
    features = load_features(lake, encoder=ENCODER, cut=cut)
    sizes = sizes_of(lake, features, splits, tasks, cut=cut)
    torch.manual_seed(1)
    finetune = FinetuneSettings(longest=24, learning_rate=0.003)
    model = MultiTaskModel(ModelSettings(width=8, tower=[8], finetune=finetune, **settings), tasks, sizes)
    model.encoder.layers.load_state_dict(upper_weights(cut))
    return model, Data(features=features, train=splits["train"], valid=splits["valid"])


def test_upper_layers_learn_what_a_frozen_encoder_does_not_tell(lake):
    """The lake's vectors say the stars too, but the cut encoder is all that this model reads."""
    model, data = learning(lake, [SENTIMENT], text=False, dropout=0.0)
    lists = review_states(lake, cut_of(), {})
    texts = {row["text_hash"]: row["clean_text"] for row in lake.read("reviews").to_pylist()}
    found, known = lists.of(torch.tensor([5, 9, 0]))
    expected, expected_known = states_of(cut_of(), [texts["t5"], texts["t9"], ""])
    assert torch.equal(known, expected_known[:, : known.shape[1]])
    torch.testing.assert_close(found[known].float(), expected[expected_known])
    blind = replace(data, features=replace(data.features, texts=torch.zeros_like(data.features.texts)))
    before = {name: parameter.detach().clone() for name, parameter in model.encoder.named_parameters()}
    settings = TrainSettings(batch_size=64, max_epochs=6, learning_rate=0.01, stop_on="sentiment/auc", patience=9)
    progress = fit(model, blind, settings, seed=5)
    assert progress.best_metrics["sentiment/auc"] > 0.95
    assert all((parameter != before[name]).any() for name, parameter in model.encoder.named_parameters())
    rest, own = parameter_groups(model)
    assert own["lr"] == 0.003 and "lr" not in rest
    assert len(rest["params"]) + len(own["params"]) == len(list(model.parameters()))


def test_a_model_stays_with_the_encoder_below_its_layers(lake, tmp_path):
    folder = tmp_path / "encoder"
    shutil.copytree(model_folder("tiny:3"), folder)
    cut = cut_of(model=str(folder))
    model, _ = learning(lake, [SENTIMENT])
    trained = Trained(
        root=lake.root,
        run_id="r",
        inputs={"examples": lake.version("examples")},
        version="r/1",
        tasks=model.tasks,
        encoder=ENCODER,
        encoding=cut.encoder,
        refit=False,
    )
    name = cut.name
    metadata = Metadata(run_id="r", encoder=ENCODER, cut=name, versions={}, epoch=1, metrics={})
    save_model(Path(models_folder(lake.root, "r")) / "best", model, metadata)
    assert trained.model()[1].states is not None
    shutil.copy(model_folder("tiny:0") / "model.safetensors", folder)
    with pytest.raises(ModelError, match=rf"learned the last layers of encoder {name}, and .* run train again"):
        trained.model()
    save_model(Path(models_folder(lake.root, "r")) / "best", model, replace(metadata, cut=None))  # one of before
    trained.model()


def test_the_row_s_own_review_reaches_text_tasks_alone(lake):
    model, data = learning(lake, DEFAULT_TASKS, dropout=0.0)
    model.eval()
    batch = batch_at(data.train, np.arange(0, len(data.train), 7))
    values = torch.from_numpy(np.array(data.features.states.values))
    answers = []
    for scale in (1, -1):
        features = replace(data.features, states=replace(data.features.states, values=values * scale))
        catalogue = model.catalogue(features)
        users = model.users(batch, features, catalogue)
        answers.append(model(batch, features, users) | {"users": users, "items": catalogue.vectors})
    before, after = answers
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"sentiment", "category"}
