"""Several workers with a share of each batch learn what one does with the whole."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from learned import data_of, loop, model_of, with_states
from small_lake import small_lake

from tandemrec.config import FinetuneSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.lake import Lake
from tandemrec.learn import Data, Training, sizes_of
from tandemrec.learn.balance import BALANCERS


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("lake")
    small_lake(root)
    return root


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
