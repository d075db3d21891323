"""What a model is worth for those with many training interactions and for those with few or none."""

from dataclasses import replace

import numpy as np

from tandemrec.config import EvaluateSettings
from tandemrec.evaluate.compare import Measured, measure
from tandemrec.evaluate.experience import CUTOFF, SHOWN, part_of, rows_of, user_counts
from tandemrec.evaluate.problem import Predictions, Problem

COMPARED = {kind: (metric,) for kind, metric in SHOWN.items()} | {"next_item": (f"ndcg@{CUTOFF}", f"hr@{CUTOFF}")}


def by_warmth(
    model: str,
    predictions: Predictions,
    problem: Problem,
    *,
    cold: int,
    settings: EvaluateSettings,
    seed: int,
    ours: Predictions | None = None,
) -> list[Measured]:
    """The compared metrics over all test rows (`split` is `test`) and over those whose user, or item, is cold or warm
    (`test, cold user`); a part without rows has none.

    Args:
        cold: training interactions that somebody cold has at most.
        ours: answers of the model whose lead over this one is told.
    """
    users, items = user_counts(problem) <= cold, problem.interactions[problem.test.item] <= cold
    parts = {
        "test": np.ones(len(users), bool),
        "test, cold user": users,
        "test, warm user": ~users,
        "test, cold item": items,
        "test, warm item": ~items,
    }
    tasks = [task for task in problem.tasks if "user" in task.reads]
    wanted = {(task.name, metric) for task in tasks for metric in COMPARED[task.kind]}
    settings = settings.model_copy(update={"cutoffs": [CUTOFF]})
    figures = []
    for name, chosen in parts.items():
        rows = np.flatnonzero(chosen)
        if len(rows):
            asked, answered = part_of(problem.test, rows), rows_of(predictions, rows)
            same = None if ours is None else rows_of(ours, rows)
            found = measure(model, answered, asked, tasks, settings=settings, seed=seed, ours=same, wanted=wanted)
            figures += [replace(one, split=name) for one in found]
    return figures
