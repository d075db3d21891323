"""From the losses of a step to the gradients that the optimizer reads, summed over all workers.

Either one pass backwards for the weighted sum of the losses, or one for each task, where a balancer looks at the tasks'
gradients over what they share. Losses may come in several parts: gradients add up.

Shapes: T tasks, P shared parameters.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tandemrec.config import Task
from tandemrec.learn import workers
from tandemrec.learn.balance import Balancer


class Gradients:
    """The gradients of one step after another.

    Args:
        model: whose.
        tasks: in the order of the balancer's.
        balancer: decides what becomes of them.
        shared: the parameters that more than one task reaches; read where the balancer needs gradients. Without any,
            as of one task alone, there is nothing to balance, and the losses are added.
    """

    def __init__(
        self, model: nn.Module, tasks: Sequence[Task], balancer: Balancer, shared: Sequence[nn.Parameter]
    ) -> None:
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self.place = {task.name: number for number, task in enumerate(tasks)}
        self.balancer, self.shared = balancer, list(shared)
        names = {id(parameter) for parameter in shared}
        self.own = [parameter for parameter in self.parameters if id(parameter) not in names]
        self.alone_TP: Tensor | None = None
        self.reached = torch.zeros(len(self.shared), dtype=torch.int32)  # of the shared, in this step
        self.weights = torch.ones(len(tasks))

    def start(self, curve: Sequence[Mapping[str, Any]], device: torch.device) -> None:
        """Nothing yet; the weights of this step, from the epochs so far."""
        for parameter in self.parameters:
            parameter.grad = None
        self.weights = self.balancer.weights(curve).to(device)
        if self.balancer.needs_gradients and self.shared:
            size = sum(parameter.numel() for parameter in self.shared)
            self.alone_TP = torch.zeros(len(self.place), size, device=device)
            self.reached = torch.zeros(len(self.shared), dtype=torch.int32, device=device)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """A part of the losses, by task, as they add up to means over all rows of the step."""
        if self.alone_TP is None:
            total = sum(self.weights[self.place[name]] * loss for name, loss in losses.items())
            if isinstance(total, Tensor):
                total.backward()
            return
        everything = [*self.shared, *self.own]
        for name, loss in losses.items():
            number = self.place[name]
            found = torch.autograd.grad(loss, everything, retain_graph=True, allow_unused=True)
            pairs = list(zip(self.shared, found[: len(self.shared)], strict=True))
            self.reached |= torch.tensor([g is not None for _, g in pairs]).to(self.reached)
            self.alone_TP[number] += torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in pairs])
            for parameter, gradient in zip(self.own, found[len(self.shared) :], strict=True):
                if gradient is not None:
                    weighted = self.weights[number] * gradient
                    parameter.grad = weighted if parameter.grad is None else parameter.grad + weighted

    def finish(self, losses_T: Tensor, generator: np.random.Generator) -> None:
        """Sum over the workers and let the balancer decide.

        Args:
            losses_T: means over all rows of the step, NaN where a task has no label.
            generator: the same on every worker.
        """
        if self.alone_TP is None:
            workers.sum_gradients(self.parameters)
            self.balancer.learn(losses_T, None)
            return
        workers.sum_gradients(self.own)
        alone_TP, reached = workers.sum_over_workers(self.alone_TP), workers.sum_over_workers(self.reached)
        gram_TT = _gram(alone_TP)
        present = (~losses_T.isnan()).nonzero()[:, 0]
        if len(present) == 0:  # no row of the step says anything
            return
        mixed = self.balancer.mix(gram_TT[present][:, present], generator)
        shares_K = self.weights[present] if mixed is None else mixed.to(alone_TP)
        step_P = shares_K @ alone_TP[present]
        parts = step_P.split([parameter.numel() for parameter in self.shared])
        for parameter, part, holders in zip(self.shared, parts, reached.tolist(), strict=True):
            if holders:  # others stay without one, as in `workers.sum_gradients`
                parameter.grad = part.view_as(parameter)
        self.balancer.learn(losses_T, gram_TT)


def shared_parameters(model: nn.Module, losses: Mapping[str, Tensor]) -> list[nn.Parameter]:
    """The parameters that more than one of these losses depends on, whatever the values of labels are."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    times: Counter[int] = Counter()
    for loss in losses.values():
        found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        times.update(id(p) for p, gradient in zip(parameters, found, strict=True) if gradient is not None)
    return [parameter for parameter in parameters if times[id(parameter)] > 1]


def _gram(rows_TP: Tensor) -> Tensor:
    """Inner products (T, T) in float64, a part of the columns at a time."""
    gram_TT = torch.zeros(len(rows_TP), len(rows_TP), dtype=torch.float64, device=rows_TP.device)
    for part in rows_TP.split(workers.BUCKET, dim=1):
        exact = part.double()
        gram_TT += exact @ exact.T
    return gram_TT
