"""An encoder cut in two: lower layers that stay as they are, upper layers that somebody else goes on training.

For encoders of the BERT family, whose layers are torch's own: attention and feed-forward, each with a residual around
it and a norm after it (Vaswani et al. 2017).

Shapes: B texts, L tokens, V tokens over all texts, W width.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tandemrec.config import EncoderSettings, ModelSettings, Task
from tandemrec.errors import ModelError
from tandemrec.text.identity import encoder_identity
from tandemrec.text.packing import padded_batches
from tandemrec.text.sources import model_folder

CUT = ("bert", "roberta", "xlm-roberta", "camembert")
TOKENS_AT_ONCE = 4096
_PARTS = {  # torch's name for what transformers calls otherwise
    "self_attn.out_proj": "attention.output.dense",
    "norm1": "attention.output.LayerNorm",
    "linear1": "intermediate.dense",
    "linear2": "output.dense",
    "norm2": "output.LayerNorm",
}


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Which encoder is cut, how many layers lie above, and how many tokens of a text are read."""

    encoder: EncoderSettings
    layers: int
    longest: int

    @classmethod
    def of(cls, model: ModelSettings, tasks: Iterable[Task], encoder: EncoderSettings) -> Self | None:
        """What a model's settings ask for; None where it learns no layers of an encoder."""
        asked = model.finetune_of(tasks)
        return None if asked is None else cls(encoder=encoder, layers=asked.layers, longest=asked.longest)

    @property
    def name(self) -> str:
        """What changes the lower layers' answers; the same on every machine, for they are computed in float32 whatever
        the encoder's dtype is.
        """
        encoder = self.encoder.model_copy(update={"dtype": "float32"})
        return f"{encoder_identity(encoder)}-{self.layers}-{self.longest}"


def upper_shape(cut: Cut) -> dict[str, Any]:
    """What fixes the upper layers: how many, `width`, `heads`, `inner`, `epsilon`, and how their tokens are pooled.

    Raises:
        ModelError: it is no encoder of this family, or has fewer layers.
    """
    from transformers import AutoConfig

    settings, layers = cut.encoder, cut.layers
    config = AutoConfig.from_pretrained(model_folder(settings.model), local_files_only=True)
    if getattr(config, "is_decoder", False):  # its layers look back only, torch's look both ways
        raise ModelError(f"model.finetune: encoder {settings.model} is a decoder, expected one that looks both ways")
    if config.model_type not in CUT or config.hidden_act != "gelu":
        raise ModelError(
            f"model.finetune: encoder {settings.model} is of type {config.model_type}, expected {', '.join(CUT)}"
        )
    if layers > config.num_hidden_layers:
        raise ModelError(
            f"model.finetune.layers is {layers}, expected at most {config.num_hidden_layers}, those of {settings.model}"
        )
    return {
        "layers": layers,
        "width": config.hidden_size,
        "heads": config.num_attention_heads,
        "inner": config.intermediate_size,
        "epsilon": config.layer_norm_eps,
        "pooling": settings.pooling,
        "normalise": settings.normalise,
    }


def upper_weights(cut: Cut) -> dict[str, Tensor]:
    """Weights of the last layers, by number from 0 and the names of torch.nn.TransformerEncoderLayer."""
    weights = {}
    for number, layer in enumerate(_model(cut.encoder).encoder.layer[-cut.layers :]):
        given = layer.state_dict()
        for kind in ("weight", "bias"):
            parts = [given[f"attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            weights[f"{number}.self_attn.in_proj_{kind}"] = torch.cat(parts)
            weights |= {f"{number}.{ours}.{kind}": given[f"{theirs}.{kind}"] for ours, theirs in _PARTS.items()}
    return weights


@torch.inference_mode()
def lower_states(
    cut: Cut, texts: Sequence[str]
) -> Iterator[tuple[npt.NDArray[np.int64], list[npt.NDArray[np.float16]]]]:
    """What the layers below the last ones make of each token, batch by batch, shortest texts first.

    Yields:
        Positions of the texts of a batch, and (L, W) of each. A text of white space has no tokens.

    Raises:
        ModelError: as `upper_shape`, before anything is computed.
    """
    from transformers import AutoTokenizer

    upper_shape(cut)
    settings = cut.encoder
    right = {"padding_side": "right", "truncation_side": "right"}  # whatever the tokeniser would do
    tokeniser = AutoTokenizer.from_pretrained(model_folder(settings.model), local_files_only=True, **right)
    model = _model(settings)
    del model.encoder.layer[len(model.encoder.layer) - cut.layers :]
    told = np.array([place for place, text in enumerate(texts) if text.strip()], np.int64)
    if len(told) == 0:
        return
    longest = min(cut.longest, settings.max_length)
    encoded = tokeniser([settings.prefix + texts[place] for place in told], truncation=True, max_length=longest)
    lengths = np.array([len(ids) for ids in encoded["input_ids"]])
    for chosen in padded_batches(lengths, TOKENS_AT_ONCE):
        padded = tokeniser.pad({"input_ids": [encoded["input_ids"][i] for i in chosen]}, return_tensors="pt")
        states_BLW = model(**padded).last_hidden_state.half().numpy()
        yield told[chosen], [states_BLW[row, : lengths[i]] for row, i in enumerate(chosen)]


def _model(settings: EncoderSettings) -> Any:
    from transformers import AutoModel

    folder = model_folder(settings.model)
    model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, local_files_only=True)
    return model.eval()
