"""What mixed and made texts give a model over reviews, by how many training rows there are.

Real reviews (musical instruments), the library's model on frozen vectors, the split of bench/text.py. Of the training
part a tenth, three tenths or all is learned from; validation and test rows are the same for all. Compared are nothing,
mixup of vectors, mixup of hidden states, texts by crop and shuffle, and paraphrases, with crop and shuffle where none
passes. Paraphrases are slow on a processor, so only the shortest reviews of the first tenth have them. Differences to
nothing come with 95% intervals: people with their test rows, and seeds, are drawn anew, the same ones for both.

What was written and encoded is kept in --work, so that an interrupted run goes on.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from figures import publish
from scipy.stats import rankdata
from text import ENCODED, Reviews, musical_instruments, network
from together import Answers, Array

from tandemrec.augment import Made, Probes, Sources, crop_and_shuffle, synthesise
from tandemrec.augment.synthesis import Method
from tandemrec.config import AugmentSettings, EncoderSettings, GeneratorSettings, MixupSettings
from tandemrec.metrics import class_weights
from tandemrec.text.encoder import Encoder
from tandemrec.text.generator import Generator

SHARES = (0.1, 0.3, 1.0)
WAYS = ("none", "mixup vectors", "mixup hidden", "crop_shuffle", "paraphrase")
RESAMPLES = 1000
AT_ONCE = 64
OPTIONS = AugmentSettings(generator=GeneratorSettings())

Metric = tuple[str, Callable[[Array, Array], float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of the public data sets")
    parser.add_argument("--work", type=Path, default=Path("build/bench-augment"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of the training part")
    parser.add_argument("--paraphrases", type=int, default=1000, help="reviews that are paraphrased, the shortest")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    reviews = musical_instruments(arguments.data)
    patient = reviews.train.model_copy(update={"max_epochs": 40, "patience": 6})
    reviews = replace(reviews, train=patient)
    if "paraphrase" in arguments.ways:
        write_paraphrases(arguments.work, reviews, arguments.paraphrases)
    encoder = Kept(arguments.work / "vectors.npz")
    for share in arguments.shares:
        answers = {
            way: [kept(arguments.work, reviews, share, way, seed, encoder) for seed in arguments.seeds]
            for way in arguments.ways
        }
        publish(f"augment_{share}", told(reviews, share, answers))


class Kept:
    """An encoder that looks up what it has encoded before."""

    def __init__(self, path: Path) -> None:
        self.path, self.encoder, self.known = path, None, {}
        if path.exists():
            held = np.load(path, allow_pickle=False)
            self.known = dict(zip(held["keys"].tolist(), held["vectors"], strict=True))

    def __call__(self, texts: Sequence[str]) -> Array:
        keys = {text: sha256(text.encode()).hexdigest() for text in texts}
        if fresh := sorted(text for text, key in keys.items() if key not in self.known):
            self.encoder = self.encoder or Encoder(EncoderSettings())
            self.known |= dict(zip([keys[text] for text in fresh], self.encoder.encode(fresh), strict=True))
            np.savez(self.path, keys=np.array(list(self.known)), vectors=np.stack(list(self.known.values())))
        return np.stack([self.known[keys[text]] for text in texts])


def kept(work: Path, reviews: Reviews, share: float, way: str, seed: int, encoder: Kept) -> Answers:
    """Probabilities of validation and test rows, read or made."""
    path = work / f"{share}-{way.replace(' ', '-')}-{seed}.npz"
    if not path.exists():
        print(f"{share:.0%} {way} seed {seed}", flush=True)
        answers = learned(work, reviews, share, way, seed, encoder)
        parts = zip(("valid", "test"), (0, 1), strict=True)
        np.savez(path, **{f"{task}_{part}": answers[task][at] for part, at in parts for task in answers})
    held = np.load(path, allow_pickle=False)
    return {t.name: (held[f"{t.name}_valid"], held[f"{t.name}_test"]) for t in reviews.tasks}


def learned(work: Path, reviews: Reviews, share: float, way: str, seed: int, encoder: Kept) -> Answers:
    train, valid, test = reviews.parts()
    rows = train[: int(share * len(train))]
    some = of_rows(reviews, rows, valid, test)
    name, _, where = way.partition(" ")
    if name == "mixup":
        mixed = reviews.train.model_copy(update={"mixup": MixupSettings(where=where)})
        some = replace(some, train=mixed)
    elif name != "none":
        some = with_made(some, made_of(work, some, name, encoder))
    ENCODED[some.name] = encoder(some.texts)
    return network(some, seed, bottoms=["vectors"])


def of_rows(reviews: Reviews, *parts: Array) -> Reviews:
    """These training, validation and test rows alone: what no model reads is not encoded."""
    chosen = np.concatenate(parts)
    ends = np.cumsum([len(part) for part in parts])
    return replace(
        reviews,
        texts=[reviews.texts[row] for row in chosen],
        labels={task: label[chosen] for task, label in reviews.labels.items()},
        owners=reviews.owners[chosen],
        split=tuple(np.split(np.arange(len(chosen)), ends[:-1])),
    )


def with_made(reviews: Reviews, made: Made) -> Reviews:
    """The reviews and, at their end, the texts that were made, as further training rows."""
    train, *others = reviews.parts()
    source = train[np.array(made.source, np.int64)]
    return replace(
        reviews,
        texts=[*reviews.texts, *made.text],
        labels={task: np.concatenate([label, label[source]]) for task, label in reviews.labels.items()},
        split=(np.concatenate([train, len(reviews.texts) + np.arange(len(made.text))]), *others),
    )


def made_of(work: Path, reviews: Reviews, name: str, encoder: Kept) -> Made:
    """Texts made from training rows as the stage `augment` makes them."""
    rows = reviews.parts()[0]
    sources = Sources(
        ids=[str(row) for row in rows],
        texts=[reviews.texts[row] for row in rows],
        vectors=encoder([reviews.texts[row] for row in rows]),
        labels={task: label[rows] for task, label in reviews.labels.items()},
    )
    methods: dict[str, Method] = {"crop_shuffle": cropped}
    if name == "paraphrase":
        written = paraphrases(work)
        methods = {"paraphrase": lambda texts, variant: [written.get(text) for text in texts], **methods}
    made = synthesise(
        sources,
        range(len(rows)),
        methods,
        encoder,
        Probes(sources.vectors, sources.labels, seed=42),
        set(),
        variants=1,
        similarity=OPTIONS.similarity,
    )
    counts = {method: made.method.count(method) for method in methods}
    print(
        f"  {len(rows)} reviews: made {counts}, rejected { {m: dict(c) for m, c in made.rejected.items()} }", flush=True
    )
    return made


def cropped(texts: Sequence[str], variant: int) -> list[str | None]:
    draws = [np.random.default_rng([42, variant, crc32(text.encode())]) for text in texts]
    return [crop_and_shuffle(text, OPTIONS.keep, draw) for text, draw in zip(texts, draws, strict=True)]


def paraphrases(work: Path) -> dict[str, str]:
    """What was written, by review."""
    path = work / "paraphrases.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_paraphrases(work: Path, reviews: Reviews, count: int) -> None:
    """Of the shortest reviews of the first tenth."""
    train, written = reviews.parts()[0], paraphrases(work)
    texts = sorted((reviews.texts[row] for row in train[: int(SHARES[0] * len(train))]), key=len)
    left = [text for text in texts[:count] if text not in written]
    asking = OPTIONS.generator
    how = asking.model_dump(include={"max_tokens", "temperature", "top_p", "batch"})
    generator = Generator(asking.model, **how) if left else None
    for start in range(0, len(left), AT_ONCE):
        asked = left[start : start + AT_ONCE]
        prompts = [asking.prompt.replace("{text}", text[: asking.characters]) for text in asked]
        written |= dict(
            zip(asked, generator.write_each(prompts, seeds=[crc32(text.encode()) for text in asked]), strict=True)
        )
        (work / "paraphrases.json").write_text(json.dumps(written, ensure_ascii=False), encoding="utf-8")
        print(f"  {len(written)} paraphrases", flush=True)


def told(reviews: Reviews, share: float, answers: dict[str, list[Answers]]) -> dict[str, float]:
    """Figures of the test part, and of each way the difference to nothing with its interval."""
    figures = {}
    for task in reviews.tasks:
        for metric in ("f1", "auc") if task.kind == "binary" else ("f1",):
            decided = {
                way: [of_test(reviews, task.column, one[task.name], metric) for one in answers[way]] for way in answers
            }
            truth = decided["none"][0][0]
            test = reviews.parts()[2]
            owners = reviews.owners[test][~np.isnan(reviews.labels[task.column][test])]
            worth = {way: np.array([value(metric, truth, shares) for _, shares in decided[way]]) for way in decided}
            for way in answers:
                key = f"augment_mi_{share:g}_{task.name}_{metric}_{way.replace(' ', '_')}"
                figures[key] = float(worth[way].mean())
                line = f"{share:4.0%} {task.name:10s}{metric:4s} {way:15s}{figures[key]:.4f}"
                if way != "none":
                    low, high = interval(metric, truth, decided[way], decided["none"], owners)
                    figures |= {f"{key}_gain_low": low, f"{key}_gain_high": high}
                    line += f"  gain {worth[way].mean() - worth['none'].mean():+.4f} ({low:+.4f} to {high:+.4f})"
                print(line, flush=True)
    return figures


def of_test(reviews: Reviews, column: str, answers: tuple[Array, Array], metric: str) -> tuple[Array, Array]:
    """Labels of test rows and the probabilities that decide, weighted as the validation rows would have it."""
    _, valid, test = reviews.parts()
    first, second = answers
    known, asked = (~np.isnan(reviews.labels[column][part]) for part in (valid, test))
    shares = second[asked]
    if metric == "f1":
        shares = shares * class_weights(reviews.labels[column][valid][known], first[known])
    return reviews.labels[column][test][asked], shares / shares.sum(1, keepdims=True)


def value(metric: str, truth: Array, shares: Array) -> float:
    if metric == "auc":  # the share of pairs in order, from the sum of ranks
        yes = truth == 1
        above = rankdata(shares[:, 1])[yes].sum() - yes.sum() * (yes.sum() + 1) / 2
        return float(above / (yes.sum() * (~yes).sum()))
    return macro_f1(truth, shares.argmax(1))


def macro_f1(truth: Array, said: Array) -> float:
    """Over the classes that are true or said of a row."""
    classes = np.union1d(truth, said)
    right = np.array([np.sum((truth == one) & (said == one)) for one in classes])
    either = np.array([np.sum(truth == one) + np.sum(said == one) for one in classes])
    return float(np.mean(2 * right / either))


def interval(metric: str, truth: Array, some: Sequence, none: Sequence, owners: Array) -> tuple[float, float]:
    """Of the mean difference over seeds, with seeds and people, each with all of their test rows, drawn with
    replacement.
    """
    generator = np.random.default_rng(42)
    _, counts = np.unique(owners, return_counts=True)
    of_each = np.split(np.argsort(owners, kind="stable"), counts.cumsum()[:-1])
    gains = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([of_each[one] for one in generator.integers(len(of_each), size=len(of_each))])
        seeds = generator.integers(len(some), size=len(some))
        gains.append(
            np.mean([
                value(metric, truth[rows], some[seed][1][rows]) - value(metric, truth[rows], none[seed][1][rows])
                for seed in seeds
            ])
        )  # fmt: skip
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
