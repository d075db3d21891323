"""Losses of every task over the rows of a batch that carry its label.

Shapes: B rows.
"""

from collections.abc import Sequence

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from tandemrec.config import Task
from tandemrec.learn.feeds import Array, Examples
from tandemrec.model.batch import Batch, Features
from tandemrec.model.heads import HEADS
from tandemrec.model.recommender import Recommender


def task_losses(model: Recommender, batch: Batch, features: Features) -> dict[str, Tensor]:
    """Sum of each task's loss over the rows with a label; a task without any in the batch is left out.

    A sum, because what it is to be divided by is the number of labels over all workers. Next item is cross-entropy
    over all candidates of the catalogue.
    """
    catalogue = model.catalogue(features)
    users_BD = model.users(batch, features, catalogue)
    logits = model(batch, features, users_BD)
    losses = {}
    for task in model.tasks:
        label_B = batch.labels[task.column]
        known_B = ~label_B.isnan()
        if not known_B.any():
            continue
        if task.kind in HEADS:
            losses[task.name] = HEADS[task.kind].loss(logits[task.name][known_B], label_B[known_B]).sum()
        else:
            rows = batch.where(known_B)
            candidates = model.candidate_logits(rows, features, catalogue, users_BD[known_B])
            losses[task.name] = F.cross_entropy(candidates, rows.item, reduction="sum")
    return losses


def label_counts(tasks: Sequence[Task], examples: Examples, rows: Array) -> dict[str, int]:
    """How many of the rows carry each task's label. Every worker maps all rows, so none has to ask the others."""
    return {task.name: int(np.count_nonzero(~np.isnan(examples.labels[task.column][rows]))) for task in tasks}
