import os
import threading
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import write_deltalake
from small_lake import ENCODER, ITEMS, USERS, WIDTH, small_lake

from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.errors import TableError
from tandemrec.lake.types import arrow_schema
from tandemrec.learn import batch_at, cache, load_examples, load_features, sizes_of
from tandemrec.learn.feeds import LABELS


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))


@pytest.fixture
def made(tmp_path):
    return small_lake(tmp_path / "lake")


def rows_of(lake, split):
    rows = lake.read("examples").to_pylist()
    return sorted((row for row in rows if row["split"] == split), key=lambda row: row["example_id"])


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_columns_hold_the_rows_of_the_table(made, split):
    examples, rows = load_examples(made)[split], rows_of(made, split)
    assert len(examples) == len(rows) > 0
    items, offsets = examples.seen
    for number, row in enumerate(rows):
        for name in ("user", "item", "review"):
            assert getattr(examples, name)[number] == row[name]
        for name in ("history", "user_reviews", "item_reviews"):
            padded = getattr(examples, name)[number]
            assert padded.tolist() == [0] * (len(padded) - len(row[name])) + row[name]
        for name in LABELS:
            expected = np.nan if row[name] is None else row[name]
            np.testing.assert_equal(examples.labels[name][number], np.float32(expected))
        assert items[offsets[number] : offsets[number + 1]].tolist() == row["seen"]
        assert examples.event_time[number] == row["event_time"].timestamp() * 1e6


def test_rows_of_a_user_who_knows_the_same_are_one_query(made):
    examples = load_examples(made)["test"]
    seen = np.diff(examples.seen[1])
    known = zip(examples.user, examples.history.tolist(), examples.user_reviews.tolist(), seen, strict=True)
    assert groups(examples.query) == groups([str(one) for one in known])
    # Without times user 7's rows are one list; where history, reviews or what was seen grow each is its own.
    user, row = np.array([7, 7, 8]), np.array([0, 0, 0])
    same = replace(
        examples,
        **{name: getattr(examples, name)[row] for name in ("history", "user_reviews")},
        user=user,
        seen=(np.empty(0, np.int32), np.zeros(4, np.int64)),
    )
    assert groups(same.query) == {(0, 1), (2,)}
    history = same.history.copy()
    history[1] = [*history[0, 1:], 3]
    alone = {(0,), (1,), (2,)}
    assert groups(replace(same, history=history).query) == alone
    assert groups(replace(same, user_reviews=np.array([[1], [2], [1]])).query) == alone
    assert groups(replace(same, seen=(np.array([5]), np.array([0, 0, 1, 1]))).query) == alone


def groups(numbers) -> set[tuple[int, ...]]:
    """Places of the same number."""
    found: dict = {}
    for place, number in enumerate(numbers):
        found.setdefault(number, []).append(place)
    return {tuple(places) for places in found.values()}


def test_a_batch_is_its_rows(made):
    examples = load_examples(made)["test"]
    chosen = np.array([5, 0, 5, 17])
    batch = batch_at(examples, chosen)
    assert batch.history.tolist() == examples.history[chosen].tolist()
    np.testing.assert_equal(batch.labels["rating"].numpy(), examples.labels["rating"][chosen])
    items, counts = examples.seen_by(chosen)
    rows = rows_of(made, "test")
    assert items.tolist() == [item for row in chosen for item in rows[row]["seen"]]
    assert counts.tolist() == [len(rows[row]["seen"]) for row in chosen]


def test_a_label_that_a_version_of_the_past_lacks_is_unknown(made):
    rows = made.read("examples")
    old = rows.drop_columns(["favourite"])
    write_deltalake(made.path("examples"), old, mode="overwrite", schema_mode="overwrite", partition_by=["split"])
    examples = load_examples(made)["train"]
    assert len(examples) == len(rows_of(made, "train")) and np.isnan(examples.labels["favourite"]).all()
    assert not np.isnan(examples.labels["rating"]).all()


def test_the_order_of_rows_does_not_depend_on_files(made):
    before = load_examples(made)["train"]
    table = made.read("examples")
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    made.overwrite("examples", shuffled)
    after = load_examples(made)["train"]
    assert after.user.tolist() == before.user.tolist()
    np.testing.assert_equal(np.array(after.history), np.array(before.history))


def fifty_to_train(lake):
    return lake.read("examples", where=pc.field("split") == "train").slice(0, 50)


def test_an_old_version_can_be_read_and_a_new_lake_is_not_taken_for_the_old(made, tmp_path):
    version, count = made.version("examples"), len(load_examples(made)["train"])
    made.overwrite("examples", fifty_to_train(made))
    assert len(load_examples(made)["train"]) < count
    assert len(load_examples(made, version=version)["train"]) == count
    newest = load_examples(made)["train"].item.tolist()
    (tmp_path / "lake").rename(tmp_path / "gone")  # the same path and version, another lake
    again = small_lake(tmp_path / "lake", seed=8)
    again.overwrite("examples", fifty_to_train(again))
    assert load_examples(again)["train"].item.tolist() != newest


def test_no_rows_at_all(made):
    made.overwrite("examples", made.read("examples").slice(0, 0))
    assert [len(examples) for examples in load_examples(made).values()] == [0, 0, 0]


def test_several_processes_make_it_once_and_a_failed_one_leaves_nothing(tmp_path):
    made, folder = [], tmp_path / "made"

    def make(working):
        made.append(working)
        (working / "whole").write_text("yes")

    together = [threading.Thread(target=cache.made_once, args=(folder, make)) for _ in range(4)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    assert (folder / "whole").read_text() == "yes"
    with pytest.raises(ZeroDivisionError):
        cache.made_once(tmp_path / "never", lambda working: 1 / 0)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_what_nobody_has_used_for_weeks_makes_room(made):
    """Copies of past versions, and what a killed process left. What is read again stays, whenever it was made."""
    root = cache.cache_root()
    killed = root / ".left"
    killed.mkdir()

    def read():
        load_examples(made)
        load_features(made, encoder=ENCODER)
        return {path for path in root.iterdir() if path != killed}

    def weeks_pass():
        for path in root.iterdir():
            os.utime(path, (0, 0))

    first = read()
    assert {path.suffix for path in first} == {".examples", ".vectors"}
    weeks_pass()
    assert read() == first
    assert killed.exists()
    made.overwrite("text_vectors", made.read("text_vectors"))
    assert len(read()) == 3 and not killed.exists()
    weeks_pass()
    made.overwrite("examples", made.read("examples"))
    assert len(read()) == 2


def test_features_and_sizes(made):
    splits, features = load_examples(made), load_features(made, encoder=ENCODER)
    rows = {row["item_index"]: row for row in made.read("item_features").to_pylist()}
    for item, row in rows.items():
        for name in ("category", "brand", "price", "text", "interactions"):
            assert getattr(features, name)[item] == row[name]
        assert [text for text in features.reviews[item].tolist() if text] == row["reviews"]
    vectors = {row["text_hash"]: row["vector"] for row in made.read("text_vectors").to_pylist()}
    np.testing.assert_allclose(features.texts[3], np.float16(vectors["t3"]))
    assert not features.texts[0].any()
    sizes = sizes_of(made, features, splits, DEFAULT_TASKS)
    assert (sizes.users, sizes.items, sizes.text_width, sizes.history) == (USERS + 1, ITEMS + 1, WIDTH, 5)
    assert sizes.classes == {"category": 3}


def test_examples_of_unknown_items_are_refused(made):
    rows = made.read("item_features").slice(0, 3)
    made.overwrite("item_features", rows.cast(arrow_schema(made.table("item_features"))))
    with pytest.raises(TableError, match=r"refers to item 24, expected at most \d"):
        sizes_of(made, load_features(made, encoder=None), load_examples(made), DEFAULT_TASKS)
