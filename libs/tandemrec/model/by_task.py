"""What a model has of each task, by the task's name.

torch's own containers refuse names that they, as modules, have attributes of: a task could not be called `type`,
`items` or `values`, which columns of users are.
"""

from typing import Any, cast

from torch import Tensor, nn


class ByTask(nn.ModuleDict):
    """A module a task."""

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Under any name: it is asked for by `[name]` alone."""
        self._modules[name] = cast(nn.Module, module)


class ParameterByTask(nn.ParameterDict):
    """A parameter a task."""

    def __setitem__(self, key: str, value: Any) -> None:
        self._keys[key] = None
        self._parameters[key] = nn.Parameter(value)

    def __getitem__(self, key: str) -> Tensor:
        return cast(Tensor, self._parameters[key])
