"""Emoji: whole in what models read, by name where asked for, a token each."""

import json
from datetime import UTC, datetime

import pytest
from pyspark.sql import functions as F

from tandemrec.clean.emoji import name
from tandemrec.clean.reviews import judge_reviews, settle_reviews
from tandemrec.clean.texts import plain
from tandemrec.clean.words import language, with_tokens
from tandemrec.config import CleanSettings, Source

FAMILY, ENGLAND = "👨\u200d👩🏽\u200d👧", "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
HEART, RAINBOW = "❤\ufe0f\u200d🔥", "🏳\ufe0f\u200d🌈"


def values(spark, texts):
    return spark.createDataFrame(list(enumerate(texts)), "n int, text string")


@pytest.mark.parametrize(
    ("emoji", "expected"),
    [
        ("👍", ":thumbs_up_sign:"),
        ("👍🏿", ":thumbs_up_sign:"),
        ("🏿", ":emoji_modifier_fitzpatrick_type-6:"),
        (FAMILY, ":man_woman_girl:"),
        (HEART, ":heavy_black_heart_fire:"),
        ("🇩🇪", ":flag_de:"),
        (ENGLAND, ":flag_gbeng:"),
        ("1\ufe0f\u20e3", ":keycap_1:"),
        ("#\u20e3", ":keycap_hash:"),
        ("\U0001f8ff", ":u-1f8ff:"),
    ],
)
def test_a_name_is_made_of_the_names_of_the_characters(emoji, expected):
    assert name(emoji) == expected


def test_what_holds_an_emoji_together_stays_and_no_other_hidden_character(spark):
    whole = ["👍🏿", FAMILY, HEART, RAINBOW, ENGLAND, "🇩🇪🇫🇷", "1\ufe0f\u20e3", f"so{FAMILY}{HEART}good"]
    hidden = {
        "a\u200db": "ab",
        "\u200d👍\u200d": "👍",
        "👍\u200d x": "👍 x",
        "👍\u200b\u200d👍": "👍👍",
        "hi\U000e0068\U000e0069": "hi",
        "👍\U000e0068\U000e0069": "👍",
        ENGLAND + "\U000e0068\U000e0069": ENGLAND,
        "&#x1F468;&zwj;&#x1F467;": "👨\u200d👧",
    }
    found = plain(values(spark, [*whole, *hidden]), ["text"]).orderBy("n").collect()
    assert [row.text for row in found] == [*whole, *hidden.values()]


def test_an_emoji_is_a_token_kept_or_named_in_every_language(spark):
    bodies = {
        f"Lovely sound{FAMILY}👍🏿": (["lovely", "sound", FAMILY, "👍🏿"], ["lovely", "sound", ":man_woman_girl:"]),
        f"质量👍非常清晰{HEART}": (["质量", "👍", "非常", "清晰", HEART], ["质量", ":thumbs_up_sign:", "非常", "清晰"]),
        "Звук 🇩🇪": (["звук", "🇩🇪"], ["звук", ":flag_de:"]),
        "ratio 3:4:5 at 12:30:45": (["ratio", "3", "4", "5", "12", "30", "45"],) * 2,
    }
    lines = [json.dumps({"u": str(n), "i": "1", "body": body, "at": "2025-03-01"}) for n, body in enumerate(bodies)]
    rows = spark.createDataFrame(
        [("s", "f", n, line) for n, line in enumerate(lines)], "source string, file string, line long, raw string"
    )
    columns = {"user_id": "u", "item_id": "i", "text": "body", "review_time": "at"}
    asked = Source(name="s", table="reviews", kind="json", path="x", columns=columns)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    judged = {
        emoji: judge_reviews(rows, [asked], CleanSettings(emoji=emoji, min_review_length=5), now=now, items=None)
        .orderBy("line")
        .collect()
        for emoji in ("keep", "name")
    }
    for (body, (kept, named)), as_it_is, by_name in zip(bodies.items(), judged["keep"], judged["name"], strict=True):
        assert as_it_is.clean_text == body and as_it_is.tokens == kept
        assert by_name.text == body and by_name.tokens[: len(named)] == named
    assert judged["name"][0].clean_text == "Lovely sound :man_woman_girl: :thumbs_up_sign:"
    assert judged["name"][1].clean_text == "质量 :thumbs_up_sign: 非常清晰 :heavy_black_heart_fire:"
    assert judged["name"][1].language == "zh"
    # A name is no letters that somebody wrote.
    verdicts = [[row.verdict for row in judged[emoji]] for emoji in ("keep", "name")]
    assert verdicts == [["kept", "kept", "text_too_short", "kept"]] * 2


def test_reviews_that_differ_in_emoji_are_two(spark):
    bodies = [
        "👍",
        "👎",
        "👍!",
        "❤",
        "❤\ufe0f",
        "Nice 👍",
        "nice, 👍",
        "nice 👎",
        "nice",
        "???",
        "!!!",
        "Schön",
        "schön.",
        'a "good" one',
        "a “good” one",
    ]
    same = spark.createDataFrame(
        [(n, "u", "1", body) for n, body in enumerate(bodies)], "n int, u string, i string, b string"
    )
    lines = same.select(
        F.lit("s").alias("source"),
        F.lit("f").alias("file"),
        F.col("n").alias("line"),
        F.to_json(F.struct("u", "i", "b")).alias("raw"),
    )
    columns = {"user_id": "u", "item_id": "i", "text": "b"}
    asked = Source(
        name="s", table="reviews", kind="json", path="x", columns=columns, constants={"review_time": "2025-03-01"}
    )
    clean = CleanSettings()
    judged = judge_reviews(lines, [asked], clean, now=datetime(2026, 1, 1, tzinfo=UTC), items=None)
    merged = [
        bodies[row.line] for row in settle_reviews(judged, clean).orderBy("line").collect() if row.verdict == "merged"
    ]
    assert merged == ["👍!", "❤\ufe0f", "nice, 👍", "schön.", "a “good” one"]


def test_the_title_is_joined_to_a_name(spark):
    text = values(spark, [":thumbs_up_sign:. Lovely :fire: :x:y"]).withColumnRenamed("text", "clean_text")
    found = with_tokens(text.withColumn("language", language(F.col("clean_text"))), []).first()
    assert found.tokens[:3] == [":thumbs_up_sign:", "lovely", ":fire:"]
