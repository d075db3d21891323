"""From gold.examples to batches: columns in memory-mapped files, one copy a node, whatever the number of workers.

The rows of a table version are written once, sorted by split and example_id: the order does not depend on how the
files of the table are cut, so the same rows and the same seed give the same batches. A batch is then a gather by row
numbers; no row is ever a Python object.

Shapes: N rows of a split, L history length, R reviews, C and F columns of categories and of numbers, S seen items over
all rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import torch

from tandemrec.config.sources import SPLITS
from tandemrec.lake import TABLES, Lake
from tandemrec.lake.runs import fingerprint
from tandemrec.learn.cache import made_once, table_folder
from tandemrec.model.batch import Batch

Array = npt.NDArray[Any]

INDICES = ("user", "item", "review")
LISTS = ("history", "user_reviews", "item_reviews", "categories")
_NO_LABELS = {"example_id", "kind", "split", "event_time", "seen", "numbers", "labels", "weight", *INDICES, *LISTS}
LABELS = tuple(name for name in TABLES["examples"].column_names if name not in _NO_LABELS)
ROWS_AT_A_TIME = 65_536

TRAIN_VALID = "train+valid"
"""What lies before the test: the rows of two splits, which stand one after the other in the files."""
_PARTS = {"train": (0, 1), "valid": (1, 2), "test": (2, 3), TRAIN_VALID: (0, 2)}


@dataclass(frozen=True, kw_only=True)
class Examples:
    """The rows of one split, or of two. Lists are padded on the left with 0, the newest entry is last. Labels are those
    with a column of their own and those of the column `labels`.

    `seen` holds items (S,) and offsets (N + 1,): row n has seen items[offsets[n] : offsets[n + 1]].
    `event_time` is in microseconds since 1970. Labels are NaN where a row has none. `review` is the pair's own,
    whenever it was written, also in a later split; `written` is it where the row is of the review itself.
    """

    user: Array  # (N,)
    item: Array  # (N,)
    history: Array  # (N, L) items
    user_reviews: Array  # (N, R) texts
    item_reviews: Array  # (N, R) texts
    review: Array  # (N,) text
    event_time: Array  # (N,)
    labels: dict[str, Array]  # (N,) each
    seen: tuple[Array, Array]
    categories: Array | None = None  # (N, C)
    numbers: Array | None = None  # (N, F), NaN where there is none
    weight: Array | None = None  # (N,) how much a row's losses count; all alike without
    written: Array | None = None  # (N,) text, 0 where the row is of something else; without: whatever `review` says

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def written_reviews(self) -> Array:
        """`review` (N,) where it was written in the split of these rows, else 0."""
        if self.written is None:
            return self.review
        return np.where(np.isin(self.review, self.written), self.review, 0)

    @cached_property
    def query(self) -> Array:
        """Numbers (N,), the same of rows that ask for one ranked list: of one user, who knows the same and has seen as
        much. In data without times these are the held-out rows of a user; where time orders them each knows more than
        the one before it.
        """
        asked_N = np.zeros(len(self), np.uint64)
        # FNV-1a over words of 64 bits: of a million lists two are taken for one with a chance of 3 in 100 million.
        for column in (self.user, np.diff(self.seen[1]), *self.history.T, *self.user_reviews.T):
            asked_N = (asked_N ^ column.astype(np.uint64)) * np.uint64(0x100000001B3)
        return np.unique(asked_N, return_inverse=True)[1]

    def seen_by(self, rows_B: Array) -> tuple[Array, Array]:
        """Items seen by these rows, one row's after the other's, and how many each has (B,)."""
        items, offsets = self.seen
        counts_B = offsets[rows_B + 1] - offsets[rows_B]
        starts_B = counts_B.cumsum() - counts_B
        place = np.arange(counts_B.sum()) + np.repeat(offsets[rows_B] - starts_B, counts_B)
        return items[place], counts_B


def load_examples(
    lake: Lake, *, version: int | None = None, synthetic: int | None = None, parts: Sequence[str] = SPLITS
) -> dict[str, Examples]:
    """The examples of every split; the first call for a table version on a node writes the files.

    Args:
        lake: where the table is.
        version: of gold.examples; default: the newest.
        synthetic: version of gold.synthetic_texts, whose rows the training split gets; default: none of them.
        parts: splits, or TRAIN_VALID for the rows of both.
    """
    tables: dict[str, int | None] = {"examples": lake.open("examples", version).version()}
    tables |= {} if synthetic is None else {"synthetic_texts": synthetic}
    folder = table_folder(lake, tables).with_suffix(f".{fingerprint(*LABELS, 'written')}.examples")
    made_once(folder, partial(_write, _rows(lake, tables)))
    columns = {name: _map(folder, name) for name in (*INDICES, *LISTS, "event_time", "numbers", "weight", "written")}
    names = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    labels = {name: _map(folder, f"label.{name}") for name in names}
    items, offsets = _map(folder, "seen"), _map(folder, "seen_offsets")
    bounds = np.load(folder / "splits.npy")
    return {part: _cut(columns, labels, items, offsets, slice(*bounds[list(_PARTS[part])].tolist())) for part in parts}


def batch_at(examples: Examples, rows_B: Array, device: torch.device | str = "cpu") -> Batch:
    """The examples of some row numbers, as tensors."""

    def column(name: str) -> torch.Tensor:
        return torch.from_numpy(getattr(examples, name)[rows_B].astype(np.int64)).to(device)

    labels = {name: torch.from_numpy(label[rows_B]).to(device) for name, label in examples.labels.items()}
    there = [name for name in (*INDICES, *LISTS) if getattr(examples, name) is not None]
    floats = {name: getattr(examples, name) for name in ("numbers", "weight")}
    given = {name: torch.from_numpy(values[rows_B]).to(device) for name, values in floats.items() if values is not None}
    return Batch(labels=labels, mixture=None, **given, **{name: column(name) for name in there})


def seen_at(examples: Examples, rows_B: Array, device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Items (S,) seen by some rows, one row's after the other's, and how many each has (B,), as tensors."""
    items, counts = (torch.from_numpy(column.astype(np.int64)).to(device) for column in examples.seen_by(rows_B))
    return items, counts


def left_padded(values: Array, lengths_N: Array, width: int) -> Array:
    """Lists as one array (N, width): zeros, then the list's last entries.

    Args:
        values: one list after the other.
        lengths_N: of each list.
        width: of the result.
    """
    padded = np.zeros((len(lengths_N), width), np.int32)
    row = np.repeat(np.arange(len(lengths_N)), lengths_N)
    place = np.arange(len(values)) - np.repeat(lengths_N.cumsum(), lengths_N) + width
    padded[row[place >= 0], place[place >= 0]] = values[place >= 0]
    return padded


def _rows(lake: Lake, tables: Mapping[str, int | None]) -> ds.Dataset:
    """The table's rows and, where there are to be any, those of texts that were made: nobody's, of no item, training
    only.
    """
    rows = lake.dataset("examples", version=tables["examples"])
    if "synthetic_texts" not in tables:
        return rows
    made = lake.read("synthetic_texts", version=tables["synthetic_texts"])
    count, schema = made.num_rows, rows.schema
    same = {"kind": "synthetic", "split": "train", "user": 0, "item": 0, "event_time": 0}
    columns = {name: pa.repeat(value, count) for name, value in same.items()}
    columns |= {"example_id": made["synthetic_id"], "review": made["text_index"]}
    columns |= {name: made[name] for name in LABELS if name in made.column_names}
    empty = pa.array([[]] * count, pa.list_(pa.int32()))
    columns |= dict.fromkeys([*LISTS, "seen"], empty)
    known = [columns[name].cast(schema.field(name).type) if name in columns else None for name in schema.names]
    arrays = [
        pa.nulls(count, field.type) if column is None else column for column, field in zip(known, schema, strict=True)
    ]
    return ds.dataset([rows, ds.dataset(pa.Table.from_arrays(arrays, schema=schema))])


def _cut(
    columns: Mapping[str, Array], labels: Mapping[str, Array], items: Array, offsets: Array, rows: slice
) -> Examples:
    first, last = offsets[rows.start], offsets[rows.stop]
    return Examples(
        **{name: column[rows] for name, column in columns.items()},
        labels={name: label[rows] for name, label in labels.items()},
        seen=(items[first:last], offsets[rows.start : rows.stop + 1] - first),
    )


def _map(folder: Path, name: str) -> Array:
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def _write(rows: ds.Dataset, folder: Path) -> None:
    """Two passes over the table: what the shapes and the order are, then the columns."""
    there = set(rows.schema.names)  # versions of the past may lack some
    lists = [name for name in LISTS if name in there]
    ids, splits, seen_lengths, names = [], [], [], set[str]()
    widths = dict.fromkeys((*LISTS, "numbers"), 0) | dict.fromkeys(lists, 1)
    for batch in _batches(rows, ["example_id", "split", "seen", *lists, *there.intersection(("numbers", "labels"))]):
        ids.append(batch["example_id"])
        splits.append(pc.index_in(batch["split"], pa.array(SPLITS)).to_numpy())
        seen_lengths.append(pc.list_value_length(batch["seen"]).to_numpy())
        for name in there.intersection(widths):
            widths[name] = max(widths[name], pc.max(pc.list_value_length(batch[name])).as_py() or 0)
        if "labels" in there:
            names.update(batch["labels"].keys.unique().to_pylist())
    split_N = np.concatenate([np.empty(0, np.int32), *splits])
    order = pc.sort_indices(
        pa.table({"split": split_N, "id": pa.chunked_array(ids, pa.string())}),
        sort_keys=[("split", "ascending"), ("id", "ascending")],
    ).to_numpy()
    place_N = np.empty(len(order), np.int64)  # where each row of the table goes
    place_N[order] = np.arange(len(order))
    offsets = np.concatenate([[0], np.concatenate([np.empty(0, np.int64), *seen_lengths])[order].cumsum()])
    np.save(folder / "splits.npy", np.concatenate([[0], np.bincount(split_N, minlength=len(SPLITS)).cumsum()]))
    np.save(folder / "seen_offsets.npy", offsets.astype(np.int64))
    (folder / "labels.json").write_text(json.dumps([*LABELS, *sorted(names)]), encoding="utf-8")

    def column(name: str, dtype: type, *shape: int) -> np.memmap[Any, Any]:
        return np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=shape)

    count = len(order)
    columns = {name: column(name, np.int32, count) for name in INDICES}
    columns |= {name: column(name, np.int32, count, widths[name]) for name in LISTS}
    labels = {name: column(f"label.{name}", np.float32, count) for name in (*LABELS, *names)}
    columns["numbers"] = column("numbers", np.float32, count, widths["numbers"])
    columns["event_time"] = column("event_time", np.int64, count)
    columns["weight"] = column("weight", np.float32, count)
    columns["weight"][:] = 1
    columns["written"] = column("written", np.int32, count)
    seen, start = column("seen", np.int32, int(offsets[-1])), 0
    for name in set(LABELS) - there:
        labels[name][:] = np.nan
    for batch in _batches(rows, sorted(there - {"example_id", "split"})):
        to = place_N[start : start + batch.num_rows]
        start += batch.num_rows
        for name in INDICES:
            columns[name][to] = batch[name].to_numpy()
        of_review = pc.equal(batch["kind"], "review").to_numpy(zero_copy_only=False)
        columns["written"][to] = np.where(of_review, batch["review"].to_numpy(), 0)
        for name in lists:
            columns[name][to] = left_padded(*_lists(batch[name]), widths[name])
        for name in there.intersection(LABELS):
            labels[name][to] = _floats(batch[name])
        for name in names:
            labels[name][to] = _floats(pc.map_lookup(batch["labels"], pa.scalar(name), "first"))
        if "weight" in there:
            columns["weight"][to] = _floats(batch["weight"].fill_null(1.0))
        if widths["numbers"]:
            columns["numbers"][to] = _floats(batch["numbers"].flatten()).reshape(len(to), -1)
        columns["event_time"][to] = batch["event_time"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
        values, lengths = _lists(batch["seen"])
        seen[np.arange(len(values)) + np.repeat(offsets[to] - (lengths.cumsum() - lengths), lengths)] = values
    for written in (*columns.values(), *labels.values(), seen):
        written.flush()


def _batches(rows: ds.Dataset, columns: list[str]) -> Iterator[pa.RecordBatch]:
    return (batch for batch in rows.to_batches(columns=columns, batch_size=ROWS_AT_A_TIME) if batch.num_rows)


def _lists(column: pa.Array) -> tuple[Array, Array]:
    """Values of all lists, and the length of each; null is empty."""
    return column.flatten().to_numpy(), pc.list_value_length(column).fill_null(0).to_numpy().astype(np.int64)


def _floats(column: pa.Array) -> Array:
    """NaN for null."""
    return column.cast(pa.float32()).to_numpy(zero_copy_only=False)
