"""Answers for rows of examples, in batches: probabilities and values of each task, ranks of the next items.

Shapes: N rows, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from tandemrec.learn.feeds import Array, Examples, batch_at, seen_at
from tandemrec.learn.ranking import AT_ONCE, target_ranks
from tandemrec.model.batch import Features
from tandemrec.model.heads import HEADS
from tandemrec.model.recommender import Recommender


@dataclass(frozen=True, kw_only=True)
class Scores:
    """By task name. `scores`: probabilities (N,) or (N, C), or values (N,). `ranks` of next-item tasks: places (N,) of
    the rows' targets, 0 where a row has no target or it is no candidate.
    """

    scores: Mapping[str, Array]
    ranks: Mapping[str, Array]


@torch.inference_mode()
def score_examples(
    model: Recommender,
    examples: Examples,
    features: Features,
    *,
    rows: Array | None = None,
    batch_size: int = 1024,
    device: torch.device | str = "cpu",
) -> Scores:
    """What the model, in evaluation mode, says of these rows (all of them by default), in their order."""
    asked = np.arange(len(examples)) if rows is None else rows
    rows = asked
    if len(asked) == 0:  # networks read no batch of nothing; one row tells the shape of an answer
        rows = np.arange(min(1, len(examples)))
    catalogue, candidates = model.catalogue(features), model.candidates(features)
    parts: dict[str, list[Array]] = {task.name: [] for task in model.tasks}
    for start in range(0, max(1, len(rows)), batch_size):
        batch_rows = rows[start : start + batch_size]
        batch = batch_at(examples, batch_rows, device)
        users_BD = model.users(batch, features, catalogue)
        logits = model(batch, features, users_BD)
        for task in model.tasks:
            if task.head in HEADS:
                answer = HEADS[task.head].activation(logits[task.name])
            else:
                known = (~batch.labels[task.column].isnan()).nonzero()[:, 0]
                answer = torch.zeros_like(batch.item)
                for part in known.split(max(1, AT_ONCE // len(features))):
                    asking, seen = batch.where(part), seen_at(examples, batch_rows[part.cpu().numpy()], device)
                    logits_BI = model.ranking_logits(asking, features, catalogue, users_BD[part], seen)
                    answer[part] = target_ranks(logits_BI, asking.item, candidates, seen)
            parts[task.name].append(answer.cpu().numpy())
    answers = {name: np.concatenate(part)[: len(asked)] for name, part in parts.items()}
    pointwise = {task.name for task in model.tasks if task.head in HEADS}
    return Scores(
        scores={name: answer for name, answer in answers.items() if name in pointwise},
        ranks={name: answer for name, answer in answers.items() if name not in pointwise},
    )
