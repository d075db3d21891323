"""The words of every text of texts_vocabulary, as numbers, mapped from one copy a node; and what texts say.

Shapes: T texts, V words over all texts.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.config import WordSettings
from tandemrec.lake import Lake
from tandemrec.learn.cache import made_once, mapped, table_folder
from tandemrec.model.batch import Lists
from tandemrec.text.words import word_ids

TABLES = ("reviews", "texts_vocabulary")
ROWS_AT_A_TIME = 16_384


def review_words(lake: Lake, settings: WordSettings, versions: Mapping[str, int]) -> Lists:
    """The words of the reviews by the index of their text; other texts have none.

    Args:
        lake: where the tables are.
        settings: how words are numbered and how many are read.
        versions: of TABLES; default: the newest.
    """
    tables = {name: versions.get(name) for name in TABLES}
    folder = table_folder(lake, tables).with_suffix(f".words-{settings.buckets}-{settings.longest}")
    made_once(folder, partial(_write, lake, settings, tables))
    return Lists(**{name: mapped(folder / f"{name}.npy") for name in ("values", "starts", "lengths")})


def review_texts(lake: Lake, versions: Mapping[str, int], index_N: npt.NDArray[np.integer]) -> list[str]:
    """What reviews say, by the index of their text; empty where no review has it. All of them in memory."""
    tables = {name: versions.get(name) for name in TABLES}
    vocabulary = lake.read("texts_vocabulary", version=tables["texts_vocabulary"])
    asked = vocabulary.filter(pc.is_in(vocabulary["text_index"], pa.array(np.unique(index_N), pa.int32())))
    known = dict(zip(asked["text_hash"].to_pylist(), asked["text_index"].to_pylist(), strict=True))
    said: dict[int, str] = {}
    rows = lake.dataset("reviews", version=tables["reviews"])
    for batch in rows.to_batches(columns=["text_hash", "clean_text"], batch_size=ROWS_AT_A_TIME):
        for text_hash, text in zip(batch["text_hash"].to_pylist(), batch["clean_text"].to_pylist(), strict=True):
            if text_hash in known:
                said[known[text_hash]] = text
    return [said.get(index, "") for index in index_N.tolist()]


def _write(lake: Lake, settings: WordSettings, tables: dict[str, int | None], folder: Path) -> None:
    vocabulary = lake.read("texts_vocabulary", version=tables["texts_vocabulary"])
    position = pd.Index(vocabulary["text_hash"].to_pandas())
    index_T = vocabulary["text_index"].to_numpy()
    starts, lengths = np.zeros((2, int(index_T.max(initial=0)) + 1), np.int64)
    parts, written = [np.empty(0, np.int32)], 0
    for batch in lake.dataset("reviews", version=tables["reviews"]).to_batches(
        columns=["text_hash", "clean_text"], batch_size=ROWS_AT_A_TIME
    ):
        at = position.get_indexer(batch["text_hash"].to_pandas())
        fresh = np.flatnonzero(at >= 0)
        fresh = fresh[np.unique(at[fresh], return_index=True)[1]]  # of texts that several people wrote, one
        fresh = fresh[lengths[index_T[at[fresh]]] == 0]
        texts = batch["clean_text"].take(pa.array(fresh)).to_pylist()
        ids, counts = word_ids(texts, buckets=settings.buckets, longest=settings.longest)
        lengths[index_T[at[fresh]]] = counts
        starts[index_T[at[fresh]]] = written + counts.cumsum() - counts
        parts.append(ids)
        written += len(ids)
    np.save(folder / "values.npy", np.concatenate(parts))
    np.save(folder / "starts.npy", starts)
    np.save(folder / "lengths.npy", lengths)
