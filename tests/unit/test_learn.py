import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from learned import data_of, loop, model_of
from safetensors.torch import load_file, save_file
from small_lake import ENCODER, small_lake

from tandemrec.config import EvaluateSettings, Task, TrainSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import ModelError
from tandemrec.evaluate import Predictions, measure
from tandemrec.lake import Lake
from tandemrec.learn import (
    Training,
    batch_at,
    fit,
    load_model,
    save_model,
    score_examples,
    sizes_of,
    target_ranks,
)
from tandemrec.learn.balance import BALANCERS
from tandemrec.learn.checkpoint import BALANCE, OPTIMIZER, Metadata, restore_checkpoint, save_checkpoint
from tandemrec.learn.gradients import Gradients, shared_parameters
from tandemrec.learn.losses import task_losses
from tandemrec.learn.validation import is_better, validate
from tandemrec.rank.factorised import factorisation


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    return root


@pytest.fixture(scope="module")
def data(root):
    return data_of(root)


@pytest.fixture(scope="module")
def sizes(root, data):
    return sizes_of(Lake(str(root)), data.features, {"train": data.train, "valid": data.valid}, DEFAULT_TASKS)


def told(progress):
    return [(entry["losses"], entry["valid"]) for entry in progress.curve]


class TestLoop:
    def test_every_task_learns(self, data, sizes):
        curve = fit(model_of(sizes), data, loop(max_epochs=8), seed=5).curve
        first, last = curve[0], curve[-1]
        assert all(last["losses"][task.name] < first["losses"][task.name] for task in DEFAULT_TASKS)
        assert last["valid"]["sentiment/f1"] > 0.9 and last["valid"]["category/accuracy"] > 0.85
        assert last["valid"]["rating/rmse"] < first["valid"]["rating/rmse"] - 0.1

    @pytest.mark.parametrize("network", ["bag", "cnn", "rnn"])
    def test_sentiment_is_learned_from_words_alone(self, data, sizes, network):
        task = Task(name="sentiment", kind="binary", reads=["review"])
        model = model_of(sizes, [task], text=False, bottoms=[network], dropout=0.0)
        features = replace(data.features, texts=None)
        progress = fit(model, replace(data, features=features), loop(stop_on="sentiment/auc"), seed=5)
        assert progress.best_metrics["sentiment/auc"] > 0.95

    def test_the_same_seed_gives_the_same_and_another_does_not(self, data, sizes):
        one, same, other = (fit(model_of(sizes), data, loop(max_epochs=2), seed=seed) for seed in (5, 5, 6))
        assert told(one) == told(same) != told(other)

    def test_going_on_from_a_checkpoint_is_as_if_nothing_had_happened(self, data, sizes, tmp_path):
        whole = model_of(sizes)
        uninterrupted = fit(whole, data, loop(), seed=5)
        stopped = Training(model_of(sizes), data, loop(), seed=5)
        stopped.run_epoch()
        stopped.run_epoch()
        save_checkpoint(tmp_path / "checkpoint", stopped)
        resumed = model_of(sizes, DEFAULT_TASKS)
        torch.nn.init.ones_(resumed.pair.weight)  # whatever was there is replaced
        progress = fit(resumed, data, loop(), seed=5, resume=lambda t: restore_checkpoint(tmp_path / "checkpoint", t))
        assert told(progress) == told(uninterrupted)
        for name, tensor in whole.state_dict().items():
            assert torch.equal(resumed.state_dict()[name], tensor), name

    def test_stops_when_nothing_is_better_and_ends_with_the_best(self, data, sizes):
        model = model_of(sizes)
        settings = loop(max_epochs=40, patience=2, stop_on="rating/rmse", learning_rate=0.1)
        progress = fit(model, data, settings, seed=5)
        errors = [entry["valid"]["rating/rmse"] for entry in progress.curve]
        assert progress.epoch < 40 and progress.epoch == progress.best_epoch + 2
        assert progress.best_value == min(errors) == errors[progress.best_epoch - 1]
        label = data.valid.labels["rating"]
        error = score_examples(model, data.valid, data.features).scores["rating"] - label
        assert np.sqrt(np.nanmean(error**2)) == pytest.approx(min(errors), abs=1e-6)

    def test_the_same_loop_fits_matrix_factorisation(self, data, sizes):
        for task, stop_on in ((DEFAULT_TASKS[0], "next_item/ndcg@10"), (DEFAULT_TASKS[3], "rating/rmse")):
            model = factorisation(task, sizes.users, sizes.items, 8)
            curve = fit(model, data, loop(stop_on=stop_on, max_epochs=6), seed=5).curve
            assert curve[-1]["losses"][task.name] < curve[0]["losses"][task.name]

    def test_what_training_stops_on_is_what_is_measured(self, data, sizes):
        """In data without times too, where the rows of a user are one query."""
        user = 1 + data.valid.user % 9
        known = {name: getattr(data.valid, name)[user] for name in ("history", "user_reviews")}
        nothing_seen = (np.empty(0, np.int32), np.zeros(len(user) + 1, np.int64))
        timeless = replace(data.valid, user=user, seen=nothing_seen, **known)
        rows = int((~np.isnan(data.valid.labels["next_item"])).sum())
        model = model_of(sizes).eval()
        for valid, queries in ((data.valid, rows), (timeless, 9)):
            told = validate(model, valid, data.features, "next_item/ndcg@10")
            answers = score_examples(model, valid, data.features)
            predictions = Predictions(scores=answers.scores, ranks=answers.ranks)
            how = {"settings": EvaluateSettings(cutoffs=[10], resamples=0), "seed": 1}
            figures = measure("tandemrec", predictions, valid, DEFAULT_TASKS, **how)
            assert told == pytest.approx({f"{one.task}/{one.metric}": one.value for one in figures})
            assert {one.rows for one in figures if one.task == "next_item"} == {queries}

    def test_direction_of_metrics(self):
        assert is_better("rating/rmse", 0.8, 0.9) and is_better("click/log_loss", 0.8, 0.9)
        assert is_better("next_item/ndcg@10", 0.9, 0.8) and not is_better("click/auc", 0.8, 0.8)


class TestRefusals:
    def test_all_tasks_without_a_training_label_at_once(self, data, sizes):
        nothing = np.full(len(data.train), np.nan, np.float32)

        def said(*columns):
            train = replace(data.train, labels=data.train.labels | dict.fromkeys(columns, nothing))
            with pytest.raises(ModelError) as error:
                Training(model_of(sizes), replace(data, train=train), loop(), seed=5)
            return str(error.value)

        assert said("rating") == "no training row has a label of rating: leave it out of `tasks`"
        several = said("purchase", "click", "rating")
        assert several.startswith("no training row has a label of click, purchase, rating: leave them out of `tasks`; ")
        assert "click, purchase: told by what was chosen of what was shown, which takes view events" in several

    def test_an_unknown_label_column(self, data, sizes):
        tasks = [*DEFAULT_TASKS, Task(name="helpful", kind="regression", label="votes")]
        with pytest.raises(ModelError, match="no label column 'votes'"):
            Training(model_of(sizes, tasks), data, loop(), seed=5)

    def test_nothing_to_stop_on(self, data, sizes):
        valid = replace(data.valid, labels=data.valid.labels | {"rating": np.full(len(data.valid), np.nan, np.float32)})
        with pytest.raises(ModelError, match="no validation row has the label rating"):
            Training(model_of(sizes), replace(data, valid=valid), loop(stop_on="rating/rmse"), seed=5)

    @pytest.mark.parametrize(
        ("column", "label", "message"),
        [
            ("click", 2.0, "task click: label click holds 2, expected 0 or 1 for binary"),
            ("category", 1.5, "task category: label category holds 1.5, expected whole numbers from 0 for multiclass"),
            ("category", -1.0, "label category holds -1, expected whole numbers from 0"),
        ],
    )
    def test_a_label_that_is_none_of_its_kind(self, data, sizes, column, label, message):
        """In validation too: a loss of `click 2` falls without end, and its metrics are those of another class."""
        for split in ("train", "valid"):
            examples = getattr(data, split)
            odd = np.where(np.isnan(examples.labels[column]), np.nan, label).astype(np.float32)
            changed = replace(examples, labels=examples.labels | {column: odd})
            with pytest.raises(ModelError, match=message):
                Training(model_of(sizes), replace(data, **{split: changed}), loop(), seed=5)

    def test_a_target_that_is_no_candidate(self, data, sizes):
        features = replace(data.features, interactions=torch.zeros_like(data.features.interactions))
        with pytest.raises(ModelError, match="is a training target without a training interaction"):
            Training(model_of(sizes), replace(data, features=features), loop(), seed=5)

    def test_a_loss_that_explodes(self, data, sizes):
        with pytest.raises(ModelError, match=r"loss of task \w+ is .* in epoch 1: train.learning_rate is 1e"):
            fit(model_of(sizes), data, loop(optimizer="sgd", learning_rate=1e30, clip_norm=1e30), seed=5)


def parameters_after(data, sizes, steps=4, **settings):
    """Flat parameters after some steps without anything random in the model."""
    model = model_of(sizes, dropout=0.0, id_dropout=0.0)
    training = Training(model, data, loop(optimizer="sgd", learning_rate=0.05, **settings), seed=5)
    rows = np.random.default_rng(1).permutation(len(data.train))
    model.train()
    counts = dict.fromkeys((task.name for task in DEFAULT_TASKS), 0)
    for step in range(steps):
        training._step(rows[40 * step : 40 * (step + 1)], counts, np.random.default_rng(step))
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class TestBalancing:
    @pytest.mark.parametrize("method", sorted(BALANCERS))
    def test_parts_of_a_batch_add_up_and_bfloat16_comes_near(self, data, sizes, method):
        balance = {"method": method}
        before = parameters_after(data, sizes, steps=0, balance=balance)
        whole = parameters_after(data, sizes, balance=balance)
        parts = parameters_after(data, sizes, balance=balance, accumulate=3)
        torch.testing.assert_close(parts, whole, atol=1e-5, rtol=0)
        near = parameters_after(data, sizes, balance=balance, precision="bfloat16")
        assert near.dtype == torch.float32
        assert 0 < (near - whole).norm() < 0.1 * (whole - before).norm()

    @pytest.mark.parametrize("method", ["pcgrad", "cagrad", "mgda"])
    def test_surgery_is_for_what_tasks_share_and_for_nothing_else(self, data, sizes, method):
        """What one task alone reaches gets the plain gradient; the rest gets what the method makes of the tasks'."""
        model = model_of(sizes, dropout=0.0, id_dropout=0.0).train()
        losses = {
            n: loss / 60 for n, loss in task_losses(model, batch_at(data.train, np.arange(60)), data.features).items()
        }
        names = {parameter: name for name, parameter in model.named_parameters()}
        shared = shared_parameters(model, losses)
        alone = {
            n: dict(
                zip(
                    names.values(),
                    torch.autograd.grad(loss, list(names), retain_graph=True, materialize_grads=True),
                    strict=True,
                )
            )
            for n, loss in losses.items()
        }
        shared_names = [names[parameter] for parameter in shared]
        assert "text.net.0.weight" in shared_names and "sharing.experts.0.0.weight" in shared_names
        assert not [n for n in shared_names if n.startswith(("towers", "factors", "item_bias")) or ".gates." in n]
        balancer = BALANCERS[method](DEFAULT_TASKS, TrainSettings(balance={"method": method}).balance)
        gradients = Gradients(model, DEFAULT_TASKS, balancer, shared)
        gradients.start([], torch.device("cpu"))
        gradients.add(losses)
        values = torch.stack([losses[task.name].detach() for task in DEFAULT_TASKS])
        gradients.finish(values, np.random.default_rng(3))
        flat = torch.stack([torch.cat([g[n].flatten() for n in shared_names]) for g in alone.values()]).double()
        order = [list(alone).index(task.name) for task in DEFAULT_TASKS]
        expected = balancer.mix((flat @ flat.T)[order][:, order], np.random.default_rng(3)) @ flat[order]
        found = torch.cat([parameter.grad.flatten() for parameter in shared])
        torch.testing.assert_close(found, expected.float(), atol=1e-5, rtol=1e-3)
        assert (found - flat.sum(0)).norm() > 1e-3 * found.norm()
        for parameter, name in names.items():
            if name not in shared_names:
                torch.testing.assert_close(parameter.grad, sum(g[name] for g in alone.values()))

    def test_a_task_without_a_label_in_the_step_pulls_nothing(self, data, sizes):
        """Of a gradient of zero the shortest vector in the hull would be zero: it is no part of it."""
        train = data.train
        rows = np.flatnonzero(np.isnan(train.labels["click"]))
        model = model_of(sizes, dropout=0.0, id_dropout=0.0).train()
        training = Training(model, data, loop(balance={"method": "mgda"}), seed=5)
        before = model.text.net[0].weight.detach().clone()
        training._step(rows[:40], dict.fromkeys((t.name for t in DEFAULT_TASKS), 0), np.random.default_rng(1))
        assert not torch.equal(model.text.net[0].weight, before)

    @pytest.mark.parametrize("method", ["pcgrad", "cagrad", "mgda", "gradnorm"])
    def test_what_shares_nothing_learns_as_ever(self, data, sizes, method):
        """A task alone, as `transfer` and the lone factorisation learn it, has nobody to come to terms with."""
        alone = [task for task in DEFAULT_TASKS if task.name == "rating"]
        settings = {"max_epochs": 2, "stop_on": "rating/rmse"}
        found = fit(model_of(sizes, alone), data, loop(balance={"method": method}, **settings), seed=5)
        assert told(found) == told(fit(model_of(sizes, alone), data, loop(**settings), seed=5))

    def test_going_on_from_a_checkpoint_knows_the_balancers_state(self, data, sizes, tmp_path):
        for method in ("uncertainty", "gradnorm", "dwa"):
            settings = loop(balance={"method": method}, max_epochs=4)
            stopped = Training(model_of(sizes), data, settings, seed=5)
            for _ in range(3):
                stopped.run_epoch()
            save_checkpoint(tmp_path / method, stopped)
            stopped.run_epoch()
            path = tmp_path / method
            progress = fit(
                model_of(sizes), data, settings, seed=5, resume=lambda t, path=path: restore_checkpoint(path, t)
            )
            assert told(progress) == told(stopped.progress)

    def test_a_checkpoint_of_before_held_the_variances_of_all_tasks_as_one(self, data, sizes, tmp_path):
        settings = loop(balance={"method": "uncertainty"}, max_epochs=3)
        stopped = Training(model_of(sizes), data, settings, seed=5)
        stopped.run_epoch()
        save_checkpoint(tmp_path, stopped)
        tasks = range(len(DEFAULT_TASKS))
        variances = load_file(tmp_path / BALANCE)
        save_file({"log_variance": torch.stack([variances[f"log_variance.{n}"] for n in tasks])}, tmp_path / BALANCE)
        moments = load_file(tmp_path / OPTIMIZER)
        first = max(int(name.partition(".")[0]) for name in moments) - tasks[-1]
        each = {key: [moments.pop(f"{first + n}.{key}") for n in tasks] for key in ("step", "exp_avg", "exp_avg_sq")}
        whole = {key: held[0] if key == "step" else torch.stack(held) for key, held in each.items()}
        save_file(moments | {f"{first}.{key}": tensor for key, tensor in whole.items()}, tmp_path / OPTIMIZER)
        stopped.run_epoch()
        stopped.run_epoch()
        progress = fit(model_of(sizes), data, settings, seed=5, resume=lambda t: restore_checkpoint(tmp_path, t))
        assert told(progress) == told(stopped.progress)


class TestRanks:
    def test_against_counting(self):
        torch.manual_seed(6)
        scores = torch.randint(6, (40, 12)).float()  # many ties
        target, candidates = torch.randint(12, (40,)), torch.rand(12) > 0.3
        seen = [torch.randperm(12)[:n] for n in torch.randint(4, (40,)).tolist()]
        counts = torch.tensor([len(items) for items in seen])
        ranks = target_ranks(scores, target, candidates, (torch.cat(seen), counts)).tolist()
        for row in range(40):
            allowed = [i for i in range(12) if candidates[i] and i not in seen[row].tolist()]
            above = [i for i in allowed if i != target[row] and scores[row, i] >= scores[row, target[row]]]
            assert ranks[row] == (1 + len(above) if int(target[row]) in allowed else 0)
        assert 0 in ranks and 1 in ranks

    def test_one_score_for_all_is_the_last_place(self):
        everything = torch.ones(5, dtype=torch.bool)
        assert target_ranks(torch.zeros(2, 5), torch.tensor([0, 3]), everything).tolist() == [5, 5]


class TestScoring:
    def test_batches_and_order_do_not_matter(self, data, sizes):
        model = model_of(sizes).eval()
        whole = score_examples(model, data.valid, data.features)
        rows = np.random.default_rng(7).permutation(len(data.valid))
        parts = score_examples(model, data.valid, data.features, rows=rows, batch_size=7)
        for name, scores in (whole.scores | whole.ranks).items():
            np.testing.assert_allclose((parts.scores | parts.ranks)[name], scores[rows], atol=1e-5)
        assert whole.scores["category"].sum(1) == pytest.approx(1)
        assert ((whole.ranks["next_item"] > 0) == ~np.isnan(data.valid.labels["next_item"])).mean() > 0.9


class TestFiles:
    METADATA = Metadata(run_id="r", encoder=ENCODER, versions={"examples": 3}, epoch=2, metrics={"rating/rmse": 0.9})

    def test_a_model_comes_back_as_it_was(self, data, sizes, tmp_path):
        model = model_of(sizes, sharing="shared_bottom", history="rnn").eval()
        save_model(tmp_path / "best", model, self.METADATA)
        loaded, metadata = load_model(tmp_path / "best")
        assert metadata == self.METADATA and not loaded.training
        assert loaded.tasks == model.tasks and loaded.settings == model.settings and loaded.sizes == model.sizes
        before, after = (score_examples(m, data.valid, data.features) for m in (model, loaded))
        for name in before.scores:
            assert np.array_equal(before.scores[name], after.scores[name])
        assert sorted(path.name for path in (tmp_path / "best").iterdir()) == ["model.json", "model.safetensors"]

    def test_a_file_that_does_not_fit_is_named(self, sizes, tmp_path):
        save_model(tmp_path / "best", model_of(sizes), self.METADATA)
        save_model(tmp_path / "other", model_of(sizes, width=16), self.METADATA)
        (tmp_path / "other" / "model.safetensors").replace(tmp_path / "best" / "model.safetensors")
        with pytest.raises(ModelError, match=r"best/model.safetensors: does not fit the model"):
            load_model(tmp_path / "best")
        with pytest.raises(ModelError, match=r"nowhere/model.json: cannot be read"):
            load_model(tmp_path / "nowhere")

    def test_a_checkpoint_is_whole_or_absent(self, data, sizes, tmp_path, monkeypatch):
        training = Training(model_of(sizes), data, loop(), seed=5)
        training.run_epoch()
        save_checkpoint(tmp_path / "checkpoint", training)
        before = {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()}
        training.run_epoch()
        monkeypatch.setattr(json, "dumps", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            save_checkpoint(tmp_path / "checkpoint", training)
        assert {path.name: path.read_bytes() for path in (tmp_path / "checkpoint").iterdir()} == before
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
