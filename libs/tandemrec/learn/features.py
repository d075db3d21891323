"""From gold.item_features and the text vectors to what a model reads of items and texts, and how much there is of it.

Shapes: I items, R reviews, T texts, W width of a text vector; N rows, F columns of numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from tandemrec.config import RowSettings, Task, WordSettings
from tandemrec.errors import TableError
from tandemrec.lake import Lake
from tandemrec.lake.vectors import vector_matrix
from tandemrec.learn.cache import as_tensor, made_once, table_folder
from tandemrec.learn.feeds import Array, Examples, left_padded
from tandemrec.learn.reviews import review_states, review_terms, review_words
from tandemrec.model.batch import Features, Sizes
from tandemrec.text.layers import Cut, upper_shape

_NUMBERS = ("category", "brand", "price", "text", "interactions")


def load_features(
    lake: Lake,
    *,
    encoder: str | None,
    words: WordSettings | None = None,
    cut: Cut | None = None,
    terms: bool = False,
    versions: Mapping[str, int] | None = None,
) -> Features:
    """Items by index and the matrix of text vectors, mapped from the node's cache.

    Args:
        lake: where the tables are.
        encoder: identity of the encoder whose vectors to read; None for a model that reads none.
        words: what to read of the words of reviews; None for a model that reads none.
        cut: of an encoder whose upper layers are learned; None for a model that learns none.
        terms: whether to read what terms reviews name.
        versions: of the tables; default: the newest.
    """
    versions = versions or {}
    rows = lake.read("item_features", version=versions.get("item_features"))
    index = rows["item_index"].to_numpy()
    count = int(index.max(initial=0)) + 1
    columns = {}
    for name in _NUMBERS:
        column = np.zeros(count, np.int64)
        column[index] = rows[name].to_numpy()
        columns[name] = torch.from_numpy(column)
    values = _attributes(rows["attributes"])
    attributes = np.zeros((count, values.shape[1]), np.int64)
    attributes[index] = values
    reviews = rows["reviews"].combine_chunks()
    lengths = pc.list_value_length(reviews).to_numpy().astype(np.int64)
    padded = np.zeros((count, max(1, lengths.max(initial=0))), np.int64)
    padded[index] = left_padded(reviews.flatten().to_numpy(), lengths, padded.shape[1])
    texts = _texts(lake, encoder, versions) if encoder is not None else None
    return Features(
        **columns,
        reviews=torch.from_numpy(padded),
        attributes=torch.from_numpy(attributes) if attributes.shape[1] else None,
        texts=texts,
        words=None if words is None else review_words(lake, words, versions),
        states=None if cut is None else review_states(lake, cut, versions),
        terms=review_terms(lake, versions) if terms else None,
    )


def after_validation(features: Features, valid: Examples) -> Features:
    """The features once the validation split is learned from too: its interactions count, and the reviews that were
    written in it are the newest of their items, of which as many are read as before.
    """
    counts = features.interactions
    if (label := valid.labels.get("next_item")) is not None:
        chosen = torch.from_numpy(label[~np.isnan(label)].astype(np.int64))
        counts = counts + chosen.bincount(minlength=len(counts)).to(counts)
    review = valid.written_reviews
    rows = np.flatnonzero((valid.item > 0) & (review > 0))
    rows = rows[np.argsort(valid.event_time[rows], kind="stable")]
    _, first = np.unique(np.stack([valid.item[rows], review[rows]]), axis=1, return_index=True)
    rows = rows[np.sort(first)]  # a review is told by more than one row
    known = features.reviews.cpu().numpy()
    item, place = np.nonzero(known)
    items = np.concatenate([item, valid.item[rows]])
    texts = np.concatenate([known[item, place], review[rows]])[np.argsort(items, kind="stable")]
    reviews = left_padded(texts, np.bincount(items, minlength=len(known)), known.shape[1])
    return replace(features, interactions=counts, reviews=torch.from_numpy(reviews).to(features.reviews))


def sizes_of(
    lake: Lake,
    features: Features,
    splits: Mapping[str, Examples],
    tasks: Sequence[Task],
    versions: Mapping[str, int] | None = None,
    cut: Cut | None = None,
    bins: int = RowSettings().bins,
) -> Sizes:
    """How many of each thing there are, from the vocabularies and the examples of all splits.

    Args:
        bins: of a column of numbers, at most; their edges are of the training rows.

    Raises:
        TableError: the examples refer to items that item_features lacks.
    """
    versions = versions or {}
    users = lake.read("users_vocabulary", ["user_index"], version=versions.get("users_vocabulary"))
    attributes = lake.read("attributes_vocabulary", version=versions.get("attributes_vocabulary"))
    largest = {
        name: pc.max(attributes.filter(pc.field("attribute") == name)["value_index"]).as_py() or 0
        for name in ("category", "brand")
    }
    newest = max((int(examples.item.max(initial=0)) for examples in splits.values()), default=0)
    if newest >= len(features):
        raise TableError(
            f"table examples refers to item {newest}, expected at most {len(features) - 1}, the last of item_features"
        )
    labels = {task.column for task in tasks if task.counts_classes}
    text_width = 0 if features.texts is None else features.texts.shape[1]
    return Sizes(
        users=1 + (pc.max(users["user_index"]).as_py() or 0),
        items=len(features),
        categories=1 + largest["category"],
        brands=1 + largest["brand"],
        prices=1 + int(features.price.max()),
        attributes=[] if features.attributes is None else (1 + features.attributes.amax(0)).tolist(),
        history=max(examples.history.shape[1] for examples in splits.values()),
        text_width=text_width,
        # Two at least: the answers of a single class would have no column of their own.
        classes={label: max(2, 1 + _largest(label, splits)) for label in sorted(labels)},
        terms=0 if features.terms is None else 1 + int(features.terms.values.max()),
        upper=None if cut is None else upper_shape(cut) | {"dimension": text_width},
        values=_values(splits),
        edges=bin_edges(splits["train"].numbers, bins),
    )


def bin_edges(numbers_NF: Array | None, bins: int) -> list[list[float]]:
    """Where the bins of each column begin and end: quantiles, half of them over the rows and half over the distinct
    values, for a column that is mostly zero has nothing but zeros among the first.
    """
    if numbers_NF is None:
        return []
    rows, distinct = (np.linspace(0, 1, 1 + half) for half in ((bins + 1) // 2, max(1, bins // 2)))
    edges = []
    for column_N in numbers_NF.T:
        known = column_N[~np.isnan(column_N)].astype(np.float64)
        known = known if len(known) else np.zeros(1)
        found = np.union1d(np.quantile(known, rows), np.quantile(np.unique(known), distinct))
        edges.append((found if len(found) > 1 else np.append(found, found + 1)).tolist())
    return edges


def _attributes(column: pa.ChunkedArray) -> Array:
    """Of `examples.attributes`, sorted by name, which value each item has (I, A), 0 unknown: [value_index] or, of more
    than one value, one-hot.
    """
    maps = column.combine_chunks()
    names = sorted(pc.unique(maps.keys).to_pylist())
    values = np.zeros((len(maps), len(names)), np.int64)
    for place, name in enumerate(names):
        lists = pc.map_lookup(maps, pa.scalar(name), "first")
        flat, owner = lists.flatten().to_numpy(), pc.list_parent_indices(lists).to_numpy()
        first = np.searchsorted(owner, owner)  # where the list of each begins
        hot = np.bincount(owner, minlength=len(maps))[owner] > 1
        told = np.where(hot, 1 + np.arange(len(flat)) - first, flat) * (flat > 0)
        np.maximum.at(values[:, place], owner, told)
    return values


def _values(splits: Mapping[str, Examples]) -> list[int]:
    """Of each column of categories, 0 for unknown included."""
    columns = [examples.categories for examples in splits.values() if examples.categories is not None]
    return (1 + np.max([column.max(0, initial=0) for column in columns], axis=0)).tolist() if columns else []


def _largest(label: str, splits: Mapping[str, Examples]) -> int:
    columns = [examples.labels[label] for examples in splits.values()]
    return int(max(np.fmax.reduce(column, initial=0) for column in columns))


def _texts(lake: Lake, encoder: str, versions: Mapping[str, int]) -> torch.Tensor:
    tables = {name: versions.get(name) for name in ("text_vectors", "texts_vocabulary")}
    matrix = vector_matrix(
        lake,
        encoder=encoder,
        folder=made_once(table_folder(lake, tables).with_suffix(".vectors"), lambda folder: None),
        vectors_version=tables["text_vectors"],
        vocabulary_version=tables["texts_vocabulary"],
    )
    return as_tensor(matrix)
