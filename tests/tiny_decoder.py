"""A GPT-2 with random weights and a tokeniser of a few words, for tests of what generates."""

from pathlib import Path

WORDS = ("good", "bad", "guitar", "strings", "battery", "price", "sound", "love", "nice", "always", "customer", "likes")
POSITIONS = 64


def tiny_decoder(folder: Path, seed: int = 1) -> Path:
    """Save it into a folder; returns the folder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    vocabulary = {word: number for number, word in enumerate(["<unk>", "<end>", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="<end>").save_pretrained(folder)
    shape = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": POSITIONS, "initializer_range": 0.5}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        GPT2LMHeadModel(
            GPT2Config(vocab_size=len(vocabulary), eos_token_id=1, bos_token_id=1, **shape)
        ).save_pretrained(folder)
    return folder
