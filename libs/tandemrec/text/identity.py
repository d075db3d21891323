"""What an encoder is called: a hash of everything that changes its vectors, so that vectors never mix. And what a
generator is called, by the same.
"""

import hashlib
import json
import platform
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from tandemrec.config import EmbedSettings, EncoderSettings, GeneratorSettings
from tandemrec.errors import ModelError
from tandemrec.text.made import file_digest
from tandemrec.text.sources import model_folder

Device = Literal["cpu", "cuda"]

# Files of a model folder that decide its vectors; what else lies there (a readme, training data) does not.
WEIGHTS = ("*.safetensors",)
TOKENISER = (
    "tokenizer*.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.codes",
)
SHORT = 16  # tokens from which on bfloat16 keeps a vector (docs/performance.md)
MIXED = f"bfloat16, below {SHORT} tokens float32"
WRITING = ("*.jinja", "generation_config.json")  # what a generator is asked with, and how it draws


def encoder_identity(settings: EncoderSettings, *, device: Device = "cpu") -> str:
    """Sixteen hex digits of the sha256 over weights, configuration, tokeniser and settings.

    Two models with the same files have the same identity wherever they lie. `device` matters only where dtype is auto.

    Raises:
        ModelError: the folder holds no safetensors.
    """
    changes = settings.model_dump(mode="json", exclude={"model", "dtype"})
    changes["dtype"] = resolved_dtype(settings, device)
    return _identity(settings.model, changes)


def writer_identity(model: str) -> str:
    """Sixteen hex digits of the sha256 over the files that decide what a model writes.

    Raises:
        ModelError: the folder holds no safetensors.
    """
    return _identity(model, {}, WRITING)


def generator_identity(settings: GeneratorSettings) -> str:
    """Sixteen hex digits of the sha256 over weights, configuration, tokeniser and what is asked of them.

    Raises:
        ModelError: the folder holds no safetensors.
    """
    return _identity(settings.model, settings.model_dump(mode="json", exclude={"model"}), WRITING)


def device_of(embed: EmbedSettings) -> Device:
    return "cuda" if embed.gpus_per_actor else "cpu"


def refuse_missing_gpu(device: Device) -> None:
    """Raise a ModelError where a model is to be on a GPU and torch finds none."""
    import torch  # not above: who asks for an identity loads no model

    if device == "cuda" and not torch.cuda.is_available():
        raise ModelError("no GPU is here that torch can use, expected one or embed.gpus_per_actor 0")


def embedding_identity(embed: EmbedSettings) -> str:
    """The identity of the encoder that the stage embed would use."""
    return encoder_identity(embed.encoder, device=device_of(embed))


def weight_files(folder: Path) -> list[Path]:
    """The safetensors of a model folder, by name."""
    if not (files := _sorted(folder, WEIGHTS)):
        raise ModelError(f"{folder}: no *.safetensors, expected weights in that format (others can run code when read)")
    return files


def resolved_dtype(settings: EncoderSettings, device: Device) -> str:
    """float32, bfloat16, or what `auto` stands for on a processor that multiplies bfloat16 natively, and on a GPU:
    MIXED. The GPU may be of another node, so it is not asked here; the encoder refuses one that does not multiply it.
    """
    if settings.dtype != "auto":
        return settings.dtype
    return MIXED if device == "cuda" or _processor_multiplies_bfloat16() else "float32"


def _identity(model: str, changes: dict[str, Any], more: tuple[str, ...] = ()) -> str:
    files = [*weight_files(folder := model_folder(model)), *_sorted(folder, (*TOKENISER, "config.json", *more))]
    digest = hashlib.sha256(json.dumps(changes, sort_keys=True).encode())
    for path in files:
        digest.update(path.name.encode() + b"\0" + file_digest(path))
    return digest.hexdigest()[:16]


def _sorted(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


@lru_cache(maxsize=1)
def _processor_multiplies_bfloat16() -> bool:
    """AVX512_BF16 or AMX, as Linux tells. Elsewhere, and on a processor that only converts it, float32 is faster."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
