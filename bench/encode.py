"""How fast texts become vectors: this encoder against the textbook's loop, sentence-transformers and the processor.

Real reviews, all contestants in turn in each round, the best round of each: the ratios hold on a busy machine too, on
one thread at least, where processor time is measured.
Needs sentence-transformers in the environment, which the library itself does without.
"""

import argparse
import csv
import io
import os
import random
import time
import zipfile
from collections.abc import Callable
from copy import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from figures import ROOT, publish
from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import AutoModel, AutoTokenizer

from tandemrec.config import EmbedSettings, EncoderSettings
from tandemrec.text.encoder import Encoder
from tandemrec.text.prepacked import PrepackedLinear
from tandemrec.text.sources import model_folder

DATA = Path(os.environ.get("TANDEMREC_DATA", ROOT.parent / "shared" / "data")) / "amazon_musical_instruments_2014_5core"

TITLES = 1000  # whose vectors are compared too: a text of a word or two shows rounding most

Encode = Callable[[list[str]], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="Musical_instruments_reviews.csv.zip, or its folder")
    parser.add_argument("--texts", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    texts, titles = (sampled(arguments.data, *what) for what in (("reviewText", arguments.texts), ("summary", TITLES)))
    settings = EncoderSettings()
    encoder = Encoder(settings, tokens_per_batch=EmbedSettings().tokens_per_batch)
    folder = model_folder(settings.model)
    peer = SentenceTransformer(str(folder), device="cpu")
    peer_bf16 = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.bfloat16})
    contestants: dict[str, Encode] = {
        "ours": encoder.encode,
        "textbook": textbook(folder, settings.max_length),
        "sentence_transformers": lambda batch: peer.encode(batch, show_progress_bar=False),
        "sentence_transformers_bf16": lambda batch: peer_bf16.encode(batch, show_progress_bar=False),
    }
    tokens = sum(len(ids) for ids in encoder.tokenise(texts)[0])
    figures = {
        name: float((contestants["ours"](some) * contestants["textbook"](some)).sum(1).min())
        for name, some in (("encode_min_cosine", texts), ("encode_min_cosine_short", titles))
    }
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        seconds = race(contestants, encoder, texts, tokens, arguments.rounds)
        print(f"{threads} threads, {len(texts)} texts of {tokens / len(texts):.0f} tokens; texts a second:")
        for name, best in seconds.items():
            print(f"  {name:24s}{len(texts) / best:8.1f}")
        end = "" if threads == 1 else f"_{threads}_threads"
        figures[f"encode_vs_textbook{end}"] = seconds["textbook"] / seconds["ours"]
        for name in ("sentence_transformers", "sentence_transformers_bf16"):
            figures[f"encode_vs_{name}{end}"] = seconds[name] / seconds["ours"]
        figures[f"encode_share_of_gemm{end}"] = seconds["gemm_ceiling"] / seconds["ours"]
    publish("encode", figures)


def sampled(path: Path, column: str, count: int) -> list[str]:
    """Random texts of a column, reviewText or summary, which is a review's title, in the order of the file."""
    archive = zipfile.ZipFile(next(path.glob("*.zip")) if path.is_dir() else path)
    with archive.open(archive.namelist()[0]) as file:
        texts = [row[column] for row in csv.DictReader(io.TextIOWrapper(file, "utf-8")) if row[column].strip()]
    return [texts[i] for i in sorted(random.Random(0).sample(range(len(texts)), count))]


def textbook(folder: Path, max_length: int) -> Encode:
    """What a first Ray Data pipeline does: batches of 32 in the order of the file, padded to the longest, float32."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    @torch.no_grad()
    def encode(texts: list[str]) -> np.ndarray:
        vectors = []
        for start in range(0, len(texts), 32):
            batch = texts[start : start + 32]
            encoded = tokenizer(batch, padding=True, truncation=True, max_length=max_length, return_tensors="pt")
            mask = encoded["attention_mask"].unsqueeze(-1)
            mean = (model(**encoded).last_hidden_state * mask).sum(1) / mask.sum(1)
            vectors.append(F.normalize(mean, dim=-1).numpy())
        return np.concatenate(vectors)

    return encode


def race(
    contestants: dict[str, Encode], encoder: Encoder, texts: list[str], tokens: int, rounds: int
) -> dict[str, float]:
    """Seconds of each one's best round, and of the ceiling: the same tokens through the linear layers alone."""
    best = dict.fromkeys([*contestants, "gemm_ceiling"], float("inf"))
    clock = clock_of(torch.get_num_threads())
    for _ in range(rounds):
        for name, encode in contestants.items():
            started = clock()
            encode(texts)
            best[name] = min(best[name], clock() - started)
        best["gemm_ceiling"] = min(best["gemm_ceiling"], gemm_seconds(encoder, tokens))
    return best


def clock_of(threads: int) -> Callable[[], float]:
    """One thread's work is told by its processor time, which other processes on the machine do not lengthen."""
    return time.process_time if threads == 1 else time.perf_counter


@torch.inference_mode()
def gemm_seconds(encoder: Encoder, tokens: int) -> float:
    """What the matrix products of the model's layers, as it keeps their weights, cost for this many tokens, at the rows
    of a full batch.
    """
    modules = encoder._model.encoder.modules()
    layers = [copy(layer) for layer in modules if isinstance(layer, nn.Linear | PrepackedLinear)]
    for layer in layers:
        layer.activation = "none"
    rows = encoder.tokens_per_batch
    inputs = {layer.in_features: torch.randn(rows, layer.in_features, dtype=encoder.dtype) for layer in layers}
    repeats, clock = 3, clock_of(torch.get_num_threads())
    started = clock()
    for _ in range(repeats):
        for layer in layers:
            layer(inputs[layer.in_features])
    return (clock() - started) / repeats * tokens / rows


if __name__ == "__main__":
    main()
