"""A model's twin in bfloat16, which shares with it what rounding spoils most for what it saves."""

import copy

from torch import Tensor, nn


class RoundedEmbedding(nn.Module):
    """Rows of a table in float32, rounded as they are read: of a vocabulary of many languages it is most of a model."""

    def __init__(self, table: nn.Embedding) -> None:
        super().__init__()
        self.table = table

    def forward(self, ids: Tensor) -> Tensor:
        return self.table(ids).bfloat16()

    @property
    def weight(self) -> Tensor:
        """For models that take a table as it is, as DeBERTa does that of relative positions."""
        return self.table.weight.bfloat16()


def rounded(model: nn.Module, *, exact_norms: bool) -> nn.Module:
    """The model with weights in bfloat16; the given one stays as it is and shares its tables with the other.

    Args:
        model: in float32, for inference.
        exact_norms: gains and shifts of LayerNorm stay in float32, which torch combines with bfloat16 on a processor.
    """
    twin = copy.deepcopy(model)
    for parameter in twin.parameters():  # and no buffers: frequencies of rotary positions must not be rounded
        parameter.data = parameter.data.bfloat16()
    for name, module in model.named_modules():
        parent, _, own = name.rpartition(".")
        if type(module) is nn.Embedding:
            setattr(twin.get_submodule(parent), own, RoundedEmbedding(module))
        elif exact_norms and type(module) is nn.LayerNorm:
            setattr(twin.get_submodule(parent), own, module)
    return twin
