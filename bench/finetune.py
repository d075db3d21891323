"""Does an encoder learn from being trained along? Its last layer learned inside the model, against frozen vectors.

Sentiment and stars of musical instruments in five folds: every review is asked once, of a model that learned from
seven tenths of all and chose its epoch, and what classes weigh where one is told, on another tenth. Differences are
of the same reviews, their 95% intervals over the people who wrote them. Answers are kept in --work, so that an
interrupted run goes on.
"""

import argparse
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from figures import publish
from text import MEMBERS, Array, Reviews, musical_instruments

from tandemrec.config import EncoderSettings, Task
from tandemrec.metrics import bootstrap_interval, class_weights, row_values

ENCODERS = {
    "minilm": EncoderSettings(model="package:all_minilm_l6_v2"),
    "e5": EncoderSettings(model="package:multilingual_e5_small", prefix="query: "),
}
WAYS = ("vectors", "finetuned")
FOLDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of the public data sets")
    parser.add_argument("--encoder", choices=list(ENCODERS), default="minilm")
    parser.add_argument("--folds", type=int, choices=range(1, FOLDS + 1), default=FOLDS, help="how many are asked")
    parser.add_argument("--work", type=Path, default=Path("build/bench-finetune"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work = arguments.work / arguments.encoder
    work.mkdir(parents=True, exist_ok=True)
    reviews = replace(musical_instruments(arguments.data), encoder=ENCODERS[arguments.encoder], folder=work)
    parts = parts_of(len(reviews.texts))[: arguments.folds]
    asked = np.isin(np.arange(len(reviews.texts)), np.concatenate([part for _, _, part in parts]))
    answers = {way: answered(reviews, way, parts) for way in WAYS}
    figures: dict[str, float] = {}
    for task in reviews.tasks:
        label = reviews.labels[task.column]
        known = asked & ~np.isnan(label)
        of_way = {way: values(task, label[known], *(part[known] for part in answers[way][task.name])) for way in WAYS}
        for metric in of_way["vectors"]:
            frozen, along = (of_way[way][metric] for way in WAYS)
            low, high = bootstrap_interval(along - frozen, 2000, 42, reviews.owners[known])
            shown = {"frozen": frozen.mean(), "along": along.mean(), "gain_low": low, "gain_high": high}
            name = f"finetune_{arguments.encoder}_{task.name}_{metric}"
            figures |= {f"{name}_{key}": float(value) for key, value in shown.items()}
    publish(f"finetune_{arguments.encoder}", figures)


def values(task: Task, label: Array, shares: Array, weighed: Array) -> dict[str, Array]:
    """What each review adds to each metric."""
    found = row_values("multiclass", label, weighed / weighed.sum(1, keepdims=True))
    shown = {"accuracy": found["accuracy"], "macro_f1": found["f1"]}
    if task.kind == "binary":
        shown["auc"] = row_values("binary", label, shares[:, 1])["auc"]
    return shown


def parts_of(count: int) -> list[tuple[Array, Array, Array]]:
    """Of each fold the rows that are learned from, choose and are asked."""
    order = np.random.default_rng(42).permutation(count)
    bounds = np.linspace(0, count, FOLDS + 1).astype(int)
    parts = []
    for first, last in pairwise(bounds):
        chosen, learned = np.split(np.concatenate([order[last:], order[:first]]), [count // 10])
        parts.append((learned, chosen, order[first:last]))
    return parts


def answered(reviews: Reviews, way: str, parts: list[tuple[Array, Array, Array]]) -> dict[str, tuple[Array, Array]]:
    """Task -> of each review the probabilities of its classes, and these times what validation says classes weigh."""
    answers = {
        task.name: tuple(np.zeros((len(reviews.texts), reviews.classes(task)), np.float32) for _ in range(2))
        for task in reviews.tasks
    }
    for at, (learned, chosen, asked) in enumerate(parts):
        path = reviews.folder / f"{way}-{at}.npz"
        if not path.exists():
            print(f"{way}, fold {at + 1} of {len(parts)}", flush=True)
            found = MEMBERS[way][1](replace(reviews, split=(learned, chosen, asked)), at)
            halves = ((0, "v"), (1, "t"))
            np.savez(path, **{f"{task}_{part}": both[place] for task, both in found.items() for place, part in halves})
        held = np.load(path)
        for task in reviews.tasks:
            label = reviews.labels[task.column][chosen]
            known = ~np.isnan(label)
            weights = class_weights(label[known], held[f"{task.name}_v"][known])
            for whole, factor in zip(answers[task.name], (1, weights), strict=True):
                whole[asked] = held[f"{task.name}_t"] * factor
    return answers


if __name__ == "__main__":
    main()
