"""Which texts still need a vector, and how a batch of them becomes vectors though one of them may not: pure functions
over Arrow tables, that Ray Data runs over blocks.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.errors import ModelError


def one_each(rows: pa.Table) -> pa.Table:
    """One row a text of rows that hold all that is known of their hashes.

    Args:
        rows: text_hash and text; text is null where the row says that the hash has a vector already.

    Returns:
        text_hash, text and `known`: whether it has a vector; by text_hash, so that a commit covers a narrow range of
        keys and a merge need not look at the files of the others.
    """
    marked = rows.append_column("known", pc.is_null(rows["text"]))
    single = marked.group_by("text_hash").aggregate([("text", "one"), ("known", "any")])
    columns = {"text_hash": single["text_hash"], "text": single["text_one"], "known": single["known_any"]}
    return pa.table(columns).sort_by("text_hash")


def encode_each(
    encode: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str]
) -> tuple[np.ndarray | None, dict[int, str]]:
    """Encode texts; one that makes the encoder fail is found by halving, and its neighbours keep their vectors.

    Returns:
        The vectors, shape (len(texts), D), with zeros in the rows of failed texts (None where all failed), and the
        error of each failed text by its position.
    """
    try:
        vectors = encode(texts)
        if np.isfinite(vectors).all():
            return vectors, {}
        raise ModelError("the vector is not finite")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of the tokeniser, which is in Rust, is no Exception
        if len(texts) == 1:
            return None, {0: f"{type(error).__name__}: {' '.join(str(error).split())}"}
    half = len(texts) // 2
    (left, failed), (right, later) = encode_each(encode, texts[:half]), encode_each(encode, texts[half:])
    failed = {**failed, **{half + position: error for position, error in later.items()}}
    sample = left if left is not None else right
    if sample is None:
        return None, failed
    zeros = [np.zeros((count, sample.shape[1]), np.float32) for count in (half, len(texts) - half)]
    parts = [zero if part is None else part for part, zero in zip((left, right), zeros, strict=True)]
    return np.concatenate(parts), failed


def vector_column(vectors: np.ndarray) -> pa.FixedSizeListArray:
    """Vectors, shape (N, D), as one Arrow column without a copy."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(vectors).reshape(-1)), vectors.shape[1])
