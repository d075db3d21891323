"""Answers that mean what they say: after training, a shift and a slope for each task, fitted on validation rows, and
which class is told.

Training stops for one task; the heads of the others are by then too sure of themselves, or too timid.
"""

from collections.abc import Callable
from typing import cast

import numpy as np
import torch
from torch import Tensor

from tandemrec.learn.feeds import Array, Examples, batch_at
from tandemrec.metrics import class_weights
from tandemrec.model.batch import Features
from tandemrec.model.heads import HEADS
from tandemrec.model.multitask import Calibration, MultiTaskModel

ROWS = 100_000  # of a task, drawn where more have its label: two numbers need no more
PRIOR_ROWS = 10.0  # how many rows the identity counts for
STEPS = 100


def calibrate(model: MultiTaskModel, valid: Examples, features: Features, *, seed: int, batch_size: int = 1024) -> None:
    """Set the model's calibration to what fits the labels of validation rows best; a task without any stays as it is.

    Of a binary task it is Platt's (1999), of a multiclass one the temperature of Guo et al. (2017), of a value the
    regression of the labels on it. A task that follows on another is fitted on the rows where that one came true, as
    what it answers by itself is meant (ESMM). Classes weigh what gives the best macro-F1 (`metrics.class_weights`).
    """
    rows = _asked(model, valid, seed)
    parts: dict[str, list[Tensor]] = {name: [] for name in model.calibration}
    with torch.inference_mode():
        catalogue = model.catalogue(features)
        for start in range(0, len(rows), batch_size):
            batch = batch_at(valid, rows[start : start + batch_size], features.category.device)
            for name, logits in model.own_answers(batch, features, model.users(batch, features, catalogue)).items():
                parts[name].append(logits)
    if len(rows) == 0:
        return
    own = {name: torch.cat(logits).clone() for name, logits in parts.items()}
    columns = {task.name: task.column for task in model.tasks}
    labels = {name: torch.from_numpy(valid.labels[columns[name]][rows]).float().to(own[name].device) for name in own}
    for task in (task for task in model.tasks if task.name in own):
        asked = ~labels[task.name].isnan()
        if task.given:
            asked &= labels[task.given] == 1
        if asked.any():
            loss, calibration = HEADS[task.head].loss, cast(Calibration, model.calibration[task.name])
            unit = float(model.unit_of[task.name])
            fit_affine(calibration, own[task.name][asked], labels[task.name][asked], loss, unit=unit)
    with torch.no_grad():
        answers = model.calibrated(own)
    for task in (task for task in model.tasks if task.name in own):
        known, weights = ~labels[task.name].isnan(), cast(Calibration, model.calibration[task.name]).weights
        if len(weights) and known.any():
            probabilities = HEADS[task.head].activation(answers[task.name][known])
            found = class_weights(labels[task.name][known].numpy(force=True), probabilities.numpy(force=True))
            weights.copy_(torch.from_numpy(found))


def _asked(model: MultiTaskModel, valid: Examples, seed: int) -> Array:
    """The rows with a label of some task, of each task ROWS at most: among all rows few might be of a rare one."""
    generator, asked = np.random.default_rng(seed), np.zeros(len(valid), bool)
    for column in dict.fromkeys(task.column for task in model.tasks if task.head in HEADS):
        rows = np.flatnonzero(~np.isnan(valid.labels[column]))
        asked[rows if len(rows) <= ROWS else generator.choice(rows, ROWS, replace=False)] = True
    return np.flatnonzero(asked)


def yes_from(model: MultiTaskModel) -> dict[str, float]:
    """By binary task, the probability from which on yes is told."""
    asked = [task.name for task in model.tasks if task.kind == "binary"]
    weights = {name: cast(Calibration, model.calibration[name]).weights.tolist() for name in asked}
    return {name: no / (no + yes) for name, (no, yes) in weights.items()}


def fit_affine(
    calibration: Calibration,
    logits: Tensor,
    labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    unit: float = 1.0,
) -> None:
    """Choose shift a and slope e^c by the loss of a + e^c z over the rows plus PRIOR_ROWS (a^2 + c^2) / 2: few rows
    change little. Values, and a, are counted in the unit meanwhile.

    Args:
        logits: z, (N,) or (N, C), of a calibration that changes nothing yet.
        labels: (N,).
        loss: (logits, labels) -> (N,).
        unit: of logits and labels.
    """
    logits, labels = logits / unit, labels / unit
    shift, log_slope = (torch.zeros((), device=logits.device, requires_grad=True) for _ in range(2))
    optimizer = torch.optim.LBFGS([shift, log_slope], max_iter=STEPS, line_search_fn="strong_wolfe")

    def cost() -> Tensor:
        optimizer.zero_grad()
        prior = PRIOR_ROWS * (shift**2 + log_slope**2) / 2
        total = (loss(shift + log_slope.exp() * logits, labels).sum() + prior) / (len(labels) + PRIOR_ROWS)
        total.backward()
        return total

    optimizer.step(cost)
    if bool(torch.isfinite(shift) & torch.isfinite(log_slope)):
        calibration.shift.copy_(shift.detach() * unit)
        calibration.log_slope.copy_(log_slope.detach())
