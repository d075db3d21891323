"""A tiny BERT with random weights and a vocabulary of its own: the whole of the encoder's path in milliseconds.

Its vectors say which words a text has (a random projection of them) and no more; it is for tests and trials.
"""

import hashlib
import json
import string
from pathlib import Path

from tandemrec.text.made import made_folder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = """
a an and the of to in it is was i my this that for with on not but very have are you they as be so at if or
good great best nice love works well perfect happy easy recommend excellent
bad poor worst broken cheap hate waste returned disappointed never stopped useless
product quality price sound color size battery case screen book guitar strings cable time buy bought use used
"""
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
}


def vocabulary() -> list[str]:
    """Special tokens, some words, and every letter, digit and sign both alone and inside a word."""
    letters = [*string.ascii_lowercase, *string.digits]
    inside = ["##" + letter for letter in letters]
    return list(dict.fromkeys([*SPECIAL, *WORDS.split(), *letters, *inside, *string.punctuation]))


def tiny_folder(seed: int) -> Path:
    """The folder of the tiny model of this seed."""
    made_of = json.dumps([seed, SHAPE, vocabulary()])
    name = f"tiny-{seed}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}"
    return made_folder(name, lambda folder: _save(folder, seed))


def _save(folder: Path, seed: int) -> None:
    import torch
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = vocabulary()
    pieces = BertWordPieceTokenizer(vocab={word: number for number, word in enumerate(words)}, lowercase=True)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=pieces._tokenizer, **names).save_pretrained(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(BertConfig(vocab_size=len(words), pad_token_id=0, **SHAPE))
    model.save_pretrained(folder)
