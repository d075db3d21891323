"""Operation compare: the same model on ids alone, on text and attributes alone, and on both, at an equal budget.

Each sees the same rows in the same order for `train.max_epochs` passes, without an early stop. Of a task the figures
are those of the pass that was best for it in validation.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table

from ray_train.train import looked_at
from ray_train.transfer import passes, refuse_untold, side_by_side
from tandemrec import console
from tandemrec.config import ModelSettings, Settings, Task, parse_settings
from tandemrec.config.learning import INPUTS
from tandemrec.errors import ConfigError
from tandemrec.evaluate import Array, Measured, Predictions, Problem
from tandemrec.evaluate.table import AHEAD, BEHIND, mark
from tandemrec.evaluate.transfer import shown_metric
from tandemrec.evaluate.warmth import by_warmth
from tandemrec.learn.validation import refuse_missing_labels
from tandemrec.metrics import direction
from tandemrec.pipeline.operations import operation_main

BOTH = "hybrid"
LEGEND = f"{AHEAD} hybrid is ahead of this one on the same rows beyond the interval of the difference, {BEHIND} behind"


def run(settings: Settings, cold: int) -> list[dict[str, Any]]:
    """Train the three; a table on the terminal, and compare.json beside the report.

    Args:
        settings: of the lake, the tasks, the model and the loop; tasks that read neither user nor item are left out.
        cold: training interactions that a cold user or item has at most.

    Raises:
        ConfigError: no task is on users and items.
    """
    tasks = _compared(settings)
    loop = settings.train.model_copy(update={"stop_on": f"{tasks[0].name}/{shown_metric(tasks[0])}"})
    settings = settings.model_copy(update={"tasks": tasks, "train": loop})
    config, splits, features = looked_at(with_inputs(settings, BOTH))
    refuse_missing_labels(settings.tasks, splits["train"], splits["valid"], features)
    for task in settings.tasks:
        refuse_untold(task, {"valid": splits["valid"]}, "of `tasks`")
    problem = Problem(
        tasks=settings.tasks,
        train=splits["train"],
        test=splits["test"],
        interactions=features.interactions.numpy(),
    )
    answers = side_by_side(attempt, config, list(INPUTS), gpu=settings.train.gpu)
    how: dict[str, Any] = {"settings": settings.evaluate, "seed": settings.seed}
    both = answers[BOTH]
    figures = [
        one
        for name in INPUTS
        for one in by_warmth(name, answers[name], problem, cold=cold, ours=None if name == BOTH else both, **how)
    ]
    path = settings.report_path.parent / "compare.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [asdict(one) for one in figures]
    path.write_text(json.dumps(told, indent=1), encoding="utf-8")
    console.table(_table(figures))
    console.line(f"  {path}; cold: at most {cold} training interactions")
    if any(one.lead_low is not None for one in figures):
        console.line(f"  {LEGEND}")
    return told


def refuse(settings: Settings, *, cold: int) -> None:
    """Raise, before Ray starts, what `run` does of the settings."""
    _compared(settings)


def _compared(settings: Settings) -> list[Task]:
    tasks = [task for task in settings.tasks if "user" in task.reads]
    if not tasks:
        raise ConfigError("no task reads users, expected one: ids and content differ for these only")
    return tasks


def with_inputs(settings: Settings, inputs: str) -> Settings:
    """The settings with a model of these inputs, otherwise the same."""
    model = ModelSettings(**{**settings.model.model_dump(), **INPUTS[inputs], "inputs": inputs})
    return settings.model_copy(update={"model": model})


def attempt(config: Mapping[str, Any], inputs: str) -> Predictions:
    """Train one for all passes; of each task what it said of the test rows at its best."""
    settings = with_inputs(parse_settings(config["settings"]), inputs)
    best: dict[str, float] = {}
    scores: dict[str, Array] = {}
    ranks: dict[str, Array] = {}
    for valid, _, scored in passes(settings, config, seed=settings.seed):
        for task in settings.tasks:
            value = direction(shown_metric(task)) * valid[f"{task.name}/{shown_metric(task)}"]
            if value > best.get(task.name, float("-inf")):
                best[task.name] = value
                for kept, answered in ((scores, scored.scores), (ranks, scored.ranks)):
                    kept |= {task.name: answered[task.name]} if task.name in answered else {}
    return Predictions(scores=scores, ranks=ranks)


def _table(figures: Sequence[Measured]) -> Table:
    """A row for each part of the test rows and metric, a column for each of the three."""
    table = Table("rows", "task", "metric", *INPUTS, box=None, pad_edge=False)
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    for one in figures:
        interval = "" if one.low is None or one.high is None else f" ({one.low:.4f} to {one.high:.4f})"
        cells.setdefault((one.split, one.task, one.metric), {})[one.model] = f"{one.value:.4f}{interval}{mark(one)}"
    for part, by_model in cells.items():
        table.add_row(*part, *(by_model.get(name, "") for name in INPUTS))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("compare", argv)


if __name__ == "__main__":
    sys.exit(main())
