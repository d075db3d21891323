"""Words as numbers: what is one, what number it has, and how the texts of a lake become lists of them."""

from zlib import crc32

import numpy as np
import pyarrow as pa
import pytest
import torch
from small_lake import small_lake

from tandemrec.config import ModelSettings, Task, WordSettings
from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.lake.types import arrow_schema
from tandemrec.learn.reviews import review_texts, review_words
from tandemrec.text.words import word_ids, words_of

SETTINGS = WordSettings(buckets=1000, longest=8)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don\u2019t buy: it's NOT a 2nd-hand Gu\u00edtar!!", "don't buy : it's not a 2nd - hand gu\u00edtar ! !"),
        ("iPhone15\u5f88\u597d\uff0c\u4e0d\u9519", "iphone15 \u5f88 \u597d \uff0c \u4e0d \u9519"),
        (
            "\u043d\u0435 \u043f\u043b\u043e\u0445\u043e \U0001f44d",
            "\u043d\u0435 \u043f\u043b\u043e\u0445\u043e \U0001f44d",
        ),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0905\u091a\u094d\u091b\u093e!",
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0905\u091a\u094d\u091b\u093e !",
        ),
        ("\u0e14\u0e35\u0e21\u0e32\u0e01 \u2764\ufe0f", "\u0e14\u0e35 \u0e21 \u0e32 \u0e01 \u2764 \ufe0f"),
        ("snake_case 'quoted'", "snake _ case ' quoted '"),
        (" \n\t", ""),
    ],
)
def test_words_signs_and_characters(text, words):
    assert words_of(text) == words.split()


def test_a_word_has_one_number_for_ever_and_long_texts_are_cut():
    ids, lengths = word_ids(["good, bad", "", "a b c d e f g h i j"], buckets=1000, longest=4)
    assert lengths.tolist() == [3, 0, 4]
    assert ids.tolist() == [1 + crc32(word) % 1000 for word in (b"good", b",", b"bad", b"a", b"b", b"c", b"d")]
    few, _ = word_ids([" ".join(map(str, range(500)))], buckets=16, longest=500)
    assert set(few) == set(range(1, 17))


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setattr("tandemrec.learn.cache.cache_root", lambda: tmp_path)
    return small_lake(tmp_path / "lake")


def with_reviews(lake, change):
    rows = [change(row) for row in lake.read("reviews").to_pylist()]
    lake.overwrite("reviews", pa.Table.from_pylist(rows, arrow_schema(lake.table("reviews"))))


def test_each_text_of_the_vocabulary_has_the_words_of_its_review(lake, monkeypatch):
    """Whoever wrote it, however often it was written, in whatever batch it is read."""

    def shared(row):
        return row | {"text_hash": "t3", "clean_text": "the same words"} if row["line"] < 9 else row

    with_reviews(lake, lambda row: shared(row) | ({"text_hash": "unknown"} if row["line"] == 20 else {}))
    monkeypatch.setattr("tandemrec.learn.reviews.ROWS_AT_A_TIME", 5)
    lists = review_words(lake, SETTINGS, {})
    texts = {row["text_hash"]: row["clean_text"] for row in lake.read("reviews").to_pylist()}
    vocabulary = lake.read("texts_vocabulary").to_pylist()
    assert len(lists.starts) == 1 + len(vocabulary)
    words, known = lists.of(torch.arange(len(lists.starts)))
    assert not known[0].any() and words.shape == known.shape
    for row in vocabulary:
        expected, _ = word_ids([texts.get(row["text_hash"], "")], buckets=1000, longest=8)
        index = row["text_index"]
        assert words[index][known[index]].tolist() == expected.tolist()
        assert known[index].tolist() == (np.arange(known.shape[1]) < len(expected)).tolist()  # padded on the right
    assert len(lists.values) == lists.lengths.sum()
    said = [texts.get(row["text_hash"], "") for row in vocabulary]
    index = np.array([row["text_index"] for row in vocabulary])
    order = np.random.default_rng(1).permutation(len(index)).repeat(2)
    assert review_texts(lake, {}, index[order]) == [said[place] for place in order]
    assert review_texts(lake, {}, np.array([0])) == [""]


def test_other_settings_and_versions_have_lists_of_their_own(lake):
    before = review_words(lake, SETTINGS, {})
    versions = {name: lake.version(name) for name in ("reviews", "texts_vocabulary")}
    with_reviews(lake, lambda row: row | {"clean_text": "other"})
    assert torch.equal(review_words(lake, SETTINGS, versions).values, before.values)
    after = review_words(lake, SETTINGS, {})
    assert after.lengths[1:].tolist() == [1] * (len(after.lengths) - 1)
    assert review_words(lake, WordSettings(buckets=16), {}).values.max() <= 16


def test_words_and_vectors_are_asked_for_where_a_task_reads_them():
    click = Task(name="click", kind="binary")
    assert ModelSettings(bottoms=["cnn"]).words_of(DEFAULT_TASKS) == WordSettings()
    assert ModelSettings(bottoms=["cnn"]).words_of([click]) is None
    assert ModelSettings().words_of(DEFAULT_TASKS) is None
    assert ModelSettings(bottoms=["cnn"], text=False).reads_vectors(DEFAULT_TASKS) is False
    assert ModelSettings(text=False).reads_vectors(DEFAULT_TASKS) and not ModelSettings(text=False).reads_vectors(
        [click]
    )
    with pytest.raises(ValueError, match="expected each once"):
        ModelSettings(bottoms=["cnn", "cnn"])
