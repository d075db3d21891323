"""Losses of every task over the rows of a batch that carry its label.

Shapes: B rows.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tandemrec.config import Task
from tandemrec.learn.feeds import Array, Examples
from tandemrec.learn.negatives import Drawn, sampled_softmax
from tandemrec.model.batch import Batch, Features, Mixture
from tandemrec.model.heads import HEADS
from tandemrec.model.recommender import Catalogue, Recommender


def task_losses(
    model: Recommender, batch: Batch, features: Features, drawn: Mapping[str, Drawn] | None = None
) -> dict[str, Tensor]:
    """Sum of each task's loss over the rows with a label, each times the row's weight; a task without any in the batch
    is left out.

    A sum, because what it is to be divided by is the weight of the labels over all workers. Next item is cross-entropy
    over all candidates of the catalogue or, for the tasks of `drawn`, over what was drawn.
    """
    drawn = drawn or {}
    catalogue = _catalogue(model, batch, features, drawn)
    users_BD = model.users(batch, features, catalogue)
    logits = model(batch, features, users_BD)
    weight_B = torch.ones(len(batch), device=users_BD.device) if batch.weight is None else batch.weight
    losses: dict[str, Tensor] = {}
    for task in model.tasks:
        if "review" in task.reads and batch.mixture is not None:
            losses |= _mixed_loss(task, logits[task.name], batch, batch.mixture)
            continue
        label_B = batch.labels[task.column]
        known_B = ~label_B.isnan()
        if not known_B.any():
            continue
        if task.head in HEADS:
            members = len(logits[task.name]) // len(label_B)  # of an ensemble, each with a loss of its own
            answers, known = logits[task.name].float(), known_B.repeat(members)
            loss = HEADS[task.head].loss(answers[known], label_B.repeat(members)[known])
            losses[task.name] = (loss * weight_B.repeat(members)[known]).sum() / members
            continue
        rows, asking_BD = batch.where(known_B), users_BD[known_B]
        if task.name in drawn:
            others = drawn[task.name]
            queries_BD = model.queries(asking_BD)
            own_B = model.own_logits(rows, features, catalogue, queries_BD).float()
            at = catalogue.rows(others.items)
            drawn_Bn = (queries_BD @ catalogue.vectors[at].T + catalogue.bias[at]).float()
            loss = sampled_softmax(own_B, drawn_Bn, rows.item, others)
        else:
            candidates = model.candidate_logits(rows, features, catalogue, asking_BD).float()
            loss = F.cross_entropy(candidates, rows.item, reduction="none")
        losses[task.name] = (loss * weight_B[known_B]).sum()
    return losses


def _mixed_loss(task: Task, logits_B: Tensor, batch: Batch, mixture: Mixture) -> dict[str, Tensor]:
    """Share x loss of the row's own label + (1 - share) x loss of the other's (Zhang et al. 2018, section 3). Where one
    of them is missing the other's part stays as it is. Nothing where the batch has no label of the task.
    """
    parts = []
    for label_B, share_B in ((batch.labels, mixture.share), (mixture.labels, 1 - mixture.share)):
        known_B = ~label_B[task.column].isnan()
        if known_B.any():
            loss_N = HEADS[task.head].loss(logits_B[known_B].float(), label_B[task.column][known_B])
            parts.append((share_B[known_B] * loss_N).sum())
    return {task.name: sum(parts[1:], parts[0])} if parts else {}


def label_weights(tasks: Sequence[Task], examples: Examples, rows: Array) -> dict[str, float]:
    """How many of the rows carry each task's label, each counted by its weight. Every worker maps all rows, so none has
    to ask the others.
    """
    weight_B = np.ones(len(rows)) if examples.weight is None else examples.weight[rows]
    return {task.name: float(weight_B[~np.isnan(examples.labels[task.column][rows])].sum()) for task in tasks}


def _catalogue(model: Recommender, batch: Batch, features: Features, drawn: Mapping[str, Drawn]) -> Catalogue:
    """The whole catalogue only where a task ranks it; else the items that the batch and the draw speak of."""
    if any(task.head not in HEADS and task.name not in drawn for task in model.tasks):
        return model.catalogue(features)
    spoken_of = [batch.item, batch.history.flatten(), *(others.items for others in drawn.values())]
    return model.catalogue(features, torch.cat(spoken_of).unique())
