"""The upper layers of an encoder, learned with the rest of the model.

Shapes: N texts, L tokens, W width of the encoder, D width of its vectors.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tandemrec.text.pooling import POOLINGS


class UpperLayers(nn.Module):
    """What the lower layers made of tokens -> vectors of texts. With the encoder's own weights: the encoder's vectors.

    One contract with all that reads text: padding and the rest of the batch change nothing, no text gives zeros.

    Args:
        shape: of `text.layers.upper_shape`, and the `dimension` D of a vector: the first D of W.
        dropout: while training.
    """

    def __init__(self, shape: Mapping[str, Any], dropout: float) -> None:
        super().__init__()
        self.dimension = shape["dimension"]
        self.pool, self.normalise = POOLINGS[shape["pooling"]], shape["normalise"]
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                shape["width"],
                shape["heads"],
                shape["inner"],
                dropout,
                activation="gelu",
                layer_norm_eps=shape["epsilon"],
                batch_first=True,
            )
            for _ in range(shape["layers"])
        )

    def forward(self, states_NLW: Tensor, known_NL: Tensor) -> Tensor:
        """(N, D)."""
        some_N = known_NL.any(1, keepdim=True)
        attended_NL = known_NL.index_fill(
            1, known_NL.new_zeros(1, dtype=torch.int64), value=True
        )  # never nothing at all
        states_NLW = states_NLW * known_NL.unsqueeze(-1)
        for layer in self.layers:
            states_NLW = layer(states_NLW, src_key_padding_mask=~attended_NL)
        vectors_ND = self.pool(states_NLW[attended_NL], attended_NL.sum(1))[:, : self.dimension]
        return (F.normalize(vectors_ND, dim=-1) if self.normalise else vectors_ND) * some_N
