"""What reviews tell of themselves: each way to read text that the library has, on real reviews, and all together.

A random split 80/10/10 of seed 42. What is chosen (epochs, what classes weigh where one is told) is chosen on the
validation part; the test part is asked once, in the last line of each data set. Answers of members are kept in --work,
so that an interrupted run goes on.
"""

import argparse
import csv
import html
import io
import unicodedata
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from figures import publish
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from together import Answers, Array, together

from tandemrec.config import EncoderSettings, FinetuneSettings, ModelSettings, Task, TrainSettings, WordSettings
from tandemrec.learn.feeds import Examples
from tandemrec.learn.loop import Data, fit
from tandemrec.learn.scoring import score_examples
from tandemrec.metrics import bootstrap_interval, class_weights, prediction_metrics, told_classes
from tandemrec.model import Features, MultiTaskModel, Sizes
from tandemrec.model.batch import Lists
from tandemrec.text.encoder import Encoder
from tandemrec.text.layers import Cut, lower_states, upper_shape, upper_weights
from tandemrec.text.words import word_ids, words_of


@dataclass(frozen=True, kw_only=True)
class Reviews:
    """Texts, and for each task a label each, NaN where it says nothing."""

    name: str
    texts: list[str]
    labels: dict[str, Array]
    tasks: tuple[Task, ...]
    words: WordSettings
    train: TrainSettings
    languages: str
    encoder: EncoderSettings
    owners: Array | None = None  # whose each review is: intervals draw people; none where data do not tell
    folder: Path | None = None  # where its vectors are kept
    split: tuple[Array, Array, Array] | None = None  # training, validation and test rows; default: at random

    def parts(self) -> tuple[Array, Array, Array]:
        if self.split is not None:
            return self.split
        order = np.random.default_rng(42).permutation(len(self.texts))
        first, second = int(len(order) * 0.8), int(len(order) * 0.9)
        return order[:first], order[first:second], order[second:]

    def classes(self, task: Task) -> int:
        return 1 + int(np.nanmax(self.labels[task.column]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path, help="folder of the public data sets")
    parser.add_argument("--work", type=Path, default=Path("build/bench-text"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--members", nargs="+", default=[], help="default: all that can read the language")
    parser.add_argument("--sets", nargs="+", choices=["mi", "zh"], default=["mi", "zh"])
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in arguments.sets:
        reviews = replace(READERS[name](arguments.data), folder=arguments.work)
        members = {key: read for key, (languages, read) in MEMBERS.items() if reviews.languages in languages}
        chosen = arguments.members or list(members)
        answers = {key: kept(arguments.work, reviews, key, members[key], arguments.seeds) for key in chosen}
        publish(f"text_{name}", told(reviews, answers | {"together": together(list(answers.values()))}))


def musical_instruments(data: Path) -> Reviews:
    """Stars from 1 to 5, and whether they are 4 or 5 against 1 or 2."""
    found = rows(data / "amazon_musical_instruments_2014_5core")
    stars = np.array([float(row["overall"]) for row in found])
    _, owners = np.unique([row["reviewerID"] for row in found], return_inverse=True)
    return Reviews(
        name="mi",
        owners=owners,
        texts=[plain(f"{row['summary']}. {row['reviewText']}") for row in found],
        labels={"sentiment": np.where(stars == 3, np.nan, stars > 3), "stars": stars - 1},
        tasks=(SENTIMENT, Task(name="stars", kind="multiclass", reads=["review"])),
        words=WordSettings(),
        train=TrainSettings(batch_size=64, max_epochs=8, patience=2, learning_rate=2e-3, stop_on="sentiment/auc"),
        languages="en",
        encoder=EncoderSettings(model="package:multilingual_e5_small", prefix="query: "),
    )


def chinese_shopping(data: Path) -> Reviews:
    """Whether a review is content, and which of ten categories it is of."""
    found = rows(data / "zh_online_shopping_10_cats")
    categories = sorted({row["cat"] for row in found})
    return Reviews(
        name="zh",
        texts=[plain(row["review"].replace("\ufeff", "")) for row in found],
        labels={
            "sentiment": np.array([float(row["label"]) for row in found]),
            "category": np.array([float(categories.index(row["cat"])) for row in found]),
        },
        tasks=(SENTIMENT, Task(name="category", kind="multiclass", reads=["review"])),
        words=WordSettings(longest=192, width=96, filters=128, buckets=16_384),
        train=TrainSettings(batch_size=128, max_epochs=5, patience=2, learning_rate=2e-3, stop_on="sentiment/log_loss"),
        languages="zh",
        encoder=EncoderSettings(model="package:multilingual_e5_small", prefix="query: ", max_length=128),
    )


SENTIMENT = Task(name="sentiment", kind="binary", reads=["review"])
READERS: dict[str, Callable[[Path], Reviews]] = {"mi": musical_instruments, "zh": chinese_shopping}


def rows(folder: Path) -> list[dict[str, str]]:
    archive = zipfile.ZipFile(next(folder.glob("*.zip")))
    with archive.open(archive.namelist()[0]) as file:
        return list(csv.DictReader(io.TextIOWrapper(file, "utf-8-sig")))


def plain(text: str) -> str:
    """As clean_text of silver.reviews, but for tags and masks, of which these data have hardly any."""
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).split())


WORDS = {"tokenizer": words_of, "token_pattern": None}
weighted = partial(TfidfVectorizer, sublinear_tf=True, min_df=2)
occurring = partial(CountVectorizer, binary=True, min_df=2)


def tfidf(reviews: Reviews, seed: int) -> Answers:
    """The baseline of the library's evaluation, on these rows: runs of one to three words, logistic regression."""
    return linear(reviews, [matrix(reviews, weighted(ngram_range=(1, 3), **WORDS))])


def wide(reviews: Reviews, seed: int) -> Answers:
    """Logistic regression over words, runs of letters (Chinese: characters, and jieba's words), and frozen vectors."""
    words, letters = weighted(ngram_range=(1, 2), **WORDS), weighted(analyzer="char_wb", ngram_range=(2, 5))
    if reviews.languages == "zh":
        words, letters = weighted(ngram_range=(1, 2), **JIEBA), weighted(ngram_range=(1, 3), **WORDS)
    return linear(reviews, [matrix(reviews, words), matrix(reviews, letters), csr_matrix(vectors(reviews))])


def bayes(reviews: Reviews, seed: int) -> Answers:
    """Logistic regression over which runs of words and of letters occur, weighted by what naive Bayes says of them."""
    english = reviews.languages == "en"
    words = occurring(ngram_range=(1, 3), **WORDS)
    others = occurring(analyzer="char_wb", ngram_range=(3, 5)) if english else occurring(ngram_range=(1, 2), **JIEBA)
    one = BayesWeighted(C=0.1, solver="liblinear", random_state=0)
    return linear(reviews, [matrix(reviews, words), matrix(reviews, others)], one)


class BayesWeighted(LogisticRegression):
    """Of two classes: whether a run of words occurs, times the logarithm of how much likelier it is in one of them
    (Wang and Manning 2012, NBSVM, section 2, with logistic loss).
    """

    def fit(self, inputs: csr_matrix, label: Array) -> "BayesWeighted":
        inside, outside = (1 + np.asarray(inputs[label == value].sum(0)).ravel() for value in (1, 0))
        self.ratio = csr_matrix(np.log(inside / inside.sum()) - np.log(outside / outside.sum()))
        return super().fit(inputs.multiply(self.ratio).tocsr(), label)

    def predict_proba(self, inputs: csr_matrix) -> Array:
        return super().predict_proba(inputs.multiply(self.ratio).tocsr())


def jieba_words(text: str) -> list[str]:
    import rjieba

    return list(rjieba.cut(text))


JIEBA = {"tokenizer": jieba_words, "token_pattern": None}


def matrix(reviews: Reviews, vectorizer: CountVectorizer) -> csr_matrix:
    """Of all reviews, by what the training part has."""
    vectorizer.fit([reviews.texts[row] for row in reviews.parts()[0]])
    return vectorizer.transform(reviews.texts)


def linear(reviews: Reviews, parts: Sequence[csr_matrix], one: LogisticRegression | None = None) -> Answers:
    inputs = hstack(parts).tocsr()
    train, *others = reviews.parts()
    answers = {}
    for task in reviews.tasks:
        known = train[~np.isnan(reviews.labels[task.column][train])]
        one = one or LogisticRegression(C=10, solver="liblinear", random_state=0)
        model = OneVsRestClassifier(one).fit(inputs[known], reviews.labels[task.column][known])
        answers[task.name] = tuple(model.predict_proba(inputs[rows]) for rows in others)
    return answers


def network(reviews: Reviews, seed: int, *, bottoms: Sequence[str], layers: int = 0) -> Answers:
    """The library's model with the text tasks alone."""
    finetune = FinetuneSettings(layers=layers, longest=96, learning_rate=2e-4) if layers else None
    settings = ModelSettings(
        bottoms=list(bottoms),
        words=reviews.words,
        finetune=finetune,
        text=False,
        dropout=0.1 if layers else 0.2,
        sharing="shared_bottom",
    )
    train = reviews.train
    if layers:
        train = train.model_copy(update={"batch_size": 32, "max_epochs": 3, "learning_rate": 1e-3})
    cut = Cut.of(settings, reviews.tasks, reviews.encoder)
    features = features_of(reviews, settings, cut)
    text_width = 0 if features.texts is None else features.texts.shape[1]
    torch.manual_seed(seed)
    sizes = Sizes(
        users=1,
        items=2,
        categories=1,
        brands=1,
        prices=1,
        history=1,
        text_width=text_width,
        classes={task.column: reviews.classes(task) for task in reviews.tasks},
        upper=None if cut is None else upper_shape(cut) | {"dimension": text_width},
    )
    model = MultiTaskModel(settings, reviews.tasks, sizes)
    if cut is not None:
        model.encoder.layers.load_state_dict(upper_weights(cut))
    learned, valid, test = (examples_of(reviews, part) for part in reviews.parts())
    fit(model, Data(features=features, train=learned, valid=valid), train, seed=seed, after_epoch=say)
    scored = [score_examples(model, part, features).scores for part in (valid, test)]
    return {task.name: tuple(of_classes(one[task.name]) for one in scored) for task in reviews.tasks}


def say(training: object) -> None:
    entry = training.progress.curve[-1]
    shown = {name: round(value, 4) for name, value in entry["valid"].items() if name.endswith(("auc", "accuracy"))}
    print(f"  epoch {entry['epoch']}: {shown} {entry['seconds']:.0f} s", flush=True)


MEMBERS: dict[str, tuple[tuple[str, ...], Callable[[Reviews, int], Answers]]] = {
    "tfidf": (("en", "zh"), tfidf),
    "wide": (("en", "zh"), wide),
    "bayes": (("en", "zh"), bayes),
    "cnn": (("en", "zh"), partial(network, bottoms=["cnn"])),
    "rnn": (("en", "zh"), partial(network, bottoms=["rnn"])),
    "vectors": (("en", "zh"), partial(network, bottoms=["vectors"])),
    "vectors_cnn": (("en", "zh"), partial(network, bottoms=["vectors", "cnn"])),
    "finetuned": (("en", "zh"), partial(network, bottoms=["vectors"], layers=1)),
}
"""Each: languages that it reads, and how."""


ENCODED: dict[str, Array] = {}


def vectors(reviews: Reviews) -> Array:
    if reviews.name not in ENCODED:
        path = None if reviews.folder is None else reviews.folder / f"{reviews.name}-vectors.npy"
        if path is not None and path.exists():
            ENCODED[reviews.name] = np.load(path)
        else:
            ENCODED[reviews.name] = Encoder(reviews.encoder).encode(reviews.texts)
            if path is not None:
                np.save(path, ENCODED[reviews.name])
    return ENCODED[reviews.name]


def features_of(reviews: Reviews, settings: ModelSettings, cut: Cut | None) -> Features:
    """Of one item, which all training texts are told of, and what the model reads of the texts, numbered from 1."""
    nothing = torch.zeros(2, dtype=torch.int64)
    training = torch.from_numpy(np.stack([np.zeros_like(reviews.parts()[0]), 1 + reviews.parts()[0]]))
    texts = words = states = None
    if "vectors" in settings.bottoms:
        texts = torch.from_numpy(np.pad(vectors(reviews), ((1, 0), (0, 0)))).half()
    if settings.words_of(reviews.tasks) is not None:
        ids, lengths = word_ids(reviews.texts, buckets=settings.words.buckets, longest=settings.words.longest)
        lengths = np.pad(lengths, (1, 0))
        words = lists_of(ids, lengths.cumsum() - lengths, lengths)
    if cut is not None:
        if reviews.name not in STATES:
            STATES[reviews.name] = states_of(cut, reviews.texts)
        states = STATES[reviews.name]
    return Features(
        **dict.fromkeys(("category", "brand", "price", "text", "interactions"), nothing),
        reviews=training,
        texts=texts,
        words=words,
        states=states,
    )


STATES: dict[str, Lists] = {}


def states_of(cut: Cut, texts: Sequence[str]) -> Lists:
    """What the encoder's lower layers make of each text's tokens; text 0 is none."""
    starts, lengths = np.zeros((2, 1 + len(texts)), np.int64)
    parts, written = [], 0
    for places, each in lower_states(cut, texts):
        counts = np.array([len(one) for one in each])
        lengths[places + 1], starts[places + 1] = counts, written + counts.cumsum() - counts
        parts.append(np.concatenate(each))
        written += len(parts[-1])
    return lists_of(np.concatenate(parts), starts, lengths)


def lists_of(values: Array, starts: Array, lengths: Array) -> Lists:
    return Lists(**{n: torch.from_numpy(c) for n, c in (("values", values), ("starts", starts), ("lengths", lengths))})


def examples_of(reviews: Reviews, part: Array) -> Examples:
    count = len(part)
    nobody, nothing = np.zeros(count, np.int32), np.zeros((count, 1), np.int32)
    return Examples(
        user=nobody,
        item=nobody,
        history=nothing,
        user_reviews=nothing,
        item_reviews=nothing,
        review=(part + 1).astype(np.int32),
        event_time=np.zeros(count, np.int64),
        labels={name: label[part].astype(np.float32) for name, label in reviews.labels.items()},
        seen=(np.zeros(0, np.int32), np.zeros(count + 1, np.int64)),
    )


def of_classes(scores: Array) -> Array:
    return scores if scores.ndim == 2 else np.stack([1 - scores, scores], axis=1)


def kept(
    work: Path, reviews: Reviews, name: str, read: Callable[[Reviews, int], Answers], seeds: Sequence[int]
) -> Answers:
    """The mean of a member's probabilities over the seeds, read or made."""
    each = []
    for seed in seeds[:1] if name in ("tfidf", "wide", "bayes") else seeds:
        path = work / f"{reviews.name}-{name}-{seed}.npz"
        if not path.exists():
            print(f"{reviews.name} {name} {seed}", flush=True)
            answers = read(reviews, seed)
            parts = zip(("valid", "test"), (0, 1), strict=True)
            np.savez(path, **{f"{task}_{part}": answers[task][at] for part, at in parts for task in answers})
        held = np.load(path)
        each.append({t.name: (held[f"{t.name}_valid"], held[f"{t.name}_test"]) for t in reviews.tasks})
    return together(each)


def told(reviews: Reviews, answers: Mapping[str, Answers]) -> dict[str, float]:
    """Figures of the test part by member, decided with weights of classes that the validation part chose."""
    _, valid, test = reviews.parts()
    figures = {}
    for name, of_tasks in answers.items():
        line = []
        for task in reviews.tasks:
            label, (first, second) = reviews.labels[task.column], of_tasks[task.name]
            known, asked = (~np.isnan(label[part]) for part in (valid, test))
            balanced = reviews.name == "zh"  # as many of each: nothing to weigh
            weights = None if balanced else class_weights(label[valid][known], first[known])
            truth, shares = label[test][asked], second[asked]
            found = prediction_metrics("multiclass", truth, shares, weights)
            shown = {"accuracy": found["accuracy"], "f1": found["f1"]}
            if task.kind == "binary":
                shown["auc"] = prediction_metrics("binary", truth, shares[:, 1])["auc"]
            right = (told_classes(shares, weights) == truth).astype(float)
            owners = None if reviews.owners is None else reviews.owners[test][asked]
            low, high = bootstrap_interval(right, 1000, 42, owners)
            line.append(
                f"{task.name} " + " ".join(f"{m} {v:.4f}" for m, v in shown.items()) + f" ({low:.3f}-{high:.3f})"
            )
            figures |= {f"text_{reviews.name}_{task.name}_{m}_{name}": v for m, v in shown.items()}
        print(f"{reviews.name} {name:12s} {'; '.join(line)}", flush=True)
    return figures


if __name__ == "__main__":
    main()
