"""The families of language models, and those types of each whose texts are packed without padding, as data.

Adding one is one entry here, and one in the contract tests. A model of another type is encoded too, the plain way:
padded on the right, with a mask, on whichever side its tokeniser would pad.
"""

from dataclasses import dataclass
from typing import Any

from tandemrec.config import EncoderSettings
from tandemrec.errors import ModelError
from tandemrec.text.sources import model_folder


@dataclass(frozen=True, kw_only=True)
class Family:
    """What packing needs to know of a model type, and what a comparison says of it.

    `after_padding`: positions start behind the index of the padding token (RoBERTa), not at 0.
    `generates`: a decoder, which reads from left to right and can write on; pool it by mean or last, not by cls.
    """

    name: str
    after_padding: bool = False
    generates: bool = False

    def first_position(self, config: Any) -> int:
        return int(config.pad_token_id) + 1 if self.after_padding else 0


BERT = Family(name="BERT")
ROBERTA = Family(name="RoBERTa", after_padding=True)
GPT = Family(name="GPT", generates=True)

FAMILIES: dict[str, Family] = {
    "bert": BERT,
    "distilbert": BERT,
    "electra": BERT,
    "roberta": ROBERTA,
    "camembert": ROBERTA,
    "xlm-roberta": ROBERTA,
    "gpt2": GPT,
    "llama": GPT,
    "qwen2": GPT,
    "qwen3": GPT,
}


def refuse_misfit(settings: EncoderSettings) -> None:
    """Raise a ModelError where the model's configuration, the one file that is read, tells that settings do not fit."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(model_folder(settings.model), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelError(f"encoder {settings.model}: {' '.join(str(error).split())}") from error
    checked_dimension(settings, config)


def checked_dimension(settings: EncoderSettings, config: Any) -> int:
    """The width of the vectors that a model of this configuration makes.

    Raises:
        ModelError: it has not so many values or positions as the settings ask for.
    """
    width, positions = int(config.hidden_size), getattr(config, "max_position_embeddings", None)
    dimension, family = settings.dimension or width, FAMILIES.get(config.model_type)
    if dimension > width:
        raise ModelError(f"encoder.dimension is {dimension}, expected at most {width}, the width of {settings.model}")
    room = positions - (family.first_position(config) if family else 0) if positions and positions > 0 else None
    if room is not None and settings.max_length > room:
        raise ModelError(
            f"encoder.max_length is {settings.max_length}, expected at most {room}, the positions that "
            f"{settings.model} has"
        )
    return dimension
