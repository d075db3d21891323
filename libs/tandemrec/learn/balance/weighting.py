"""Methods that weigh losses. Shapes: T tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tandemrec.config import BalanceSettings, Task
from tandemrec.learn.balance.balancer import Balancer


class Uncertainty(Balancer):
    """Weights from a learned variance of each task: sum over k of c_k e^-s_k L_k + s_k / 2, s_k = log sigma_k^2, c_k
    = 1/2 for squared errors and 1 for cross-entropies (Kendall, Gal and Cipolla 2018, equations 5 to 10). The model's
    optimizer learns s_k; a task without a label in a step does not move it.
    """

    def __init__(self, tasks: Sequence[Task], settings: BalanceSettings) -> None:
        super().__init__(tasks, settings)
        # A parameter each: without a gradient an optimizer with a momentum leaves one alone, at a gradient of 0 not.
        self.log_variance = nn.ParameterList(torch.zeros(()) for _ in tasks)
        halves = torch.tensor([0.5 if task.head == "regression" else 1.0 for task in tasks])
        self.halves: Tensor
        self.register_buffer("halves", halves, persistent=False)

    def weights(self, curve: Sequence[Mapping[str, Any]]) -> Tensor:
        return self.halves * torch.stack([-parameter.detach() for parameter in self.log_variance]).exp()

    def learn(self, losses_T: Tensor, gram_TT: Tensor | None) -> None:
        slope_T = 0.5 - self.weights(()) * losses_T
        for parameter, slope, absent in zip(self.log_variance, slope_T, losses_T.isnan().tolist(), strict=True):
            parameter.grad = None if absent else slope.to(parameter)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *others: Any) -> None:
        whole = state_dict.pop(f"{prefix}log_variance", ())  # checkpoints of before have one parameter for all tasks
        state_dict.update({f"{prefix}log_variance.{number}": value for number, value in enumerate(whole)})
        super()._load_from_state_dict(state_dict, prefix, *others)


class AverageOfChange(Balancer):
    """Dynamic weight average: w_k = T softmax(r_k / temperature), r_k = L_k(t - 1) / L_k(t - 2) over the epochs that
    are over; 1 in the first two (Liu, Johns and Davison 2019, equation 7).
    """

    def weights(self, curve: Sequence[Mapping[str, Any]]) -> Tensor:
        if len(curve) < 2:
            return super().weights(curve)
        last, before = curve[-1]["losses"], curve[-2]["losses"]
        # Squared errors and cross-entropies are at least 0; one of exactly 0 has stopped changing.
        rates = [last[t.name] / before[t.name] if before[t.name] > 0 else 1.0 for t in self.tasks]
        scaled_T = torch.tensor(rates, dtype=torch.float64) / self.settings.temperature
        return (len(rates) * scaled_T.softmax(0)).float()


class GradientNorms(Balancer):
    """GradNorm (Chen et al. 2018, equations 1 and 2, algorithm 1): weights move so that the norm of each weighted
    gradient, G_k = |w_k g_k|, comes near mean(G) r_k^alpha, where r_k is how little of its first loss the task has
    lost, in units of the mean over tasks. r^alpha is scaled to mean 1: weights of one sum then meet all targets.

    The target is a constant to the derivative. It is taken by log w_k and in units of mean(G), d|G_k - target| /
    dlog w_k = sign(G_k - target) G_k, where the paper has sign(G_k - target) |g_k| by w_k: that one is as large as the
    loss is, and at a loss of large numbers throws its weight from one end to the other. No step goes past its target.
    After it the weights of the tasks with a label are scaled to sum to what they did, T where all have one.

    Norms are over all shared parameters (the paper's W, of which it takes the last layer to save time).
    """

    needs_gradients = True
    SMALLEST = 1e-12  # of what is divided by or has a logarithm

    def __init__(self, tasks: Sequence[Task], settings: BalanceSettings) -> None:
        super().__init__(tasks, settings)
        self.weight: Tensor
        self.first: Tensor
        self.register_buffer("weight", torch.ones(len(tasks), dtype=torch.float64))
        self.register_buffer("first", torch.full((len(tasks),), torch.nan, dtype=torch.float64))

    def weights(self, curve: Sequence[Mapping[str, Any]]) -> Tensor:
        return self.weight.float()

    def learn(self, losses_T: Tensor, gram_TT: Tensor | None) -> None:
        if gram_TT is None:  # nothing is shared: no norms to bring to one pace
            return
        losses_T = losses_T.to(self.first)
        self.first = torch.where(self.first.isnan(), losses_T, self.first)
        present = ~losses_T.isnan()
        weight = self.weight[present]
        norm = weight * gram_TT.to(weight).diagonal()[present].clamp(min=0).sqrt()
        norm = (norm / norm.mean().clamp(min=self.SMALLEST)).clamp(min=self.SMALLEST)
        share = losses_T[present] / self.first[present].clamp(min=self.SMALLEST)
        pace = (share / share.mean().clamp(min=self.SMALLEST)) ** self.settings.alpha
        target = (pace / pace.mean().clamp(min=self.SMALLEST)).clamp(min=self.SMALLEST)
        reach = self.settings.rate * norm
        moved = weight * (target / norm).log().clamp(-reach, reach).exp()
        self.weight = self.weight.masked_scatter(present, moved * (weight.sum() / moved.sum()))
