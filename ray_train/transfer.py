"""Operation transfer: does learning tasks together pay? Each task alone, all together and by pairs, at an equal budget.

Every trial sees the same rows in the same order for the same number of passes (`train.max_epochs`, no early stop),
with the settings of the model and of the loop as they are. Of a task the test figures are those of the pass that was
best for that task in validation: what is compared is what tasks learn, not when training would stop. Trials run side
by side on Ray.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import ray
import torch
from rich.table import Table

from ray_train.train import built, last_line, looked_at
from tandemrec import console
from tandemrec.config import Settings, Task, parse_settings
from tandemrec.errors import ConfigError, ModelError
from tandemrec.evaluate.compare import metric_values, value_owners
from tandemrec.evaluate.experience import CUTOFF, banded, part_of
from tandemrec.evaluate.problem import Predictions, Problem, Rows, labelled
from tandemrec.evaluate.transfer import Lift, lift, shown_metric
from tandemrec.learn import Training, score_examples
from tandemrec.learn.feeds import Examples
from tandemrec.learn.scoring import Scores
from tandemrec.learn.validation import refuse_missing_labels
from tandemrec.metrics import direction
from tandemrec.pipeline.operations import operation_main
from tandemrec.report.transfer import Point, TransferReport, render

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Weights of the first of two tasks in the Pareto view; the second has the rest."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Tasks that one model learns, from one seed. `share` is the weight of the first of two, of 1; None: as they
    are.
    """

    tasks: tuple[str, ...]
    seed: int
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a trial gave: for each task and pass the metric in validation and on the test rows, and what it said of all
    test rows at the pass that was best in validation.
    """

    valid: dict[str, list[float]]
    test: dict[str, list[float]]
    answers: dict[str, np.ndarray]


def run(settings: Settings, seeds: int, tasks: str, pareto: str) -> dict[str, Any]:
    """Train all trials; a table on the terminal, transfer.html and transfer.json beside the report.

    Args:
        settings: of the lake, the tasks, the model and the loop.
        seeds: trainings of each set of tasks.
        tasks: names, separated by commas; empty: all tasks of the settings.
        pareto: two of them, separated by a comma; empty: no Pareto view.

    Raises:
        ConfigError: before any training; says what was asked and what can be.
    """
    chosen, pair = _asked(settings, seeds, tasks, pareto)
    outcomes, problem = _outcomes(settings, _trials(chosen, pair, seeds))
    by_name = {task.name: task for task in settings.tasks}

    def values(task: Task, tasks: Sequence[str], rows: np.ndarray | None) -> np.ndarray:
        found = [outcomes[Trial(tasks=tuple(tasks), seed=seed)] for seed in range(seeds)]
        return np.stack([values_of(task, one.answers[task.name], problem.test, rows) for one in found])

    def compared(name: str, together: Sequence[str], part: str = "", rows: np.ndarray | None = None) -> Lift | None:
        """Of the rows of a part; nothing where they do not tell, as an AUC of one class."""
        alone, joint = values(by_name[name], [name], rows), values(by_name[name], together, rows)
        if alone.size == 0 or np.isnan([alone.sum(), joint.sum()]).any():
            return None
        asked = problem.test if rows is None else part_of(problem.test, rows)
        return lift(
            by_name[name],
            together,
            alone,
            joint,
            seed=settings.seed,
            owner_N=value_owners(by_name[name], asked),
            label_N=_answers(by_name[name], asked),
            part=part,
        )

    sets = dict.fromkeys((tuple(chosen), *combinations(chosen, 2)))
    lifts = [one for together in sets for name in together if (one := compared(name, together))]
    on_users = [name for name in chosen if "user" in by_name[name].reads]
    parts = [
        one
        for name in on_users
        for part, rows in banded(problem).items()
        if (one := compared(name, chosen, part, rows))
    ]
    points = _points([by_name[name] for name in pair], outcomes, seeds) if pair else []
    report = TransferReport(
        tasks=chosen,
        lifts=lifts,
        parts=parts,
        pair=pair,
        points=points,
        seeds=seeds,
        passes=settings.train.max_epochs,
        settings=settings,
    )
    folder = settings.report_path.parent
    folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, Sequence[Any]] = {"lifts": lifts, "parts": parts, "pareto": points}
    figures = {name: [asdict(one) for one in ones] for name, ones in told.items()}
    (folder / "transfer.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
    (folder / "transfer.html").write_text(render(report), encoding="utf-8")
    console.table(_table(lifts))
    if parts:
        console.table(_table_of_parts(parts))
    console.line(f"  {folder / 'transfer.html'}")
    return figures


def refuse(settings: Settings, *, seeds: int, tasks: str, pareto: str) -> None:
    """Raise, before Ray starts, what `run` does of its arguments."""
    _asked(settings, seeds, tasks, pareto)


def _asked(settings: Settings, seeds: int, tasks: str, pareto: str) -> tuple[list[str], list[str]]:
    """The tasks, and the two of the Pareto view."""
    chosen = _chosen(settings, tasks)
    if seeds < 1 or len(chosen) < 2:
        raise ConfigError(f"{len(chosen)} tasks and {seeds} seeds, expected at least two tasks and one seed")
    return chosen, _pair(settings, pareto, chosen) if pareto else []


def _chosen(settings: Settings, names: str) -> list[str]:
    known = [task.name for task in settings.tasks]
    asked = [name.strip() for name in names.split(",") if name.strip()] or known
    if unknown := sorted(set(asked) - set(known)):
        raise ConfigError(f"no task {unknown[0]!r}, expected some of {known}")
    return list(dict.fromkeys(asked))


def _pair(settings: Settings, pareto: str, chosen: Sequence[str]) -> list[str]:
    pair = _chosen(settings, pareto)
    if len(pair) != 2 or not set(pair) <= set(chosen):
        raise ConfigError(f"--pareto {pareto}: expected two tasks, TASK,TASK, of {list(chosen)}")
    if (method := settings.train.balance.method) != "fixed":
        raise ConfigError(
            f"--pareto {pareto}: train.balance.method is {method}, which undoes the weights that are compared, "
            "expected fixed"
        )
    return pair


def _trials(chosen: Sequence[str], pair: Sequence[str], seeds: int) -> list[Trial]:
    sets = dict.fromkeys([*((name,) for name in chosen), *combinations(chosen, 2), tuple(chosen)])
    trials = [Trial(tasks=together, seed=seed) for together in sets for seed in range(seeds)]
    if pair:
        trials += [Trial(tasks=tuple(pair), seed=seed, share=share) for share in SHARES for seed in range(seeds)]
    return trials


def _outcomes(settings: Settings, trials: Sequence[Trial]) -> tuple[dict[Trial, Outcome], Problem]:
    config, splits, features = looked_at(settings)
    learned = [task for task in settings.tasks if any(task.name in trial.tasks for trial in trials)]
    refuse_missing_labels(learned, splits["train"], splits["valid"], features)
    for task in learned:
        refuse_untold(task, {name: splits[name] for name in ("valid", "test")}, "with --tasks")
    problem = Problem(
        tasks=settings.tasks,
        train=splits["train"],
        test=splits["test"],
        interactions=features.interactions.numpy(),
    )
    return side_by_side(attempt, config, trials, gpu=settings.train.gpu), problem


def refuse_untold(task: Task, splits: Mapping[str, Rows], leave_out: str) -> None:
    """Refuse a task whose metric the rows of a split do not tell.

    Raises:
        ConfigError: says which and how to leave it out.
    """
    for name, asked in splits.items():
        label = asked.labels[task.column][labelled(asked, task)]
        if len(label) == 0:
            raise ConfigError(f"task {task.name}: no {name} row has the label {task.column}; leave it out {leave_out}")
        if task.kind == "binary" and (label == label[0]).all():
            raise ConfigError(
                f"task {task.name}: the label {task.column} is {label[0]:g} in every {name} row, and of one class "
                f"there is no AUC; leave it out {leave_out}"
            )


def side_by_side(
    attempt: Callable[[dict[str, Any], Any], Any], config: dict[str, Any], trials: Sequence[Any], *, gpu: bool
) -> dict[Any, Any]:
    """The outcome of each trial; each has a core, and a GPU where the settings say so.

    Raises:
        ModelError: one of them failed; says with what.
    """
    remote = ray.remote(num_cpus=1, num_gpus=1 if gpu else 0)(attempt)
    waiting = {remote.remote(config, trial): trial for trial in trials}
    found: dict[Any, Any] = {}
    with console.meter("trials", len(trials)) as meter:
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            try:
                found[waiting.pop(ready)] = ray.get(ready)
            except ray.exceptions.RayTaskError as error:  # whose text is a traceback
                raise ModelError(f"training failed: {last_line(error)}") from error
            meter.advance(1)
    return found


def attempt(config: Mapping[str, Any], trial: Trial) -> Outcome:
    """Train one model for all passes and note after each what it is worth."""
    settings = parse_settings(config["settings"])
    tasks = learned_tasks(settings.tasks, trial)
    settings = settings.model_copy(update={"tasks": tasks})
    outcome = Outcome(valid={t.name: [] for t in tasks}, test={t.name: [] for t in tasks}, answers={})
    for valid, test, scored in passes(settings, config, seed=settings.seed + trial.seed):
        answers = {**scored.scores, **scored.ranks}
        for task in tasks:
            values = values_of(task, answers[task.name], test)
            seen = outcome.valid[task.name]
            seen.append(valid[f"{task.name}/{shown_metric(task)}"])
            outcome.test[task.name].append(float(values.mean()))
            sign = direction(shown_metric(task))
            if sign * seen[-1] >= max(sign * value for value in seen):
                outcome.answers[task.name] = answers[task.name]
    return outcome


def passes(
    settings: Settings, config: Mapping[str, Any], *, seed: int
) -> Iterator[tuple[dict[str, float], Examples, Scores]]:
    """Train for all passes; after each the metrics of validation, the test rows, and what the model says of them."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if settings.train.gpu else "cpu")
    model, data, test = built(settings, config, seed=seed, device=device)
    first = settings.tasks[0]
    loop = settings.train.model_copy(update={"stop_on": f"{first.name}/{shown_metric(first)}"})
    training = Training(model, data, loop, seed=seed)
    for _ in range(loop.max_epochs):
        training.run_epoch()
        batch_size = settings.evaluate.batch_size
        scored = score_examples(training.kept, test, data.features, batch_size=batch_size, device=device)
        yield training.progress.curve[-1]["valid"], test, scored


def learned_tasks(tasks: Sequence[Task], trial: Trial) -> list[Task]:
    """The tasks of a trial; one that follows on a task which is not among them stands on its own."""
    chosen = [task for name in trial.tasks for task in tasks if task.name == name]
    shares = {} if trial.share is None else dict(zip(trial.tasks, (trial.share, 1 - trial.share), strict=True))
    return [
        task.model_copy(
            update={
                "given": task.given if task.given in trial.tasks else "",
                "weight": task.weight * 2 * shares.get(task.name, 0.5),
            }
        )
        for task in chosen
    ]


def values_of(task: Task, answers: np.ndarray, test: Rows, rows: np.ndarray | None = None) -> np.ndarray:
    """What each labelled test row, or each of these rows, adds to the task's metric; NaN where it cannot be told."""
    chosen = np.arange(len(test.user)) if rows is None else rows
    of_task = {task.name: answers[chosen]}
    answered = Predictions(ranks=of_task) if task.kind == "next_item" else Predictions(scores=of_task)
    asked = part_of(test, chosen)
    found = metric_values(task, answered, asked, cutoffs=[CUTOFF])
    return found.get(shown_metric(task), np.full(len(labelled(asked, task)), np.nan))


def _answers(task: Task, asked: Rows) -> np.ndarray | None:
    return asked.labels[task.column][labelled(asked, task)] if task.kind == "binary" else None


def _points(pair: Sequence[Task], outcomes: Mapping[Trial, Outcome], seeds: int) -> list[Point]:
    """Test figures of both tasks at each weight. Both are read at one pass, as one model would be kept: the one with
    the best weighted gain over the tasks alone in validation.
    """
    first, second = pair
    alone = {task.name: _best_alone(task, outcomes, seeds) for task in pair}
    points = []
    for share in SHARES:
        found = []
        for seed in range(seeds):
            outcome = outcomes[Trial(tasks=(first.name, second.name), seed=seed, share=share)]
            gains = sum(
                weight * direction(shown_metric(task)) * (np.array(outcome.valid[task.name]) / alone[task.name] - 1)
                for task, weight in ((first, share), (second, 1 - share))
            )
            at = int(np.argmax(gains))
            found.append((outcome.test[first.name][at], outcome.test[second.name][at]))
        x, y = np.mean(found, axis=0)
        points.append(Point(share=share, x=float(x), y=float(y), seeds=found))
    return points


def _best_alone(task: Task, outcomes: Mapping[Trial, Outcome], seeds: int) -> float:
    best = max if direction(shown_metric(task)) > 0 else min
    values = [best(outcomes[Trial(tasks=(task.name,), seed=seed)].valid[task.name]) for seed in range(seeds)]
    return float(np.mean(values)) or 1.0


def _table(lifts: Sequence[Lift]) -> Table:
    table = Table("task", "metric", "with", "alone", "together", "lift", "95% interval", "", box=None, pad_edge=False)
    everything = max(len(one.together) for one in lifts)
    for one in sorted(lifts, key=lambda one: one.task):
        others = [name for name in one.together if name != one.task]
        company = "all" if len(one.together) == everything else ", ".join(others)
        figures = (f"{one.alone:.4f}", f"{one.joint:.4f}", f"{one.lift:+.4f}", one.interval)
        table.add_row(one.task, one.metric, company, *figures, one.verdict)
    return table


def _table_of_parts(parts: Sequence[Lift]) -> Table:
    """All tasks together, by number of training interactions of the user or the item."""
    columns = ("task", "metric", "rows of", "rows", "alone", "together", "lift", "95% interval", "")
    table = Table(*columns, box=None, pad_edge=False)
    for one in parts:
        figures = (f"{one.rows:,}", f"{one.alone:.4f}", f"{one.joint:.4f}", f"{one.lift:+.4f}", one.interval)
        table.add_row(one.task, one.metric, one.part, *figures, one.verdict)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("transfer", argv)


if __name__ == "__main__":
    sys.exit(main())
