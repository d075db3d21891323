"""The learning curves of a training run, as small panels: one for each task's loss, one for each task's metric."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tandemrec.config import Task
from tandemrec.metrics import direction
from tandemrec.report.scores import HEADLINE_CUTOFF

_SHOWN = {"binary": "auc", "multiclass": "accuracy", "regression": "rmse", "next_item": f"ndcg@{HEADLINE_CUTOFF}"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One line over the epochs. `points` are (epoch, value); epochs without a value are left out."""

    task: str
    metric: str
    points: Sequence[tuple[int, float]]

    @property
    def is_loss(self) -> bool:
        return self.metric == "training loss"


@dataclass(frozen=True, kw_only=True)
class Learning:
    epochs: int
    best_epoch: int | None
    seconds_per_epoch: float | None
    panels: Sequence[Panel]
    refit: bool = False
    neighbours: Mapping[str, float] | None = None
    new_items: Mapping[str, float | None] | None = None
    yes_from: Mapping[str, float] = field(default_factory=dict)


def learning(figures: Mapping[str, Any], tasks: Sequence[Task], stop_on: str) -> Learning | None:
    """Panels of the figures of a training run; None where it recorded no epoch.

    Of a task's validation metrics one is shown: the one that training stops on, else the usual one of its kind.
    """
    curve = [entry for entry in figures.get("curve", []) if isinstance(entry.get("epoch"), int)]
    if not curve:
        return None
    panels = []
    for task in tasks:
        wanted = f"{task.name}/{_metric(task, stop_on)}"
        for metric, section, key in (
            ("training loss", "losses", task.name),
            (wanted.partition("/")[2], "valid", wanted),
        ):
            if points := _points(curve, section, key):
                panels.append(Panel(task=task.name, metric=metric, points=points))
    seconds = [entry["seconds"] for entry in curve if entry.get("seconds") is not None]
    return Learning(
        epochs=len(curve),
        best_epoch=_best(figures, curve, stop_on),
        seconds_per_epoch=sum(seconds) / len(seconds) if seconds else None,
        panels=panels,
        refit=bool(figures.get("refit")),
        neighbours=figures.get("neighbours"),
        new_items=figures.get("new_items"),
        yes_from=figures.get("yes_from") or {},
    )


def _metric(task: Task, stop_on: str) -> str:
    name, _, metric = stop_on.partition("/")
    return metric if name == task.name else _SHOWN[task.kind]


def _best(figures: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], stop_on: str) -> int | None:
    if isinstance(best := figures.get("best_epoch"), int):
        return best
    values = dict(_points(curve, "valid", stop_on))
    if not values:
        return None
    pick = max if direction(stop_on.partition("/")[2]) > 0 else min
    return pick(values, key=lambda epoch: values[epoch])


def _points(curve: Sequence[Mapping[str, Any]], section: str, key: str) -> list[tuple[int, float]]:
    found = [(entry["epoch"], (entry.get(section) or {}).get(key)) for entry in curve]
    return [(epoch, value) for epoch, value in found if value is not None and math.isfinite(value)]
