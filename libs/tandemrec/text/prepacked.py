"""Linear layers on a processor that multiplies bfloat16: weights in the order that oneDNN wants, once and not at every
call.

The two operators are those that torch's own compiler calls for a frozen model; no compiler is needed for them.
"""

import torch
from torch import Tensor, nn


class PrepackedLinear(nn.Module):
    """What nn.Linear computes, to the last bit but for the order of sums; for inference.

    `activation` is what torch's operator does with each sum before it is rounded: none or gelu (the exact one).
    """

    def __init__(self, linear: nn.Linear, rows: int, activation: str = "none") -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.activation = activation
        self.weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), rows)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(inputs, self.weight, self.bias, self.activation, [], "none")


def can_prepack() -> bool:
    """Whether torch was built with oneDNN and this processor has what it needs for bfloat16."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def prepack(model: nn.Module, rows: int) -> None:
    """Replace the linear layers of a bfloat16 model; `rows` is how many tokens a forward pass usually has."""
    from transformers.activations import GELUActivation  # not above: Encoder sets what it reads when it is imported

    for module in list(model.modules()):
        with_gelu = type(getattr(module, "intermediate_act_fn", None)) is GELUActivation  # as BERT and its like name it
        for name, child in module.named_children():
            if type(child) is nn.Linear:
                setattr(module, name, PrepackedLinear(child, rows, "gelu" if with_gelu else "none"))
        if with_gelu:
            module.intermediate_act_fn = nn.Identity()
