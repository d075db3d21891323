"""The training loop, for one worker or many, resumable after any epoch.

Every worker maps all rows. A step takes B rows of a permutation that seed and epoch fix; each worker takes its part of
them. So N workers with B/N rows each learn what one worker with B rows does. Whatever is random in an epoch is seeded
at its start: to go on after an epoch needs no state of a generator.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tandemrec.config import Task, TrainSettings
from tandemrec.errors import ModelError
from tandemrec.learn import workers
from tandemrec.learn.balance import balancer
from tandemrec.learn.context import Around
from tandemrec.learn.feeds import Array, Examples, batch_at
from tandemrec.learn.gradients import Gradients, shared_parameters
from tandemrec.learn.losses import label_weights, task_losses
from tandemrec.learn.mixup import Mixing, draw_mixing
from tandemrec.learn.negatives import Drawn, Proposal
from tandemrec.learn.validation import is_better, refuse_missing_labels, validate
from tandemrec.model.batch import Features

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {"adam": torch.optim.AdamW, "sgd": torch.optim.SGD}


@dataclass(frozen=True, kw_only=True)
class Data:
    """What is learned from, and what decides when to stop; without that, training goes on to its last epoch."""

    features: Features
    train: Examples
    valid: Examples | None


@dataclass(kw_only=True)
class Progress:
    """How far training has come. `curve` has one entry an epoch: epoch (from 1), losses by task, metrics of the
    validation split by TASK/METRIC, learning rate and seconds.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_value: float | None = None
    curve: list[dict[str, Any]] = field(default_factory=list)

    @property
    def best_metrics(self) -> dict[str, float]:
        return dict(self.curve[self.best_epoch - 1]["valid"]) if self.best_epoch else {}


@contextmanager
def repeatable() -> Iterator[None]:
    """Have torch add up in one order within, whatever its threads do.

    By default the gradients of rows that are asked for more than once (an item in many histories) are added in the
    order in which threads come by: two runs of one seed parted in the fourth digit after five epochs. Operations that
    have no such way on a GPU warn and go on.
    """
    before, warning = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warning)


class Training:
    """A model on its way.

    Args:
        model: a Recommender.
        data: where its tensors are, the model is too.
        settings: of the loop.
        seed: of the order of rows and of dropout.

    Raises:
        ModelError: a task has no label in training, or what training stops on has none in the validation split.
    """

    def __init__(self, model: Any, data: Data, settings: TrainSettings, *, seed: int) -> None:
        refuse_missing_labels(model.tasks, data.train, data.valid, data.features, settings.stop_on)
        self.model, self.data, self.settings, self.seed = model, data, settings, seed
        self.device = data.features.category.device
        labels = {task.column: _known(data.train.labels[task.column]).to(self.device) for task in model.tasks}
        model.start_from(data.features, labels)
        self.proposal = Proposal(data.features)
        self.around = Around(data.train, _asked(model.tasks)) if settings.history == "around" else None
        self.balancer = balancer(tuple(model.tasks), settings).to(self.device)
        shared = self._shared() if self.balancer.needs_gradients else []
        self.gradients = Gradients(model, model.tasks, self.balancer, shared)
        groups = [group | {"weight_decay": settings.weight_decay} for group in parameter_groups(model)]
        if learned := list(self.balancer.parameters()):
            groups.append({"params": learned, "weight_decay": 0.0})
        self.optimizer = OPTIMIZERS[settings.optimizer](groups, lr=settings.learning_rate)
        self.average = _averaged(model, settings.average) if settings.average else None
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        done = self.progress
        return done.epoch >= self.settings.max_epochs or done.epoch - done.best_epoch >= self.settings.patience

    @property
    def kept(self) -> Any:
        """The model that is validated: the average of the weights where one is taken, else the one that learns."""
        return self.model if self.average is None else self.average.module

    @repeatable()
    def run_epoch(self) -> None:
        """One pass over the training rows, then over those of the validation split."""
        started, epoch = time.monotonic(), self.progress.epoch
        torch.manual_seed(int(np.random.SeedSequence([self.seed, epoch, workers.rank()]).generate_state(1)[0]))
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.data.train))
        self.model.train()
        sums_T = torch.zeros(len(self.model.tasks), device=self.device)
        counts = dict.fromkeys((task.name for task in self.model.tasks), 0.0)
        for start in range(0, len(order), self.settings.batch_size):
            generator = np.random.default_rng([self.seed, epoch, 1 + start])
            sums_T += self._step(order[start : start + self.settings.batch_size], counts, generator)
        losses = self._mean_losses(sums_T, counts)
        self.kept.eval()
        held_out, valid = self.data.valid, {}
        if held_out is not None:
            valid = validate(self.kept, held_out, self.data.features, self.settings.stop_on)
        self._note(
            {
                "epoch": epoch + 1,
                "losses": losses,
                "valid": valid,
                "learning_rate": self.optimizer.param_groups[0]["lr"],
                "seconds": round(time.monotonic() - started, 3),
            }
        )

    def _step(self, rows: Array, counts: dict[str, float], generator: np.random.Generator) -> Tensor:
        """One update from these rows of all workers; the sum over them of each task's loss (T,), not divided."""
        labelled = label_weights(self.model.tasks, self.data.train, rows)
        for name, count in labelled.items():
            counts[name] += count
        drawn = self._draw(generator)
        units = self.model.units.tolist()
        weights = {task.name: task.weight / unit**2 for task, unit in zip(self.model.tasks, units, strict=True)}
        sums_T = torch.zeros(len(weights), device=self.device)
        self.gradients.start(self.progress.curve, self.device)
        mixing = self._mixing(rows, generator)
        mine = np.arange(len(rows))[workers.share(len(rows))]
        for part in np.array_split(mine, self.settings.accumulate):
            if len(part):
                losses = self._losses(rows[part], drawn, None if mixing is None else mixing.at(part))
                self.gradients.add({name: weights[name] * loss / labelled[name] for name, loss in losses.items()})
                for number, name in enumerate(weights):
                    if name in losses:
                        sums_T[number] += losses[name].detach()
        workers.sum_over_workers(sums_T)
        scales = [weights[name] / labelled[name] if labelled[name] else math.nan for name in weights]
        self.gradients.finish(sums_T * torch.tensor(scales, device=self.device), generator)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()
        if self.average is not None:
            self.average.update_parameters(self.model)
        return sums_T

    def _losses(self, rows: Array, drawn: Mapping[str, Drawn], mixing: Mixing | None) -> dict[str, Tensor]:
        batch = batch_at(self.data.train, rows, self.device)
        if self.around is not None:
            batch = self.around.applied(batch, rows)
        if mixing is not None:
            batch = replace(batch, mixture=mixing.mixture(self.data.train, self.device))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            return task_losses(self.model, batch, self.data.features, drawn)

    def _draw(self, generator: np.random.Generator) -> dict[str, Drawn]:
        """Items for the tasks that are learned from a sample of the catalogue."""
        asking = {task.name: task.negatives for task in self.model.tasks if task.negatives is not None}
        return {name: self.proposal.draw(generator, count).to(self.device) for name, count in asking.items()}

    def _mixing(self, rows: Array, generator: np.random.Generator) -> Mixing | None:
        """What is mixed into these rows of all workers; a generator of its own: all else is drawn as without."""
        if self.settings.mixup is None:
            return None
        return draw_mixing(self.settings.mixup, self.model.tasks, self.data.train, rows, generator.spawn(1)[0])

    def _shared(self) -> list[nn.Parameter]:
        """What more than one task reaches, asked with a row on which every task has a label."""
        self.model.train()  # cuDNN's recurrent networks have no other way back
        row = batch_at(self.data.train, np.arange(1), self.device)
        labels = {name: torch.zeros_like(label) for name, label in row.labels.items()}
        drawn = self._draw(np.random.default_rng(self.seed))
        return shared_parameters(
            self.model, task_losses(self.model, replace(row, labels=labels), self.data.features, drawn)
        )

    def _mean_losses(self, sums_T: Tensor, counts: dict[str, float]) -> dict[str, float]:
        summed = zip(counts, sums_T.tolist(), strict=True)
        losses = {name: total / (counts[name] or 1.0) for name, total in summed}
        if wrong := [name for name, loss in losses.items() if not math.isfinite(loss)]:
            raise ModelError(
                f"the loss of task {wrong[0]} is {losses[wrong[0]]} in epoch {self.progress.epoch + 1}: "
                f"train.learning_rate is {self.settings.learning_rate}, try a smaller one"
            )
        return losses

    def _note(self, entry: dict[str, Any]) -> None:
        progress = self.progress
        progress.epoch = entry["epoch"]
        progress.curve.append(entry)
        value = entry["valid"].get(self.settings.stop_on)
        if value is None or progress.best_value is None or is_better(self.settings.stop_on, value, progress.best_value):
            progress.best_value, progress.best_epoch = value, progress.epoch
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.kept.state_dict().items()}


def fit(
    model: Any,
    data: Data,
    settings: TrainSettings,
    *,
    seed: int,
    after_epoch: Callable[[Training], None] = lambda training: None,
    resume: Callable[[Training], None] = lambda training: None,
) -> Progress:
    """Train until there is no better validation metric for `patience` epochs; the model is then the best one.

    Args:
        model: a Recommender, on the device of the features.
        data: to learn from.
        settings: of the loop.
        seed: the same one gives the same model on the same machine.
        after_epoch: called after each epoch, to report or to write a checkpoint.
        resume: called before the first epoch, to restore a checkpoint.
    """
    training = Training(model, data, settings, seed=seed)
    resume(training)
    while not training.finished:
        training.run_epoch()
        after_epoch(training)
    model.load_state_dict(training.best)
    model.eval()
    return training.progress


def parameter_groups(model: Any) -> list[dict[str, Any]]:
    """All parameters, those of an encoder that is learned along at the learning rate of its own."""
    encoder = getattr(model, "encoder", None)
    if encoder is None:
        return [{"params": list(model.parameters())}]
    own = list(encoder.parameters())
    rest = [parameter for name, parameter in model.named_parameters() if not name.startswith("encoder.")]
    return [{"params": rest}, {"params": own, "lr": model.settings.finetune.learning_rate}]


def _averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of the weights (Polyak and Juditsky 1992 average them evenly)."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _asked(tasks: Sequence[Task]) -> str:
    """The label of next item, which tells whose training rows know their user `around`: one task alone is learned from
    what it reads in company, else company would be credited with it.
    """
    return next((task.column for task in tasks if task.kind == "next_item"), "next_item")


def _known(label_N: Array) -> Tensor:
    return torch.from_numpy(label_N[~np.isnan(label_N)])
