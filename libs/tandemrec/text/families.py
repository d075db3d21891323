"""The families of language models whose texts are packed without padding, as data.

Adding one is one entry here, and one in the contract tests. A model of another type is encoded too, the plain way:
padded on the right, with a mask.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Family:
    """What packing needs to know of a model type.

    `after_padding`: positions start behind the index of the padding token (RoBERTa), not at 0.
    """

    after_padding: bool = False

    def first_position(self, config: Any) -> int:
        return int(config.pad_token_id) + 1 if self.after_padding else 0


BERT, ROBERTA, GPT = Family(), Family(after_padding=True), Family()

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
