"""The families of language models, and those types of each whose texts are packed without padding, as data.

Adding one is one entry here, and one in the contract tests. A model of another type is encoded too, the plain way:
padded on the right, with a mask, on whichever side its tokeniser would pad.
"""

from dataclasses import dataclass
from typing import Any


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
