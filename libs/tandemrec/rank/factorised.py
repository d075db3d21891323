"""The baseline that a joint model has to beat: matrix factorisation trained alone, one task at a time.

It is given the same rows, candidates and width as the model, ids only, and settings of its own: a baseline that is not
tuned flatters what is held against it. It stops late, and of some weight decays, with the weights averaged or not, the
best in validation is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from itertools import product
from typing import Any

import numpy as np
import torch

from tandemrec import console
from tandemrec.config import BalanceSettings, ModelSettings, Settings, Task, TrainSettings
from tandemrec.errors import ModelError
from tandemrec.learn.features import after_validation
from tandemrec.learn.feeds import Array, Examples
from tandemrec.learn.loop import Data, fit
from tandemrec.learn.scoring import Scores, score_examples
from tandemrec.learn.validation import is_better
from tandemrec.model.batch import Features, Sizes
from tandemrec.model.multitask import MultiTaskModel

FACTORISATION: dict[str, Any] = {
    "pairs": "product",
    "history": "none",
    "neighbours": 0,
    "text": False,
    "attributes": False,
    "dropout": 0.0,
    "id_dropout": 0.0,
}
STOP_ON = {"next_item": "ndcg@10", "regression": "rmse"}
WEIGHT_DECAYS = (0.0, 1.0)
LOOP = {"optimizer": "adam", "learning_rate": 0.01, "patience": 5, "max_epochs": 80, "balance": BalanceSettings()}


def matrix_factorisation(
    settings: Settings,
    tasks: Sequence[Task],
    splits: Mapping[str, Examples],
    features: Features,
    *,
    refit: Examples | None = None,
) -> Scores:
    """Scores and ranks of the test rows for next item and for value tasks on a user and an item.

    A task without labels in the training or the validation split is left out.

    Args:
        features: what the training split says of items.
        refit: rows that what is chosen learns from anew, for as many epochs as were best.
    """
    known = features if refit is None else after_validation(features, splits["valid"])
    users = 1 + max(int(examples.user.max(initial=0)) for examples in splits.values())
    scores: dict[str, Array] = {}
    ranks: dict[str, Array] = {}
    for task in tasks:
        if task.kind not in STOP_ON or "user" not in task.reads:
            continue
        train, valid = (_labelled(splits[name], task) for name in ("train", "valid"))
        if len(train) == 0 or len(valid) == 0:
            continue
        data = Data(features=features, train=train, valid=valid)
        alone = task.model_copy(update={"ordinal": False, "negatives": None, "weight": 1.0})
        again = None if refit is None else Data(features=known, train=_labelled(refit, task), valid=None)
        model = _best(settings, alone, users, data, again)
        answers = score_examples(model, splits["test"], known, batch_size=settings.evaluate.batch_size)
        scores |= answers.scores
        ranks |= answers.ranks
    return Scores(scores=scores, ranks=ranks)


def factorisation(task: Task, users: int, items: int, width: int) -> MultiTaskModel:
    """Predict mu + b_u + b_i + u . v: the model of the settings with ids as its only inputs and nothing made of
    them.
    """
    sizes = Sizes(users=users, items=items, categories=0, brands=0, prices=0, history=1, text_width=0, classes={})
    return MultiTaskModel(ModelSettings(width=width, **FACTORISATION), [task], sizes)


def _best(settings: Settings, task: Task, users: int, data: Data, refit: Data | None) -> Any:
    """The factorisation of the weight decay, with or without averaged weights, that is best in validation."""
    stop_on = f"{task.name}/{STOP_ON[task.kind]}"
    best: tuple[float, Any, TrainSettings] | None = None
    averages = sorted({0.0, settings.train.average})  # what suits the model need not suit the baseline
    for weight_decay, average in product(WEIGHT_DECAYS, averages):
        model = _fresh(settings, task, users, data)
        loop = settings.train.model_copy(
            update=LOOP | {"stop_on": stop_on, "weight_decay": weight_decay, "average": average}
        )
        progress = fit(model, data, loop, seed=settings.seed)
        value = progress.best_value
        console.line(
            f"  matrix factorisation, weight decay {weight_decay:g}, average {average:g}: {stop_on} {value or 0:.4f} "
            f"in epoch {progress.best_epoch} of {progress.epoch}"
        )
        if value is not None and (best is None or is_better(stop_on, value, best[0])):
            best = value, model, loop.model_copy(update={"max_epochs": progress.best_epoch})
    if best is None:
        raise ModelError(f"matrix factorisation of task {task.name}: {stop_on} has no value in the validation split")
    _, model, loop = best
    if refit is not None:
        model = _fresh(settings, task, users, refit)
        fit(model, refit, loop, seed=settings.seed)
    return model


def _fresh(settings: Settings, task: Task, users: int, data: Data) -> MultiTaskModel:
    torch.manual_seed(settings.seed)
    return factorisation(task, users, len(data.features), settings.model.width)


def _labelled(examples: Examples, task: Task) -> Examples:
    """The rows that carry the task's label, in memory."""
    rows = np.flatnonzero(~np.isnan(examples.labels[task.column]))
    items, counts = examples.seen_by(rows)
    columns = {f.name: getattr(examples, f.name) for f in fields(examples) if f.name not in ("labels", "seen")}
    labels = {name: label[rows] for name, label in examples.labels.items()}
    there = {name: column[rows] for name, column in columns.items() if column is not None}
    return replace(examples, **there, labels=labels, seen=(items, np.concatenate([[0], counts.cumsum()])))
