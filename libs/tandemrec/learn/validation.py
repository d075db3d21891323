"""Metrics of the validation split after each epoch, over all workers, and what may be refused before the first.

Shapes: N rows.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from tandemrec.config import Task, without_labels
from tandemrec.errors import ModelError
from tandemrec.learn import workers
from tandemrec.learn.feeds import Array, Examples
from tandemrec.learn.scoring import score_examples
from tandemrec.metrics import direction, prediction_metrics, ranking_metrics
from tandemrec.model.batch import Features
from tandemrec.model.heads import HEADS

CUTOFF = 10


def is_better(metric: str, value: float, than: float) -> bool:
    """Whether a value of TASK/METRIC is better, by the direction of the metric."""
    sign = direction(metric.rpartition("/")[2])
    return sign * value > sign * than


def validate(model: Any, examples: Examples, features: Features, stop_on: str) -> dict[str, float]:
    """TASK/METRIC -> value for every task with labels; ranking metrics at 10 and at the cut-off of `stop_on`.

    Each worker scores its part of the rows; all get all scores, and so the same metrics.
    """
    device = features.category.device
    rows = np.arange(len(examples))[workers.share(len(examples))]
    scored = score_examples(model, examples, features, rows=rows, device=device)
    cutoffs = sorted({CUTOFF, int(stop_on.partition("@")[2] or CUTOFF)})
    metrics: dict[str, float] = {}
    for task in model.tasks:
        label = examples.labels[task.column]
        known = ~np.isnan(label)
        part = scored.scores[task.name] if task.head in HEADS else scored.ranks[task.name]
        answer = _from_all_workers(part, len(examples), device)[known]
        if not known.any():
            continue
        if task.head in HEADS:
            if not np.isfinite(answer).all():
                raise ModelError(
                    f"task {task.name}: what the model says of validation rows is no finite number: try a smaller "
                    "train.learning_rate"
                )
            found = prediction_metrics(task.kind, label[known], answer)
        else:
            each = ranking_metrics(answer, examples.query[known], cutoffs)
            found = {name: float(values.mean()) for name, values in each.items()}
        metrics |= {f"{task.name}/{name}": value for name, value in found.items()}
    return metrics


def refuse_missing_labels(
    tasks: Sequence[Task], train: Examples, valid: Examples | None, features: Features, stop_on: str | None = None
) -> None:
    """Refuse what training could not learn from or, where it stops early, could not stop on.

    Raises:
        ModelError: names the task, the column and what to do; of labels that no row has, all tasks at once.
    """
    for task in tasks:
        if task.column not in train.labels:
            raise ModelError(
                f"task {task.name}: the examples have no label column {task.column!r}, "
                f"expected one of {sorted(train.labels)}"
            )
    labelled = {task.column: int((~np.isnan(train.labels[task.column])).sum()) for task in tasks}
    if said := without_labels(tasks, labelled):
        raise ModelError(said)
    for task in tasks:
        for examples in (train, *([valid] if valid is not None else [])):
            _refuse_odd_labels(task, examples.labels[task.column])
        if task.head not in HEADS:
            known = ~np.isnan(train.labels[task.column])
            unseen = features.interactions[torch.from_numpy(train.item[known].astype(np.int64))] == 0
            if unseen.any():
                item = int(train.item[known][unseen.cpu().numpy()][0])
                raise ModelError(f"task {task.name}: item {item} is a training target without a training interaction")
    if valid is None or stop_on is None:
        return
    chosen = next(task for task in tasks if task.name == stop_on.partition("/")[0])
    label = valid.labels[chosen.column]
    if np.isnan(label).all():
        raise ModelError(
            f"train.stop_on is {stop_on!r}, but no validation row has the label {chosen.column}: choose another task "
            "or another split"
        )
    if stop_on.endswith("/auc") and len(np.unique(label[~np.isnan(label)])) < 2:
        raise ModelError(f"train.stop_on is {stop_on!r}, but the validation rows have one class only: choose log_loss")


def _refuse_odd_labels(task: Task, label_N: Array) -> None:
    found = label_N[~np.isnan(label_N)]
    if task.kind == "binary":
        odd, expected = found[(found != 0) & (found != 1)], "0 or 1"
    elif task.counts_classes:
        odd, expected = found[(found < 0) | (found != np.floor(found))], "whole numbers from 0"
    else:
        return
    if len(odd):
        raise ModelError(f"task {task.name}: label {task.column} holds {odd[0]:g}, expected {expected} for {task.head}")


def contradictions(tasks: Sequence[Task], train: Examples) -> Iterator[str]:
    """Where a task that follows on another came true and that one did not, which p = p(given) p(own) cannot answer."""
    columns = {task.name: task.column for task in tasks}
    for task in (task for task in tasks if task.given):
        odd = (train.labels[task.column] == 1) & (train.labels[columns[task.given]] == 0)
        if odd.any():
            yield (
                f"tasks.{task.name}: given is {task.given}, and {int(odd.sum()):,} training rows have a {task.name} "
                f"without a {task.given}: they pull {task.given} both ways"
            )


def same_for_all(tasks: Sequence[Task], train: Examples) -> Iterator[str]:
    """Where every training row says the same of a task, so that nothing tells one row from another."""
    for task in (task for task in tasks if task.head in HEADS):
        label = train.labels[task.column]
        found = label[~np.isnan(label)]
        if len(found) and (found == found[0]).all():
            yield (
                f"tasks.{task.name}: the label {task.column} is {found[0]:g} in all {len(found):,} training rows that "
                "have it: there is nothing to learn"
            )


def _from_all_workers(part: Array, count: int, device: torch.device) -> Array:
    """The answers for all rows (N,) or (N, C), of which this worker has its share."""
    if workers.count() == 1:
        return part
    whole = np.zeros((count, *part.shape[1:]), part.dtype)
    whole[workers.share(count)] = part
    return workers.sum_over_workers(torch.from_numpy(whole).to(device)).cpu().numpy()
