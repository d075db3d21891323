"""A task's own network between the shared layers and its head."""

from collections.abc import Callable, Sequence

from torch import nn


def tower(width: int, hidden: Sequence[int], last: Callable[[int], nn.Module], dropout: float) -> nn.Sequential:
    """A multi-layer perceptron: (B, width) through hidden layers with GELU and dropout to what `last`, made for the
    width of what it reads, gives.
    """
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(width, size), nn.GELU(), nn.Dropout(dropout)]
        width = size
    return nn.Sequential(*layers, last(width))
