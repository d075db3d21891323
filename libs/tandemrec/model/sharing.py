"""Sharing layers: what the tasks have in common, between the representations and each task's tower.

The weights serve whatever input comes, so that clicks, stars and words train the same experts. Each layer obeys one
contract: rows do not touch one another, and the order of the tasks does not matter.

Shapes: B rows, D width, E experts.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


def _expert(width: int, dropout: float) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width))


class SharedBottom(nn.Module):
    """One network for all tasks (Caruana 1997), around which the input also passes unchanged."""

    def __init__(self, tasks: Sequence[str], width: int, experts: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.bottom = _expert(width, dropout)

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        shared_BD = input_BD + self.bottom(self.norm(input_BD))
        return dict.fromkeys(tasks, shared_BD)


class MixtureOfExperts(nn.Module):
    """Multi-gate mixture of experts (Ma et al. 2018, equations 5 to 7): E networks for all tasks and, for each task,
    a softmax gate over them that reads the task's input. The input also passes unchanged.
    """

    def __init__(self, tasks: Sequence[str], width: int, experts: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.experts = nn.ModuleList(_expert(width, dropout) for _ in range(experts))
        self.gates = nn.ModuleDict({task: nn.Linear(width, experts, bias=False) for task in tasks})

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        normed_BD = self.norm(input_BD)
        answers_BED = torch.stack([expert(normed_BD) for expert in self.experts], dim=1)
        mixed = {}
        for task in tasks:
            gate_BE = self.gates[task](normed_BD).softmax(-1)
            mixed[task] = input_BD + (gate_BE.unsqueeze(-1) * answers_BED).sum(1)
        return mixed


SHARINGS: dict[str, Callable[[Sequence[str], int, int, float], nn.Module]] = {
    "shared_bottom": SharedBottom,
    "mmoe": MixtureOfExperts,
}
