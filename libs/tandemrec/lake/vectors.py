"""Text vectors as one memory-mapped matrix a node: gold.text_vectors -> rows by the index of texts_vocabulary.

Examples refer to a text by its index; the model gathers rows of this matrix. Nothing but one batch of vectors and the
vocabulary's hashes is in memory while it is made.

Shapes: T texts in the vocabulary, D width of the encoder.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec import console
from tandemrec.errors import TableError
from tandemrec.lake.contracts import FORGOTTEN
from tandemrec.lake.store import Lake

ROWS_AT_A_TIME = 16_384
LARGEST = float(np.finfo(np.float16).max)


def vector_matrix(
    lake: Lake,
    *,
    encoder: str,
    folder: Path,
    vectors_version: int | None = None,
    vocabulary_version: int | None = None,
) -> np.ndarray:
    """The vectors of one encoder, read-only and memory-mapped from `folder`; made there at the first call.

    Args:
        lake: where the tables are.
        encoder: identity of the encoder, as in text_vectors.
        folder: a cache on the node's own disk. The file's name carries the encoder and both table versions.
        vectors_version: of text_vectors; default: the newest.
        vocabulary_version: of texts_vocabulary; default: the newest.

    Returns:
        Shape (T + 1, D), float16. Row 0 (no text) is zero, and so is the row of a text without a vector: how many
        there are is told in a warning.

    Raises:
        TableError: a table is absent, holds no vector of this encoder, vectors of different widths, or values that
            float16 does not hold.
    """
    vectors_version = lake.open("text_vectors", vectors_version).version()
    vocabulary_version = lake.open("texts_vocabulary", vocabulary_version).version()
    path = folder / f"vectors-{encoder}-{vectors_version}-{vocabulary_version}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(lake, encoder, path, vectors_version, vocabulary_version)
    matrix: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return matrix


def _write(lake: Lake, encoder: str, path: Path, vectors_version: int, vocabulary_version: int) -> None:
    vocabulary = lake.read("texts_vocabulary", version=vocabulary_version)
    position = pd.Index(vocabulary["text_hash"].to_pandas())  # one hash table, built at the first look-up
    index_T = vocabulary["text_index"].to_numpy()
    batches = _batches(lake, encoder, vectors_version)
    first = next(batches, None)
    if first is None:
        raise TableError(
            f"table text_vectors has no vector of encoder {encoder} at version {vectors_version}: run embed"
        )
    width = len(first["vector"][0])
    # A process that dies here leaves its temporary file, never half a matrix under the final name.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".npy")
    os.close(handle)
    try:
        shape = (int(index_T.max(initial=0)) + 1, width)
        matrix = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        found = _fill(matrix, first, position, index_T)
        for batch in batches:
            found += _fill(matrix, batch, position, index_T)
        matrix.flush()
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    expected = pc.sum(pc.invert(pc.starts_with(vocabulary["text_hash"].cast(pa.string()), FORGOTTEN))).as_py() or 0
    if missing := expected - found:
        console.warn(f"{missing:,} of {expected:,} texts have no vector of encoder {encoder}: they count as no text")


def _batches(lake: Lake, encoder: str, version: int) -> Iterator[pa.RecordBatch]:
    """Non-empty batches of text_hash and vector."""
    scanned = lake.dataset("text_vectors", version=version).to_batches(
        columns=["text_hash", "vector"], filter=pc.field("encoder") == encoder, batch_size=ROWS_AT_A_TIME
    )
    return (batch for batch in scanned if batch.num_rows)


def _fill(matrix: np.ndarray, batch: pa.RecordBatch, position: pd.Index, index_T: np.ndarray) -> int:
    """Write a batch's vectors to the rows of its texts; how many of them the vocabulary knows."""
    width = matrix.shape[1]
    if not pc.all(pc.equal(pc.list_value_length(batch["vector"]), width)).as_py():
        raise TableError(f"table text_vectors: a vector is not of width {width}, as the first of its encoder is")
    vectors = batch["vector"].flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    at = position.get_indexer(batch["text_hash"].to_pandas())
    known = at >= 0
    if np.abs(vectors[known]).max(initial=0) > LARGEST:
        raise TableError(
            f"table text_vectors: a value of a vector is above {LARGEST:,.0f}, which float16 does not hold, expected "
            "vectors of length one: set embed.encoder.normalise to true and run embed again"
        )
    matrix[index_T[at[known]]] = vectors[known]
    return int(known.sum())
