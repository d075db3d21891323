import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from small_lake import ENCODER, small_lake

from tandemrec.config import EvaluateSettings, FinetuneSettings, ModelSettings, Task, TrainSettings, WordSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import ModelError
from tandemrec.evaluate import Predictions, measure
from tandemrec.lake import Lake
from tandemrec.learn import (
    Data,
    Training,
    batch_at,
    fit,
    load_examples,
    load_features,
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
from tandemrec.model import MultiTaskModel, Sizes
from tandemrec.model.batch import Lists
from tandemrec.rank.factorised import factorisation

WORDS = WordSettings(buckets=100, width=6, filters=4, dropout=0.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    return root


def data_of(root) -> Data:
    lake = Lake(str(root))
    splits = load_examples(lake)
    return Data(
        features=load_features(lake, encoder=ENCODER, words=WORDS), train=splits["train"], valid=splits["valid"]
    )


@pytest.fixture(scope="module")
def data(root):
    return data_of(root)


@pytest.fixture(scope="module")
def sizes(root, data):
    return sizes_of(Lake(str(root)), data.features, {"train": data.train, "valid": data.valid}, DEFAULT_TASKS)


def model_of(sizes, tasks=DEFAULT_TASKS, **settings) -> MultiTaskModel:
    torch.manual_seed(11)
    return MultiTaskModel(
        ModelSettings(**{"width": 8, "tower": [8], "experts": 2, "words": WORDS} | settings), tasks, sizes
    )


def with_states(data: Data, sizes: Sizes) -> tuple[Data, Sizes]:
    """Tokens of an encoder, four numbers each, whose last layer is learned along."""
    lengths = torch.arange(len(data.features.texts)) % 4
    values = torch.randn(int(lengths.sum()), 4, generator=torch.Generator().manual_seed(1)).half()
    states = Lists(values=values, starts=lengths.cumsum(0) - lengths, lengths=lengths)
    upper = {"layers": 1, "width": 4, "heads": 2, "inner": 8, "epsilon": 1e-5, "pooling": "mean", "normalise": True}
    texts = data.features.texts[:, :4]
    features = replace(data.features, states=states, texts=texts)
    return replace(data, features=features), replace(sizes, text_width=4, upper=upper | {"dimension": 4})


def loop(**settings) -> TrainSettings:
    return TrainSettings(**{"batch_size": 64, "max_epochs": 4, "learning_rate": 0.01, "patience": 9} | settings)


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


STEPS = 50


def rarely(data: Data, column: str) -> Data:
    """The data with no more than six labels of a column in training."""
    label = data.train.labels[column].copy()
    label[np.flatnonzero(~np.isnan(label))[6:]] = np.nan
    return replace(data, train=replace(data.train, labels=data.train.labels | {column: label}))


def one_of_several(rank: int, count: int, root: Path, address: str, methods: list[str]) -> None:
    """A worker: steps of its share with each balancer, then its parameters in a file."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{address}", rank=rank, world_size=count)
    dist.barrier()
    _fifty_steps(root, root / f"worker-{rank}.json", methods)
    dist.destroy_process_group()


def _fifty_steps(root: Path, path: Path, methods: list[str]) -> None:
    """Parameters and curve after 50 steps, by balancer: all kinds of task, conversion and drawn negatives among them.

    Where a name goes on with `vectors` or `hidden` texts are mixed; with `adam` the steps are those of AdamW, and one
    task has a label in six rows: in most steps there is none.
    """
    data, lake = data_of(root), Lake(str(root))
    tasks = [
        DEFAULT_TASKS[0].model_copy(update={"negatives": 10}),
        DEFAULT_TASKS[1],
        DEFAULT_TASKS[2].model_copy(update={"given": "click"}),
        DEFAULT_TASKS[3],
        DEFAULT_TASKS[5],
    ]
    sizes = sizes_of(lake, data.features, {"train": data.train, "valid": data.valid}, tasks)
    data, sizes = with_states(data, sizes)
    found = {}
    for method in methods:
        balance, _, also = method.partition(" ")
        # Where tasks contradict each other CAGrad divides by the length of a sum that is nearly 0, which makes rounding
        # 10 to 100 times what it was: with steps of .05 the workers part by 7e-5 after 50.
        steps = {"batch_size": 40, "optimizer": "sgd", "learning_rate": 0.02, "clip_norm": 1.0}
        learned, finetune = data, FinetuneSettings(learning_rate=0.02)
        if also == "adam":
            steps |= {"optimizer": "adam", "learning_rate": 0.005, "weight_decay": 0.1}
            # The bias of an encoder's keys changes no answer: its gradient is rounding, and AdamW's steps are as long
            # as ever.
            learned, finetune = rarely(data, "category"), None
        read = {"bottoms": ["vectors", "cnn", "rnn"], "finetune": finetune}
        mixup = {"where": also} if also in ("vectors", "hidden") else None
        settings = loop(balance={"method": balance}, mixup=mixup, **steps)
        model = model_of(sizes, tasks, width=4, tower=[], dropout=0.0, id_dropout=0.0, **read)
        before = torch.cat([p.detach().flatten() for p in model.parameters()])
        training = Training(model, learned, settings, seed=5)
        for _ in range(-(-STEPS // -(-len(data.train) // 40))):
            training.run_epoch()
        parameters = [*training.model.parameters(), *training.balancer.parameters(), *training.balancer.buffers()]
        found[method] = {
            "parameters": torch.cat([p.detach().flatten().double() for p in parameters]).tolist(),
            "curve": [[entry["losses"], entry["valid"]] for entry in training.progress.curve],
            "moved": (torch.cat([p.detach().flatten() for p in model.parameters()]) - before).abs().max().item(),
        }
    path.write_text(json.dumps(found))


@pytest.mark.parametrize(
    "methods",
    [
        ["fixed", "gradnorm", "pcgrad", "fixed vectors", "fixed hidden", "fixed adam", "uncertainty adam"],
        pytest.param([*BALANCERS, *(f"{method} adam" for method in BALANCERS)], marks=pytest.mark.slow),
    ],
    ids=len,
)
def test_two_workers_with_half_a_batch_each_are_one_with_the_whole(root, tmp_path, methods):
    torch.set_num_threads(1)
    _fifty_steps(root, root / "alone.json", methods)
    mp.spawn(one_of_several, (2, root, str(tmp_path / "meeting"), methods), nprocs=2)
    alone, first, second = (
        json.loads((root / name).read_text()) for name in ("alone.json", "worker-0.json", "worker-1.json")
    )
    assert first == second
    for method, expected in alone.items():
        assert expected["moved"] > 0.1, method
        np.testing.assert_allclose(first[method]["parameters"], expected["parameters"], atol=1e-5, err_msg=method)
        for (losses, valid), (whole, whole_valid) in zip(first[method]["curve"], expected["curve"], strict=True):
            assert losses == pytest.approx(whole, abs=1e-4), method
            assert valid == pytest.approx(whole_valid, abs=1e-4), method
    assert len({tuple(expected["parameters"][:50]) for expected in alone.values()}) == len(methods)


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
