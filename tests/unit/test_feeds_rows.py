"""The columns of tabular examples, mapped: every row's categories, numbers and labels by name, whatever the order."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from tandemrec.lake import Lake
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import batch_at, cache, load_examples

LABELS = ("rich", "spent")


def row(draw, number):
    empty = {key: [] for key in ("history", "user_reviews", "item_reviews", "seen")}
    told = {name: float(draw.integers(9)) for name in LABELS if draw.random() < 0.6}
    return empty | {
        "example_id": f"{draw.integers(2**60):016x}",
        "kind": "row",
        "split": ("train", "valid", "test")[number % 3],
        "event_time": datetime(1970, 1, 1, tzinfo=UTC),
        **dict.fromkeys(("user", "item", "review"), 0),
        "labels": list(told.items()),
        "categories": draw.integers(0, 5, 3).tolist(),
        "weight": None if draw.random() < 0.3 else float(draw.integers(1, 9)),
        "numbers": [None if draw.random() < 0.3 else float(draw.integers(100)) for _ in range(2)],
    }


@pytest.fixture
def rows(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    draw = np.random.default_rng(8)
    return [row(draw, number) for number in range(60)]


def test_every_row_has_its_columns(tmp_path, rows):
    lake = Lake(str(tmp_path / "lake"))
    schema = arrow_schema(lake.table("examples"))
    lake.overwrite("examples", pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in rows], schema))
    for split, examples in load_examples(lake).items():
        expected = sorted((r for r in rows if r["split"] == split), key=lambda r: r["example_id"])
        assert len(examples) == len(expected) == 20
        batch = batch_at(examples, np.array([3, 0, 3]))
        assert batch.categories.tolist() == [expected[n]["categories"] for n in (3, 0, 3)]
        np.testing.assert_equal(batch.numbers.numpy(), np.array([expected[n]["numbers"] for n in (3, 0, 3)], float))
        assert batch.weight.tolist() == [expected[n]["weight"] or 1.0 for n in (3, 0, 3)]
        for name in LABELS:
            told = [dict(r["labels"]).get(name, np.nan) for r in expected]
            np.testing.assert_equal(examples.labels[name], np.array(told, np.float32))
        assert np.isnan(examples.labels["rating"]).all()
