"""Two texts learned from as one: what is mixed, what it is to cost, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from small_lake import ENCODER, small_lake
from small_model import small_batch, small_features, small_model

from tandemrec.config import MixupSettings, ModelSettings, Task, TrainSettings, WordSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.learn import Data, Training, fit, load_examples, load_features, sizes_of
from tandemrec.learn.losses import task_losses
from tandemrec.learn.mixup import NOBODY, Mixing, draw_mixing
from tandemrec.model import MultiTaskModel
from tandemrec.model.batch import Mixture

ON_TEXTS = ("sentiment", "category")
WORDS = WordSettings(buckets=100, width=6, filters=4, dropout=0.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    lake = small_lake(tmp_path_factory.mktemp("lake"))
    splits = load_examples(lake)
    features = load_features(lake, encoder=ENCODER, words=WORDS)
    found = Data(features=features, train=splits["train"], valid=splits["valid"])
    return found, sizes_of(lake, features, {"train": found.train, "valid": found.valid}, DEFAULT_TASKS)


def model_of(sizes, **settings) -> MultiTaskModel:
    torch.manual_seed(11)
    return MultiTaskModel(ModelSettings(**{"width": 8, "tower": [8], "experts": 2} | settings), DEFAULT_TASKS, sizes)


def loop(**settings) -> TrainSettings:
    return TrainSettings(**{"batch_size": 64, "learning_rate": 0.01, "patience": 9} | settings)


def mixture(batch, *, share: float, hidden: bool = False) -> Mixture:
    """Each row with the one before it, whose labels are other ones."""
    labels = {name: label.roll(1) for name, label in batch.labels.items()}
    return Mixture(review=batch.review.roll(1), share=torch.full((len(batch),), share), labels=labels, hidden=hidden)


class TestModel:
    def test_the_loss_is_that_of_both_labels_by_their_shares(self):
        """By hand: with matrices of ones and zeros nothing between the vectors and the loss is random."""
        features, share = small_features(), 0.3
        batch, model = small_batch(features), small_model().eval()
        missing = batch.labels["sentiment"].clone()
        missing[::5] = torch.nan
        batch = replace(batch, labels=batch.labels | {"sentiment": missing})
        mixed = replace(batch, mixture=mixture(batch, share=share))
        users = model.users(batch, features, model.catalogue(features))
        logits, found = model(mixed, features, users), task_losses(model, mixed, features)
        own, other = missing.numpy(), np.roll(missing.numpy(), 1)
        chance = torch.sigmoid(logits["sentiment"]).detach().double().numpy()
        expected = 0.0
        for p, y, z in zip(chance, own, other, strict=True):
            for label, part in ((y, share), (z, 1 - share)):
                if not np.isnan(label):
                    expected -= part * np.log(p if label == 1 else 1 - p)
        assert found["sentiment"].item() == pytest.approx(expected, rel=1e-5)
        label, logit = batch.labels["category"].long(), logits["category"]
        expected = share * F.cross_entropy(logit, label) + (1 - share) * F.cross_entropy(logit, label.roll(1))
        assert found["category"].item() == pytest.approx(len(batch) * expected.item(), rel=1e-5)
        plain = task_losses(model, batch, features)
        assert all(torch.equal(found[name], plain[name]) for name in set(plain) - set(ON_TEXTS))

    @pytest.mark.parametrize("hidden", [False, True])
    @pytest.mark.parametrize("bottoms", [["vectors"], ["cnn"], ["vectors", "bag", "cnn", "rnn"]], ids=len)
    def test_a_mixture_with_itself_and_a_share_of_one_change_nothing(self, hidden, bottoms):
        features = small_features()
        batch = small_batch(features)
        model = small_model(bottoms=bottoms, words=WORDS).eval()
        users = model.users(batch, features, model.catalogue(features))
        plain = model(batch, features, users)
        whole = model(replace(batch, mixture=mixture(batch, share=1.0, hidden=hidden)), features, users)
        assert all(torch.equal(whole[name], plain[name]) for name in plain)
        itself = replace(mixture(batch, share=0.4, hidden=hidden), review=batch.review)
        same = model(replace(batch, mixture=itself), features, users)
        swapped = model(replace(batch, mixture=mixture(batch, share=0.0, hidden=hidden)), features, users)
        for name in ON_TEXTS:
            torch.testing.assert_close(same[name], plain[name])
            torch.testing.assert_close(swapped[name], plain[name].roll(1, 0))
        assert torch.equal(swapped["click"], plain["click"])

    def test_vectors_are_mixed_before_the_projection_and_hidden_states_behind_the_shared_layers(self):
        features = small_features()
        batch, model = small_batch(features), small_model().eval()
        users = model.users(batch, features, model.catalogue(features))
        vectors = features.vectors(batch.review)
        both = 0.3 * vectors + 0.7 * vectors.roll(1, 0)
        shared = model.sharing(model.text(both), ["sentiment"])["sentiment"]
        at_input = model(replace(batch, mixture=mixture(batch, share=0.3)), features, users)["sentiment"]
        torch.testing.assert_close(at_input, model.towers["sentiment"](shared).squeeze(-1))
        own = model.sharing(model.text(vectors), ["sentiment"])["sentiment"]
        within = model(replace(batch, mixture=mixture(batch, share=0.3, hidden=True)), features, users)["sentiment"]
        expected = model.towers["sentiment"](0.3 * own + 0.7 * own.roll(1, 0)).squeeze(-1)
        torch.testing.assert_close(within, expected)
        assert not torch.allclose(at_input, within)

    @pytest.mark.parametrize("hidden", [False, True])
    def test_both_texts_are_learned_from(self, hidden):
        features = small_features()
        batch = small_batch(features)
        model = small_model([Task(name="sentiment", kind="binary", reads=["review"])], bottoms=["cnn"], words=WORDS)
        row = batch.where(torch.arange(1))
        other = int(batch.review[1])
        one = Mixture(
            review=torch.tensor([other]), share=torch.tensor([0.6]), labels={"sentiment": torch.ones(1)}, hidden=hidden
        )
        task_losses(model, replace(row, mixture=one), features)["sentiment"].backward()
        words, known = features.words.of(torch.tensor([other]))
        gradient = model.over_words["cnn"].words.weight.grad[words[known]]
        assert gradient.abs().sum() > 0


class TestDraw:
    TASKS = (Task(name="sentiment", kind="binary", reads=["review"]), Task(name="click", kind="binary"))

    def test_pairs_are_among_rows_with_a_label_and_no_row_is_lost(self, data):
        train = data[0].train
        rows = np.random.default_rng(0).permutation(len(train))
        drawn = draw_mixing(MixupSettings(), self.TASKS, train, rows, np.random.default_rng(3))
        told = ~np.isnan(train.labels["sentiment"][rows])
        assert 0 < told.sum() < len(rows)
        assert (drawn.partner[~told] == NOBODY).all() and (drawn.share[~told] == 1).all()
        assert sorted(drawn.partner[told]) == sorted(rows[told])
        assert (drawn.partner[told] != rows[told]).mean() > 0.9
        mixed = drawn.mixture(train)
        np.testing.assert_array_equal(mixed.review.numpy()[told], train.review[drawn.partner[told]])
        assert not mixed.review[torch.from_numpy(~told)].any()
        assert mixed.labels["sentiment"].isnan().numpy().tolist() == (~told).tolist()

    @pytest.mark.parametrize("alpha", [0.2, 1.0, 5.0])
    def test_shares_are_of_the_beta_distribution(self, data, alpha):
        """Mean 1/2 and variance 1 / (4 (2 alpha + 1))."""
        train = data[0].train
        rows = np.tile(np.flatnonzero(~np.isnan(train.labels["sentiment"])), 60)
        share = draw_mixing(MixupSettings(alpha=alpha), self.TASKS, train, rows, np.random.default_rng(4)).share
        assert share.mean() == pytest.approx(0.5, abs=0.02)
        assert share.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


class TestLoop:
    def test_shares_of_one_are_training_without_it_bit_for_bit(self, data, monkeypatch):
        found, sizes = data

        def alone(*arguments) -> Mixing:
            drawn = draw_mixing(*arguments)
            return replace(drawn, share=np.ones_like(drawn.share))

        still = {"dropout": 0.0, "id_dropout": 0.0}
        plain, mixed, real = (model_of(sizes, **still) for _ in range(3))
        fit(plain, found, loop(max_epochs=2), seed=5)
        fit(real, found, loop(max_epochs=2, mixup={"alpha": 1.0}), seed=5)
        monkeypatch.setattr("tandemrec.learn.loop.draw_mixing", alone)
        fit(mixed, found, loop(max_epochs=2, mixup={"alpha": 1.0}), seed=5)
        for name, tensor in plain.state_dict().items():
            assert torch.equal(mixed.state_dict()[name], tensor), name
        assert not torch.equal(real.towers["sentiment"][0].weight, plain.towers["sentiment"][0].weight)

    def test_networks_read_what_is_learned_from_and_nothing_else(self, data):
        """Other rows tell of a review too, whose labels another row has."""
        found, sizes = data
        model, read = model_of(sizes, bottoms=["cnn"], words=WORDS), []
        network = model.over_words["cnn"]
        network.register_forward_hook(lambda _, given, __: read.append(len(given[0]) * network.training))
        Training(model, found, loop(mixup={}), seed=5).run_epoch()
        told = np.any([~np.isnan(found.train.labels[name]) for name in ON_TEXTS], axis=0)
        assert told.sum() < (found.train.review > 0).sum() and sum(read) == 2 * told.sum()

    def test_parts_of_a_batch_add_up(self, data):
        found, sizes = data
        after = []
        for accumulate in (1, 3):
            model = model_of(sizes, dropout=0.0, id_dropout=0.0)
            settings = loop(accumulate=accumulate, mixup={"where": "hidden"}, optimizer="sgd")
            Training(model, found, settings, seed=5).run_epoch()
            after.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
        torch.testing.assert_close(*after, atol=1e-5, rtol=0)

    @pytest.mark.parametrize("where", ["vectors", "hidden"])
    def test_sentiment_is_learned_all_the_same(self, data, where):
        found, sizes = data
        progress = fit(model_of(sizes), found, loop(max_epochs=8, mixup={"where": where}), seed=5)
        assert progress.curve[-1]["valid"]["sentiment/f1"] > 0.9
