"""From the lake: the reviews of the training split that texts may be made from, with their vectors and labels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.augment.filters import Array
from tandemrec.errors import ModelError
from tandemrec.lake import Lake

LABELS = ("sentiment", "stars", "category")
_NAMES = {  # column of the examples: vocabulary, its id and its index
    "user": ("users_vocabulary", "user_id", "user_index"),
    "item": ("items_vocabulary", "item_id", "item_index"),
    "review": ("texts_vocabulary", "text_hash", "text_index"),
}


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Reviews by id, with vectors (R, D) and, by column of gold.examples, labels (R,), NaN where there is none."""

    ids: list[str]
    texts: list[str]
    vectors: Array
    labels: Mapping[str, Array]


def training_reviews(lake: Lake, encoder: str, limit: int) -> Sources:
    """Reviews with a label and a vector, in the order of their ids; where there are more than `limit`, those whose
    examples' ids, which are hashes, come first.

    Raises:
        ModelError: there are some with a label and none of them has a vector of this encoder.
    """
    training = (pc.field("kind") == "review") & (pc.field("split") == "train")
    rows = lake.read("examples", ["example_id", *_NAMES, *LABELS], where=training).sort_by("example_id")
    labelled = np.any([rows[name].is_valid().to_numpy() for name in LABELS], axis=0)
    rows = rows.filter(pa.array(labelled)).slice(0, limit)
    for column, (table, id_, index) in _NAMES.items():
        named = lake.read(table, [id_, index], where=_among(index, rows[column]))
        rows = rows.join(named, column, index, join_type="inner")
    hashes = rows["text_hash"]
    written = lake.read(
        "reviews", ["review_id", "user_id", "item_id", "text_hash", "clean_text"], where=_among("text_hash", hashes)
    )
    rows = rows.join(written, ["user_id", "item_id", "text_hash"], join_type="inner").sort_by("review_id")
    of_these = (pc.field("encoder") == encoder) & _among("text_hash", hashes)
    vectors = lake.read("text_vectors", ["text_hash", "vector"], where=of_these)
    at = dict(zip(vectors["text_hash"].to_pylist(), range(vectors.num_rows), strict=True))
    if rows.num_rows and not at:
        raise ModelError(f"no review of the training split has a vector of encoder {encoder}: run embed first")
    place = {row["review_id"]: number for number, row in enumerate(rows.to_pylist()) if row["text_hash"] in at}
    rows = rows.take(pa.array(list(place.values()), pa.int64()))  # each review once
    matrix = np.array(vectors["vector"].to_pylist() or np.zeros((0, 0)), np.float32)
    return Sources(
        ids=rows["review_id"].to_pylist(),
        texts=rows["clean_text"].to_pylist(),
        vectors=matrix[[at[text_hash] for text_hash in rows["text_hash"].to_pylist()]],
        labels={name: rows[name].to_numpy(zero_copy_only=False).astype(np.float64) for name in LABELS},
    )


def _among(column: str, values: pa.ChunkedArray) -> pc.Expression:
    return pc.field(column).isin(values.combine_chunks())
