"""Copies of reviews: what is rejected is alike by brute force, what is alike is found, whatever way the rows come."""

import json
import random
import re
from datetime import UTC, datetime, timedelta

import pytest
from pyspark.sql import functions as F

from tandemrec.clean.near_duplicates import band_hashes, jaccard, reject_near_duplicates, shingles
from tandemrec.clean.reviews import judge_reviews, settle_reviews
from tandemrec.config import CleanSettings, Source
from tandemrec.config.preparing import NearDuplicateSettings

START = datetime(2025, 1, 1, tzinfo=UTC)
SCHEMA = (
    "source string, file string, line long, part int, item_id string, review_time timestamp, clean_text string, "
    "verdict string, raw string"
)
LINES = "source string, file string, line long, raw string"


def row(line, item, text, *, hour=None, verdict="kept"):
    moment = START + timedelta(hours=line if hour is None else hour)
    return ("s", "f", line, 0, item, moment, text, verdict, None if verdict == "kept" else "own line")


def rejected(spark, rows, settings, partitions=2):
    """The lines of the near duplicates among the rows."""
    judged = spark.createDataFrame(rows, SCHEMA).repartition(partitions)
    found = reject_near_duplicates(judged, ["review_time"], settings).collect()
    assert sorted(of.line for of in found) == sorted(of[2] for of in rows)
    return {of.line for of in found if of.verdict == "near_duplicate"}


def shingle_set(text, length=3):
    units = re.findall(r"[\u4e00-\u9fff]|[^\W_\u4e00-\u9fff]+", text.lower())
    return {tuple(units[i : i + length]) for i in range(len(units) - length + 1)}


def similarity(one, other):
    return len(one & other) / len(one | other)


def noisy_reviews(draw, *, count):
    """Bursts of one text with 0 to 10 of 60 words changed, in English and Chinese, among texts of their own."""
    words = [f"w{number}" for number in range(300)]
    signs = [chr(0x4E00 + number) for number in range(300)]
    bases = {item: draw.choices(words if item % 2 else signs, k=60) for item in range(8)}
    rows, hours = [], draw.sample(range(count * 2), count)  # not in the order of the lines
    for line in range(count):
        item = draw.randrange(8)
        text = list(bases[item]) if draw.random() < 0.6 else draw.choices(words if item % 2 else signs, k=60)
        for place in draw.sample(range(60), draw.randrange(11)):
            text[place] = draw.choice(words if item % 2 else signs)
        rows.append(row(line, f"i{item}", (" " if item % 2 else "").join(text), hour=hours[line]))
    return rows


def test_what_is_rejected_is_alike_and_what_is_alike_is_found_whatever_the_batches(spark):
    draw, settings = random.Random(5), NearDuplicateSettings(similarity=0.6, bands=32)
    rows = noisy_reviews(draw, count=240)
    sets = {of[2]: shingle_set(of[6]) for of in rows}
    alike = {
        late[2]
        for late in rows
        for early in rows
        if early[4] == late[4] and early[5] < late[5] and similarity(sets[early[2]], sets[late[2]]) >= 0.6
    }
    found = rejected(spark, rows, settings)
    assert found <= alike
    assert 60 < len(alike) < 200 and len(found) >= 0.95 * len(alike)

    draw.shuffle(rows)
    first = rejected(spark, rows[:100], settings, partitions=1)
    assert first != found
    # Those of the first batch come again with the second: silver's as they are, quarantined ones judged once more.
    assert rejected(spark, rows[100:] + rows[:100], settings, partitions=3) == found


def test_bands_meet_as_often_as_the_curve_says(spark):
    """Pairs of sets of known similarity: 1 - (1 - s^rows)^bands of them share a band, within three standard errors."""
    draw, settings, pairs = random.Random(6), NearDuplicateSettings(similarity=0.9, bands=4, rows=4), 300
    for shared, share in ((60, 0.6), (80, 0.8)):
        sets = [draw.sample(range(2**31), 100) for _ in range(pairs)]
        rows = [(of[:100], of[:shared]) for of in sets]  # B in A: similarity |B| / |A|
        frame = spark.createDataFrame(rows, "a array<int>, b array<int>")
        meet = F.arrays_overlap(*[numbered(band_hashes(F.col(side), settings)) for side in "ab"])
        found = frame.agg(F.count_if(meet), F.min(jaccard(F.col("a"), F.col("b")))).first()
        expected = 1 - (1 - share**4) ** 4
        assert found[1] == share
        assert abs(found[0] / pairs - expected) < 3 * (expected * (1 - expected) / pairs) ** 0.5


def numbered(bands):
    return F.transform(bands, lambda band, place: F.concat_ws(":", place, band))


def test_a_hot_item_with_one_text_costs_a_row_each_not_a_pair_each(spark):
    text = " ".join(f"word{number}" for number in range(14))
    rows = [row(line, "hot", text, hour=-line) for line in range(4000)]
    found = rejected(spark, rows, NearDuplicateSettings())
    assert found == set(range(3999))  # the last line is the earliest


def test_shingles_by_hand(spark):
    texts = ["The CAT, the cat. The cat!", "这款iPhone很好", "one two", "", "a b-c d", "बहुत अच्छी किताब"]
    frame = spark.createDataFrame(list(enumerate(texts)), "n int, text string")
    found = frame.select("n", shingles(F.col("text"), 3).alias("s")).orderBy("n").collect()
    # the cat the, cat the cat | 这款iphone 款iphone很 iphone很好 | | | a b c, b c d | its three words
    assert [len(of.s) for of in found] == [2, 3, 0, 0, 2, 1]


def test_reviews_are_settled_by_all_of_their_rules(spark):
    spam = "Best strings ever, buy them at once, they never break and they sound like new for many months"
    lines = [
        {"u": "a", "i": "1", "body": spam, "at": "2025-03-02"},
        {"u": "b", "i": "1", "body": f"{spam}!! ok", "at": "2025-03-01"},
        {"u": "a", "i": "1", "body": f"<b>{spam.upper()}</b>", "at": "2025-03-03"},  # the first one again
        {"u": "c", "i": "2", "body": spam, "at": "2025-03-03"},
        {"u": "d", "i": "1", "body": "works as expected", "at": "2025-03-03"},
        {"u": "e", "i": "1", "body": "works as expected", "at": "2025-03-04"},
        {"u": "f", "i": "1", "body": "!!! ok", "at": "2025-03-04"},
    ]
    rows = spark.createDataFrame([("s", "f", n, json.dumps(line)) for n, line in enumerate(lines)], LINES)
    columns = {"user_id": "u", "item_id": "i", "text": "body", "review_time": "at"}
    asked = Source(name="s", table="reviews", kind="json", path="x", columns=columns)
    clean = CleanSettings(near_duplicates=NearDuplicateSettings(), min_review_length=3)
    judged = judge_reviews(rows, [asked], clean, now=datetime(2026, 1, 1, tzinfo=UTC), items=None)
    found = settle_reviews(judged, clean).orderBy("line").collect()
    assert [of.verdict for of in found] == [
        "near_duplicate", "kept", "merged", "kept", "kept", "kept", "text_too_short",
    ]  # fmt: skip
    assert [json.loads(of.raw) if of.raw else None for of in found] == [*[None] * 6, lines[6]]


def test_settings_that_would_find_too_little_are_refused():
    with pytest.raises(ValueError, match=r"4 bands of 8 rows find 52% of the pairs of similarity 0.8"):
        NearDuplicateSettings(bands=4, rows=8)
