"""Every record becomes a row of silver, is merged into one, or is rejected for the first rule that it breaks."""

import json
import random
from datetime import UTC, datetime

from pyspark.sql import functions as F

from tandemrec.clean import behaviour
from tandemrec.clean.batches import new_rows
from tandemrec.clean.cleaners import CLEANERS
from tandemrec.clean.events import judge_events
from tandemrec.clean.items import judge_items, settle_items
from tandemrec.clean.parse import absent_columns, parse
from tandemrec.clean.reviews import judge_reviews, settle_reviews
from tandemrec.config import CleanSettings, Source
from tandemrec.config.behaviour import BehaviourSettings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at", "value": "stars"}
REVIEWS = {"user_id": "u", "item_id": "i", "rating": "stars", "title": "head", "text": "body", "review_time": "at"}
AT = "2025-03-01T12:34:56Z"


def settle_events(judged):
    return behaviour.settle_events(judged, BehaviourSettings())


def source(**changes) -> Source:
    return Source(**{"name": "logs", "table": "events", "kind": "json", "path": "x", "columns": EVENTS} | changes)


def bronze(spark, lines):
    texts = [line if isinstance(line, str | None) else json.dumps(line) for line in lines]
    rows = [("logs", "f", number, text) for number, text in enumerate(texts, 1)]
    return spark.createDataFrame(rows, "source string, file string, line long, raw string")


def by_line(judged):
    return {row.line: row for row in judged.collect()}


def test_only_a_whole_json_object_is_a_record(spark):
    good = ['{"u": 12345678901234567890, "i": "007", "p": {"deep": 1}}', " {} \r", '{"u": "}{"}']
    bad = [
        '{"u": 1',
        '{"u": 1} {"u": 2}',
        '{"u": 1}, {"u": 2}',
        '{"u": 1} x',
        '{"u": 1}]',
        '{"u": 1}] x',
        '{"u": 1}, {}] x',
        '{"u": 1}], [{"u": 2}',
        '[{"u": 1}]',
        '"u"',
        "7",
        "null",
        "",
        "WARN",
        None,
    ]
    columns = EVENTS | {"value": "p.deep"}
    rows = by_line(parse(bronze(spark, good + bad), source(columns=columns)))
    assert [rows[line].is_record for line in sorted(rows)] == [True] * len(good) + [False] * len(bad)
    assert (rows[1].user_id, rows[1].item_id, rows[1].value) == ("12345678901234567890", "007", "1")
    assert rows[4].raw == bad[0]


def test_records_within_a_line_are_rows_of_their_own(spark):
    lines = [
        {"who": "a", "past": [{"i": "1", "p": {"deep": "x"}}, {"i": "2"}], "last": {"i": "3"}},
        {"who": "b", "past": [], "last": None},
        {"who": "c", "past": "nonsense", "last": {"i": "4"}},
        '{"who": "d", "past": [',
    ]
    exploding = source(
        columns={"user_id": "^who", "item_id": "i", "value": "p.deep"},
        constants={"event_type": "click", "event_time": AT},
        explode=["past", "last"],
    )
    rows = parse(bronze(spark, lines), exploding).orderBy("line", "part").collect()
    assert [(row.line, row.part, row.is_record, row.user_id, row.item_id, row.value) for row in rows] == [
        (1, 0, True, "a", "1", "x"),
        (1, 1, True, "a", "2", None),
        (1, 2, True, "a", "3", None),
        (2, 0, False, "b", None, None),
        (3, 0, False, "c", None, None),
        (3, 1, True, "c", "4", None),
        (4, 0, False, None, None, None),
    ]
    assert {row.event_type for row in rows} == {"click"}


def test_a_mapped_column_that_no_line_has_is_named(spark):
    lines = [{"u": 1, "p": {"deep": None}}] * 5 + [{"late": 1}]
    columns = {"user_id": "u", "item_id": "late", "value": "p.deep", "split": "nowhere"}
    asked = source(columns=columns, constants={"event_type": "click", "event_time": AT})
    assert absent_columns(bronze(spark, lines), asked, look_at=3) == ["nowhere"]
    assert absent_columns(bronze(spark, lines).limit(0), asked) == []
    exploding = source(columns={"user_id": "u", "item_id": "late"}, explode=["past"], constants=asked.constants)
    assert absent_columns(bronze(spark, lines), exploding) == ["past"]


def test_events_are_rejected_for_the_first_rule_they_break_and_merged_by_key(spark):
    good = {"u": "a", "i": "1", "t": "pv", "at": AT}
    rate = good | {"t": "rate", "stars": 5}
    lines = {
        "kept": [
            good,
            good | {"u": "b", "stars": "9"},
            rate | {"stars": "4.5"},
            good | {"t": "Cart"},
            good | {"at": 1740832497},
        ],
        "merged": [good, good | {"u": " a ", "t": " PV"}, good | {"at": 1740832496000}],
        "broken_json": ['{"u": "a"'],
        "user_id_missing": [good | {"u": " "}, {"i": "1"}, good | {"u": None, "t": "?"}],
        "item_id_missing": [good | {"i": ""}],
        "event_type_unknown": [good | {"t": "hover"}, good | {"t": None}],
        "time_unreadable": [good | {"at": "soon"}],
        "time_in_future": [good | {"at": "2031-01-01T00:00:00Z"}],
        "time_too_early": [good | {"at": "1970-01-01T00:00:00Z"}],
        "rating_out_of_range": [rate | {"stars": s} for s in (0, 5.5, None, "NaN", "five")],
        "item_unknown": [good | {"i": "zzz"}],
    }
    flat = [(verdict, line) for verdict, some in lines.items() for line in some]
    mapped = source(event_types={"pv": "click", "rate": "rating"})
    items = spark.createDataFrame([("1",)], "item_id string")
    judged = settle_events(
        judge_events(bronze(spark, [line for _, line in flat]), [mapped], CleanSettings(), now=NOW, items=items)
    )
    rows = by_line(judged)
    assert [rows[line].verdict for line in range(1, len(flat) + 1)] == [verdict for verdict, _ in flat]
    assert (rows[1].event_type, rows[1].value, rows[3].value, rows[2].value) == ("click", None, 4.5, None)
    assert all((row.raw is None) == (row.verdict in ("kept", "merged")) for row in rows.values())
    assert rows[9].raw == '{"u": "a"'
    everything = settle_events(
        judge_events(bronze(spark, [good | {"i": "zzz"}]), [mapped], CleanSettings(), now=NOW, items=None)
    )
    assert by_line(everything)[1].verdict == "kept"


def test_pairs_have_no_time_and_need_none(spark):
    pairs = source(kind="pairs", columns={}, constants={"event_type": "purchase", "split": "valid"})
    lines = ['{"user_id": "1", "item_id": "354"}', "3 4 5"]
    rows = by_line(settle_events(judge_events(bronze(spark, lines), [pairs], CleanSettings(), now=NOW, items=None)))
    assert [rows[1].verdict, rows[2].verdict] == ["kept", "broken_json"]
    assert (rows[1].event_time.timestamp() % 86400, rows[1].split, rows[1].user_id) == (0.0, "valid", "1")


def test_the_newest_description_of_an_item_wins(spark):
    columns = {"item_id": "sku", "title": "name", "brand": "by", "price": "p", "category": "cat", "description": "d"}
    columns |= {"attributes": "more", "updated_at": "at"}
    lines = [
        {"sku": "1", "name": "Old", "at": "2024-01-01"},
        {
            "sku": "1",
            "name": "New &amp; <b>bold</b>",
            "by": "acme ",
            "p": "$5",
            "cat": "A>B",
            "d": "x\ny",
            "at": "2025-01-01",
        },
        {"sku": "1", "name": "No date"},
        {"sku": "2", "by": "ACME", "more": {"colour": "red", "size": 3}, "p": "n/a"},
        {"sku": "3", "name": "first", "by": "ACME"},
        {"sku": "3", "name": "last", "by": "ACME"},
        {"sku": "  "},
        "{",
        {"sku": "1", "name": "Wrong clock", "at": "2199-01-01"},
        {"sku": "1", "name": "Which day", "at": "03.12.2025"},
        {"sku": "1", "name": "Never set", "at": "1970-01-01"},
        {"sku": "4", "name": "Blank", "at": " "},
    ]
    asked = source(table="items", columns=columns)
    rows = by_line(settle_items(judge_items(bronze(spark, lines), [asked], CleanSettings(), now=NOW)))
    verdicts = ["former", "kept", "former", "kept", "merged", "kept", "item_id_missing", "broken_json"]
    verdicts += ["time_in_future", "time_unreadable", "time_too_early", "kept"]
    assert [rows[line].verdict for line in sorted(rows)] == verdicts
    assert (rows[2].title, rows[2].brand, rows[2].category, str(rows[2].price)) == (
        "New & bold",
        "ACME",
        ["A", "B"],
        "5.00",
    )
    assert (rows[2].description, rows[2].text, rows[2].currency) == ("x y", "New & bold. x y", "USD")
    assert (rows[4].text, rows[4].text_hash, rows[4].price, rows[4].currency) == (None, None, None, None)
    assert rows[4].attributes == {"colour": "red", "size": "3"}


def test_reviews_that_say_the_same_are_one(spark):
    good = {"u": "a", "i": "1", "stars": 5, "head": "Great pedal", "body": "It's a <b>good</b> one", "at": AT}
    lines = {
        "merged": [good | {"at": "2025-03-02T00:00:00Z"}],
        "kept": [good, good | {"u": "b"}, good | {"body": "Another"}, good | {"u": "c", "stars": None, "head": None}],
        "merged ": [good, good | {"body": " it&#39;s  A good\u200b ONE<br />"}],
        "kept ": [{"u": "d", "i": "1", "at": AT, "head": "Only a title", "body": ""}],
        "time_unreadable": [good | {"at": "31/02/2025"}],
        "rating_out_of_range": [good | {"stars": 6}, good | {"stars": "five"}],
        "text_empty": [good | {"head": "", "body": nothing} for nothing in ("", "<p> </p>", "&nbsp;", "\u200b", None)],
        "item_unknown": [good | {"i": "zzz"}],
    }
    flat = [(verdict.strip(), line) for verdict, some in lines.items() for line in some]
    items = spark.createDataFrame([("1",)], "item_id string")
    asked = source(table="reviews", columns=REVIEWS)
    clean, lines = CleanSettings(), bronze(spark, [line for _, line in flat])
    rows = by_line(settle_reviews(judge_reviews(lines, [asked], clean, now=NOW, items=items), clean))
    assert [rows[line].verdict for line in range(1, len(flat) + 1)] == [verdict for verdict, _ in flat]
    assert rows[2].clean_text == "Great pedal. It's a good one"
    assert rows[2].text == good["body"] and rows[2].language == "en" and "pedal" in rows[2].tokens
    assert rows[8].clean_text == "Only a title" and rows[8].text == ""
    named = source(table="reviews", columns=REVIEWS | {"review_id": "id", "language": "in"})
    ids = [
        good | {"id": "r1", "at": "2025-03-02", "in": " "},
        good | {"id": "r1", "body": "Another", "at": "2025-03-01", "in": "zh_CN"},
        good | {"id": "r2", "u": "b", "in": "de"},
        good | {"id": "r3", "u": "c", "body": "Gut", "in": "en-GB"},
    ]
    lines = bronze(spark, ids)
    rows = by_line(settle_reviews(judge_reviews(lines, [named], clean, now=NOW, items=None), clean))
    assert [rows[line].verdict for line in (1, 2, 3)] == ["kept", "review_superseded", "kept"]
    languages = [rows[line].language for line in (1, 2, 3, 4)]
    assert languages == ["en", "zh", "other", "en"]  # as the source says, if it does


def test_the_newest_version_of_a_review_stays_and_an_id_belongs_to_who_had_it_first(spark):
    written = [  # id, user, item, text, day of March, verdict
        ("r1", "a", "1", "Good", 2, "review_superseded"),
        ("r1", "a", "1", "Bad", 9, "kept"),
        ("r1", "a", "1", "Fair", 5, "review_superseded"),
        ("r1", "b", "1", "Mine", 3, "review_id_taken"),
        ("r1", "a", "2", "Elsewhere", 4, "review_id_taken"),
        ("r2", "c", "1", "Good", 9, "kept"),
        ("r3", "c", "2", "At once", 1, "review_superseded"),
        ("r3", "c", "2", "And again", 1, "kept"),
        ("r4", "c", "2", "and AGAIN.", 2, "merged"),
    ]
    lines = [{"id": i, "u": u, "i": item, "body": said, "at": f"2025-03-0{on}"} for i, u, item, said, on, _ in written]
    columns = {"review_id": "id", "user_id": "u", "item_id": "i", "text": "body", "review_time": "at"}
    asked, clean = source(table="reviews", columns=columns), CleanSettings()
    rows = by_line(settle_reviews(judge_reviews(bronze(spark, lines), [asked], clean, now=NOW, items=None), clean))
    assert [rows[line].verdict for line in sorted(rows)] == [verdict for *_, verdict in written]


def test_reviews_settle_to_the_same_in_any_batches(spark):
    """Versions, copies and ids of two people, late and early: what all at once leave, silver and quarantine alike. So
    it is where an id that somebody takes gives or takes a review of another item its near duplicates.
    """
    draw = random.Random(5)
    said = ["x", "y", "z", "one two three four", "two three four five", "three four five six"]
    lines = [
        {"id": f"r{draw.randrange(12)}", "u": draw.choice("ab"), "i": draw.choice("123"), "body": draw.choice(said)}
        | {"at": f"2025-03-0{draw.randrange(1, 6)}"}
        for _ in range(60)
    ]
    # The last takes the id of the one before it, whose copy is a review of its own from then on.
    lines += [
        {"id": "copy", "u": "a", "i": "9", "body": "five six seven eight nine", "at": "2025-03-05"},
        {"id": "taken", "u": "b", "i": "9", "body": "five six seven eight", "at": "2025-03-04"},
        {"id": "taken", "u": "a", "i": "8", "body": "w", "at": "2025-03-01"},
    ]
    columns = {"review_id": "id", "user_id": "u", "item_id": "i", "text": "body", "review_time": "at"}
    alike = {"similarity": 0.5, "shingle": 1, "shortest": 1, "bands": 8, "rows": 1}
    asked, clean = source(table="reviews", columns=columns), CleanSettings(near_duplicates=alike)
    judged = judge_reviews(bronze(spark, lines), [asked], clean, now=NOW, items=None).persist()
    at_once = {row.line: row.verdict for row in settle_reviews(judged, clean).collect()}
    expected = {line: verdict for line, verdict in at_once.items() if verdict != "merged"}
    assert set(expected.values()) == {"kept", "review_superseded", "review_id_taken", "near_duplicate"}
    batch_of, batch = {line: draw.randrange(3) for line in at_once}, CLEANERS["reviews"].batch
    batch_of |= dict(zip(sorted(at_once)[-3:], (0, 0, 1), strict=True))
    assert [at_once[line] for line in sorted(at_once)[-3:]] == ["kept", "review_id_taken", "kept"]
    held = {}
    for number in range(3):
        new = [line for line in batch_of if batch_of[line] == number]
        fresh = new_rows(judged.where(F.col("line").isin(new)))
        was = spark.createDataFrame([(line, v) for line, v in held.items() if v != "kept"], "line long, was string")
        fresh = fresh.unionByName(judged.join(was, "line"))
        silver = judged.where(F.col("line").isin([line for line, verdict in held.items() if verdict == "kept"]))
        settled = settle_reviews(batch(fresh, silver.drop("raw", "verdict"), clean).rows, clean).collect()
        held |= {row.line: row.verdict for row in settled}
        held = {line: verdict for line, verdict in held.items() if verdict != "merged"}
    assert held == expected
    judged.unpersist()


def test_no_row_is_lost_or_comes_twice(spark):
    """A brute-force count in Python over lines of random pieces, good and bad."""
    draw = random.Random(1)
    pieces = {
        "u": ["a", " a", "b", "", None, 7],
        "i": ["1", "2", "zzz", " ", None],
        "t": ["click", "CLICK ", "rating", "hover", None],
        "at": [AT, 1740832496, "1740832496000", "2031-01-01", "1970-01-02", "soon", None],
        "stars": [1, "5", 0, None, "x"],
    }
    lines = []
    for _ in range(3000):
        record = {key: draw.choice(some) for key, some in pieces.items() if draw.random() < 0.97}
        text = json.dumps(record)
        lines.append(text[: draw.randrange(len(text))] if draw.random() < 0.05 else text)
    items = spark.createDataFrame([("1",), ("2",)], "item_id string")
    rows = bronze(spark, lines).repartition(3)
    judged = settle_events(judge_events(rows, [source()], CleanSettings(), now=NOW, items=items)).collect()
    assert sorted(row.line for row in judged) == list(range(1, len(lines) + 1))
    keys = [(row.user_id, row.item_id, row.event_type, row.event_time) for row in judged if row.verdict == "kept"]
    merged = [(row.user_id, row.item_id, row.event_type, row.event_time) for row in judged if row.verdict == "merged"]
    assert len(set(keys)) == len(keys) and set(merged) <= set(keys)
    first = {}
    for row in judged:
        if row.verdict in ("kept", "merged"):
            key = (row.user_id, row.item_id, row.event_type, row.event_time)
            first[key] = min(first.get(key, row.line), row.line)
    assert {row.line for row in judged if row.verdict == "kept"} == set(first.values())
    assert sum(row.raw is not None for row in judged) == len(judged) - len(keys) - len(merged)
    assert {row.line: row.raw for row in judged if row.raw}.items() <= dict(enumerate(lines, 1)).items()
