"""Matrix factorisation alone: r = mu + b_u + b_i + u . v (Koren, Bell and Volinsky 2009, equation 4).

The baseline that a joint model has to beat. It learns one task, from ids only: values by squared error, or the next
item by softmax over the candidates, where mu and b_u cancel.

Shapes: B rows, I items, D width.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tandemrec.config import Task
from tandemrec.model.batch import Batch, Features
from tandemrec.model.heads import HEADS
from tandemrec.model.recommender import Catalogue, log_popularity


class MatrixFactorisation(nn.Module):
    """Vectors and biases of users and items.

    Args:
        task: a task on a user and an item with one output, or next item.
        users: size of the vocabulary, with 0.
        items: size of the vocabulary, with 0.
        width: D.
    """

    def __init__(self, task: Task, users: int, items: int, width: int) -> None:
        super().__init__()
        self.tasks = (task,)
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)
        self.user_bias, self.item_bias = nn.Parameter(torch.zeros(users)), nn.Parameter(torch.zeros(items))
        self.mean = nn.Parameter(torch.zeros(1))
        for embedding in (self.user, self.item):
            nn.init.normal_(embedding.weight, std=0.1 * width**-0.5)

    def start_from(self, features: Features, labels: Mapping[str, Tensor]) -> None:
        """Mu from the labels of a value; b_i from popularity for the next item."""
        (task,) = self.tasks
        with torch.no_grad():
            if task.kind in HEADS:
                self.mean.copy_(HEADS[task.kind].prior(labels[task.column], 0))
            else:
                self.item_bias.copy_(log_popularity(features))

    def catalogue(self, features: Features) -> Catalogue:
        return Catalogue(self.item.weight, self.item_bias)

    def users(self, batch: Batch, features: Features, catalogue: Catalogue) -> Tensor:
        return self.user(batch.user)

    def forward(self, batch: Batch, features: Features, users_BD: Tensor) -> dict[str, Tensor]:
        (task,) = self.tasks
        if task.kind not in HEADS:
            return {}
        product_B = (users_BD * self.item(batch.item)).sum(1)
        return {task.name: self.mean + self.user_bias[batch.user] + self.item_bias[batch.item] + product_B}

    def candidate_logits(self, batch: Batch, features: Features, catalogue: Catalogue, users_BD: Tensor) -> Tensor:
        return (users_BD @ catalogue.vectors.T + catalogue.bias).masked_fill(~features.candidates, -torch.inf)
