"""Sharing layers: what the tasks have in common, between the representations and each task's tower.

The weights serve whatever input comes, so that clicks, stars and words train the same experts. Each layer obeys one
contract: rows do not touch one another, and neither the order of the tasks nor which of them are asked for matters. In
each the input also passes unchanged, as in a residual network: towers start from what the representations say.

Shapes: B rows, D width, E experts, T tasks.
"""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from tandemrec.config import ModelSettings
from tandemrec.model.by_task import ByTask


def _expert(settings: ModelSettings) -> nn.Module:
    width = settings.width
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Dropout(settings.dropout), nn.Linear(width, width))


def _experts(count: int, settings: ModelSettings) -> nn.ModuleList:
    return nn.ModuleList(_expert(settings) for _ in range(count))


def _mix(gate_BE: Tensor, answers_BED: Tensor) -> Tensor:
    """(B, D): the answers of experts, weighted by the softmax of a gate."""
    return (gate_BE.softmax(-1).unsqueeze(-1) * answers_BED).sum(1)


class Separate(nn.Module):
    """Nothing shared: a network of its own for each task. What it reads, the vectors of users, items and texts, is
    shared all the same, as are embeddings in the papers below.
    """

    def __init__(self, tasks: Sequence[str], settings: ModelSettings) -> None:
        super().__init__()
        self.norm = ByTask({task: nn.LayerNorm(settings.width) for task in tasks})
        self.own = ByTask({task: _expert(settings) for task in tasks})

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        return {task: input_BD + self.own[task](self.norm[task](input_BD)) for task in tasks}


class SharedBottom(nn.Module):
    """One network for all tasks: y_k = h_k(f(x)) (Caruana 1997; Ma et al. 2018, equation 1)."""

    def __init__(self, tasks: Sequence[str], settings: ModelSettings) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(settings.width)
        self.bottom = _expert(settings)

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        shared_BD = input_BD + self.bottom(self.norm(input_BD))
        return dict.fromkeys(tasks, shared_BD)


class MixtureOfExperts(nn.Module):
    """Multi-gate mixture of experts (Ma et al. 2018, equations 5 to 7): E networks for all tasks and, for each task,
    a softmax gate over them that reads the task's input: f_k(x) = sum over i of softmax(W_k x)_i f_i(x).
    """

    def __init__(self, tasks: Sequence[str], settings: ModelSettings) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(settings.width)
        self.experts = _experts(settings.experts, settings)
        self.gates = ByTask({task: nn.Linear(settings.width, settings.experts, bias=False) for task in tasks})

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        normed_BD = self.norm(input_BD)
        answers_BED = torch.stack([expert(normed_BD) for expert in self.experts], dim=1)
        return {task: input_BD + _mix(self.gates[task](normed_BD), answers_BED) for task in tasks}


class _Extraction(nn.Module):
    """One level of PLE: shared experts and each task's own, a gate a task over both kinds, and one, below the last
    level, over all experts there are.
    """

    def __init__(self, tasks: Sequence[str], settings: ModelSettings, *, last: bool) -> None:
        super().__init__()
        width, shared, own = settings.width, settings.experts, settings.own_experts
        self.shared = _experts(shared, settings)
        self.own = ByTask({task: _experts(own, settings) for task in tasks})
        self.gates = ByTask({task: nn.Linear(width, shared + own, bias=False) for task in tasks})
        self.shared_gate = None if last else nn.Linear(width, shared + own * len(tasks), bias=False)

    def forward(self, own_BD: dict[str, Tensor], shared_BD: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """What the tasks, and what all of them have, go on with."""
        shared = [expert(shared_BD) for expert in self.shared]
        answers = {
            task: [expert(input_BD) for expert in cast(nn.ModuleList, self.own[task])]
            for task, input_BD in own_BD.items()
        }
        mixed = {
            task: _mix(self.gates[task](input_BD), torch.stack([*answers[task], *shared], dim=1))
            for task, input_BD in own_BD.items()
        }
        if self.shared_gate is None:
            return mixed, shared_BD
        everything_BED = torch.stack([*(answer for own in answers.values() for answer in own), *shared], dim=1)
        return mixed, _mix(self.shared_gate(shared_BD), everything_BED)


class ProgressiveExtraction(nn.Module):
    """Progressive layered extraction (Tang et al. 2020): experts of all tasks and of each task alone. With one level
    it is their customised gate control, g_k(x) = softmax(W_k x) S_k(x), S_k the task's experts and the shared ones
    (equations 1 to 3); with more, each level reads the one below, and the shared gate there mixes the experts of all
    tasks (equations 4 and 5).
    """

    def __init__(self, tasks: Sequence[str], settings: ModelSettings) -> None:
        super().__init__()
        self.tasks = sorted(tasks)  # the shared gates number the experts
        self.norm = nn.LayerNorm(settings.width)
        last = settings.levels - 1
        self.levels = nn.ModuleList(
            _Extraction(self.tasks, settings, last=level == last) for level in range(settings.levels)
        )

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        shared_BD = self.norm(input_BD)
        own_BD = dict.fromkeys(self.tasks, shared_BD)
        for level in self.levels[:-1]:
            own_BD, shared_BD = level(own_BD, shared_BD)
        own_BD, _ = self.levels[-1]({task: own_BD[task] for task in tasks}, shared_BD)
        return {task: input_BD + own_BD[task] for task in tasks}


class CrossStitch(nn.Module):
    """A network a task, level by level, between which linear units mix what the tasks' networks say: x~_a = sum over
    b of alpha_ab x_b (Misra et al. 2016, equation 1). The units start near the identity, as there: .9 for a task's own
    network, the rest shared evenly among the others.
    """

    OWN = 0.9

    def __init__(self, tasks: Sequence[str], settings: ModelSettings) -> None:
        super().__init__()
        self.tasks = sorted(tasks)  # the units number the tasks
        self.norm = nn.LayerNorm(settings.width)
        self.own = nn.ModuleList(
            ByTask({task: _expert(settings) for task in self.tasks}) for _ in range(settings.levels)
        )
        count = len(self.tasks)
        unit_TT = torch.full((count, count), (1 - self.OWN) / max(1, count - 1))
        unit_TT.fill_diagonal_(self.OWN if count > 1 else 1.0)
        self.units = nn.Parameter(unit_TT.repeat(settings.levels, 1, 1))

    def forward(self, input_BD: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """What each of the tasks that read this input gets, (B, D)."""
        own_BD = dict.fromkeys(self.tasks, self.norm(input_BD))
        for networks, unit_TT in zip(self.own, self.units, strict=True):
            answers_BTD = torch.stack([cast(ByTask, networks)[task](own_BD[task]) for task in self.tasks], dim=1)
            own_BD = dict(zip(self.tasks, (unit_TT @ answers_BTD).unbind(1), strict=True))
        return {task: input_BD + own_BD[task] for task in tasks}


class SharedQuery(nn.Module):
    """What the shared layers add to a user's vector where next item has a part in them; at first nothing."""

    def __init__(self, task: str, width: int) -> None:
        super().__init__()
        self.task = task
        self.norm, self.last = nn.LayerNorm(width), nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, users_BD: Tensor, sharing: nn.Module) -> Tensor:
        mixed_BD: Tensor = sharing(self.norm(users_BD), [self.task])[self.task]
        added_BD: Tensor = self.last(mixed_BD)
        return added_BD


SHARINGS: dict[str, Callable[[Sequence[str], ModelSettings], nn.Module]] = {
    "none": Separate,
    "shared_bottom": SharedBottom,
    "mmoe": MixtureOfExperts,
    "ple": ProgressiveExtraction,
    "cross_stitch": CrossStitch,
}
