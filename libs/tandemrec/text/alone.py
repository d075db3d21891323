"""An encoder in a process that does nothing else: its vectors, how long they took, and how much memory it needs."""

import re
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tandemrec.config import EmbedSettings
from tandemrec.errors import ModelError

BLOCK = 512  # texts at a time, as the stage embed hands them to an actor
WARM_UP = 32


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Vectors of texts, shape (len(texts), D), zero for the `failed` ones, and what they cost.

    `seconds` are without loading; `peak_mb` is the largest resident size of the process, libraries included.
    """

    vectors: np.ndarray
    failed: int
    seconds: float
    peak_mb: int
    family: str
    generates: bool


def encoded_alone(embed: EmbedSettings, texts: Sequence[str], *, threads: int) -> Encoded:
    """Encode in a new process.

    Raises:
        ModelError: the model cannot be loaded or fails on every text, or its process was ended, as for lack of memory.
    """
    try:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(_encode, embed, list(texts), threads).result()
    except BrokenProcessPool as error:
        raise ModelError(
            f"encoder {embed.encoder.model}: its process was ended from outside, most likely for lack of memory"
        ) from error


def _encode(embed: EmbedSettings, texts: list[str], threads: int) -> Encoded:
    import torch

    from tandemrec.text.encoder import Encoder
    from tandemrec.text.identity import device_of
    from tandemrec.text.pending import encode_each

    torch.set_num_threads(threads)
    encoder = Encoder(embed.encoder, device=device_of(embed), tokens_per_batch=embed.tokens_per_batch)
    encode_each(encoder.encode, texts[:WARM_UP])
    vectors, started = np.zeros((len(texts), encoder.dimension), np.float32), time.perf_counter()
    failures: list[str] = []
    for start in range(0, len(texts), BLOCK):
        found, errors = encode_each(encoder.encode, texts[start : start + BLOCK])
        failures += errors.values()
        if found is not None:
            vectors[start : start + BLOCK] = found
    seconds = time.perf_counter() - started
    if failures and len(failures) == len(texts):
        raise ModelError(f"encoder {embed.encoder.model} fails on every text, first: {failures[0]}")
    return Encoded(
        vectors=vectors,
        failed=len(failures),
        seconds=seconds,
        peak_mb=_peak_mb(),
        family=encoder.family,
        generates=encoder.generates,
    )


def _peak_mb() -> int:
    """The largest resident size of this process. Linux says it in /proc; its rusage begins with what the process that
    started this one had held, whatever this one does.
    """
    if found := re.search(r"^VmHWM:\s+(\d+) kB", _status(), re.MULTILINE):
        return int(found[1]) // 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)


def _status() -> str:
    path = Path("/proc/self/status")
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
