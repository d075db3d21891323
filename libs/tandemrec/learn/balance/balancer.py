"""What the training loop asks of a method that balances tasks. As it stands here it is the one of fixed weights.

A method sees numbers that are those of all workers together: mean losses, and the inner products of the tasks'
gradients over the parameters that more than one task reaches. So N workers decide what one would.

The loop multiplies each loss by the task's own weight before anything else. Shapes: T tasks, K tasks that have labels
in this step.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tandemrec.config import BalanceSettings, Task


class Balancer(nn.Module):
    """Fixed weights: the losses are added.

    Attributes:
        needs_gradients: the gradient of each task is computed alone, which costs a pass backwards a task.
    """

    needs_gradients = False

    def __init__(self, tasks: Sequence[Task], settings: BalanceSettings) -> None:
        super().__init__()
        self.tasks, self.settings = tuple(tasks), settings

    def weights(self, curve: Sequence[Mapping[str, Any]]) -> Tensor:
        """Weights of the losses in this step (T,), on the whole model.

        Args:
            curve: entries of `Progress.curve`, one for each epoch that is over.
        """
        return torch.ones(len(self.tasks))

    def mix(self, gram_KK: Tensor, generator: np.random.Generator) -> Tensor | None:
        """How much of each task's gradient goes into the step of the shared parameters (K,); None: as the losses weigh.

        Args:
            gram_KK: inner products of the gradients, float64.
            generator: the same on every worker.
        """
        return None

    def learn(self, losses_T: Tensor, gram_TT: Tensor | None) -> None:
        """Take note of a step before the optimizer makes it: mean losses, NaN without a label, and the inner products
        of the gradients where they were asked for. Parameters of the method get their gradients here.
        """
