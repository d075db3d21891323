"""What models read of reviews themselves, by the index of their text, in memory-mapped files: one copy a node.

Words as numbers for networks that learn them, tokens after the lower layers of an encoder whose upper ones are
learned along, and the texts for a baseline.

Shapes: T texts, V words or tokens over all texts, W width of the encoder.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch

from tandemrec.config import WordSettings
from tandemrec.errors import TableError
from tandemrec.lake import Lake
from tandemrec.learn.cache import as_tensor, made_once, table_folder
from tandemrec.model.batch import Lists
from tandemrec.text.layers import Cut, lower_states
from tandemrec.text.words import word_ids

Array = npt.NDArray[Any]
Versions = Mapping[str, int]
Parts = Iterator[tuple[Array, Array, Array]]  # places of texts, entries one text's after the other's, entries of each

TABLES = ("reviews", "texts_vocabulary")
MADE = "synthetic_texts"  # read too where its version is given
ROWS_AT_A_TIME = 16_384


def review_words(lake: Lake, settings: WordSettings, versions: Versions) -> Lists:
    """The words of each review; other texts have none.

    Args:
        lake: where the tables are.
        settings: how words are numbered and how many are read.
        versions: of TABLES; default: the newest. Of MADE; default: it is not read.
    """

    def words(texts: list[str]) -> Parts:
        ids, counts = word_ids(texts, buckets=settings.buckets, longest=settings.longest)
        yield np.arange(len(texts)), ids, counts

    # 2: marks belong to their letter; what a node keeps from before is not read.
    return _lists(lake, versions, f"words-2-{settings.buckets}-{settings.longest}", words)


def review_states(lake: Lake, cut: Cut, versions: Versions) -> Lists:
    """What the lower layers of an encoder make of each review's tokens, float16; other texts have none."""

    def states(texts: list[str]) -> Parts:
        for places, each in lower_states(cut, texts):
            yield places, np.concatenate(each), np.array([len(one) for one in each])

    return _lists(lake, versions, f"states-{cut.name}", states)


def review_terms(lake: Lake, versions: Versions) -> Lists:
    """The terms that each review names, by their index; in memory.

    Raises:
        TableError: no review names one, or stage profiles has not run.
    """
    rows = lake.read("text_terms", version=versions.get("text_terms")).sort_by("text_index").combine_chunks()
    vocabulary = lake.read("texts_vocabulary", ["text_index"], version=versions.get("texts_vocabulary"))
    terms = rows["terms"].combine_chunks()
    values = terms.flatten().to_numpy().astype(np.int64)
    if len(values) == 0:
        raise TableError("table text_terms is empty, expected terms for model.interest: does anybody write reviews?")
    starts, lengths = np.zeros((2, (pc.max(vocabulary["text_index"]).as_py() or 0) + 1), np.int64)
    index, counts = rows["text_index"].to_numpy(), pc.list_value_length(terms).to_numpy().astype(np.int64)
    lengths[index], starts[index] = counts, counts.cumsum() - counts
    return Lists(
        **{name: torch.from_numpy(a) for name, a in (("values", values), ("starts", starts), ("lengths", lengths))}
    )


def review_texts(lake: Lake, versions: Versions, index_N: npt.NDArray[np.integer]) -> list[str]:
    """What reviews say; empty where no review has the text. All of them in memory."""
    asked = set(index_N.tolist())
    said: dict[int, str] = {}
    for indices, texts in _reviews(lake, _of_tables(versions)):
        said |= {index: text for index, text in zip(indices.tolist(), texts, strict=True) if index in asked}
    return [said.get(index, "") for index in index_N.tolist()]


def _lists(lake: Lake, versions: Versions, name: str, entries: Callable[[list[str]], Parts]) -> Lists:
    tables = _of_tables(versions)
    folder = made_once(table_folder(lake, tables).with_suffix(f".{name}"), partial(_write, lake, tables, entries))
    starts, lengths = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("starts", "lengths"))
    kind = np.load(folder / "kind.npy")  # empty, of the type and the shape of an entry
    values = np.memmap(folder / "values", kind.dtype, "r") if lengths.any() else kind
    values = values.reshape(-1, *kind.shape[1:])
    return Lists(values=as_tensor(values), starts=as_tensor(starts), lengths=as_tensor(lengths))


def _write(lake: Lake, tables: Mapping[str, int | None], entries: Callable[[list[str]], Parts], folder: Path) -> None:
    largest = pc.max(lake.read("texts_vocabulary", ["text_index"], version=tables["texts_vocabulary"])["text_index"])
    starts, lengths = np.zeros((2, (largest.as_py() or 0) + 1), np.int64)
    written, kind = 0, np.empty(0, np.int32)
    with (folder / "values").open("wb") as file:
        for index, texts in _reviews(lake, tables):
            for places, values, counts in entries(texts):
                lengths[index[places]] = counts
                starts[index[places]] = written + counts.cumsum() - counts
                written, kind = written + len(values), values[:0]
                file.write(np.ascontiguousarray(values).data)
    for name, content in (("starts", starts), ("lengths", lengths), ("kind", kind)):
        np.save(folder / f"{name}.npy", content)


def _reviews(lake: Lake, tables: Mapping[str, int | None]) -> Iterator[tuple[Array, list[str]]]:
    """Indices and texts, each once, of reviews and what was made from them, where the vocabulary knows the text."""
    vocabulary = lake.read("texts_vocabulary", version=tables["texts_vocabulary"])
    position = pd.Index(vocabulary["text_hash"].to_pandas())
    index_T = vocabulary["text_index"].to_numpy()
    read = np.zeros(len(index_T), bool)
    for batch in _texts(lake, tables):
        at = position.get_indexer(batch["text_hash"].to_pandas())
        fresh = np.flatnonzero((at >= 0) & ~read[at])
        fresh = fresh[np.unique(at[fresh], return_index=True)[1]]  # of those that several people wrote, one
        read[at[fresh]] = True
        if len(fresh):
            yield index_T[at[fresh]], batch["text"].take(pa.array(fresh)).to_pylist()


def _texts(lake: Lake, tables: Mapping[str, int | None]) -> Iterator[pa.RecordBatch]:
    """text_hash and text, in batches."""
    for name, column in {"reviews": "clean_text", MADE: "text"}.items():
        if name in tables:
            rows = lake.dataset(name, version=tables[name])
            columns = {"text_hash": pc.field("text_hash"), "text": pc.field(column)}
            yield from rows.to_batches(columns=columns, batch_size=ROWS_AT_A_TIME)


def _of_tables(versions: Versions) -> dict[str, int | None]:
    return {name: versions.get(name) for name in TABLES} | ({MADE: versions[MADE]} if MADE in versions else {})
