"""A task's own network between the shared layers and its head."""

from collections.abc import Sequence

from torch import nn


def tower(width: int, hidden: Sequence[int], out: int, dropout: float) -> nn.Sequential:
    """A multi-layer perceptron (B, width) -> (B, out): hidden layers with GELU and dropout, then one linear layer."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.GELU(), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*layers, nn.Linear(width, out))
