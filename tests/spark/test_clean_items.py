"""Items: versions in time, whatever batches they come in; the tree of categories; brands and quantities."""

import hashlib
import json
import random
from collections import Counter, defaultdict
from datetime import UTC, datetime

import pytest
from pyspark.sql import functions as F

from jobs import clean, ingest
from tandemrec.clean.batches import again
from tandemrec.clean.brands import brand_key
from tandemrec.clean.categories import as_in_tree, category_tree
from tandemrec.clean.cleaners import CLEANERS
from tandemrec.clean.history import as_of, history, records
from tandemrec.clean.items import judge_items, settle_items
from tandemrec.clean.parse import absent_columns
from tandemrec.clean.units import in_base_unit
from tandemrec.clean.verdicts import quarantined
from tandemrec.config import CleanSettings, Source, parse_settings
from tandemrec.lake import TABLES, Lake
from tandemrec.lake.spark import conform
from tandemrec.lake.types import ddl

COLUMNS = {"item_id": "sku", "title": "name", "brand": "by", "price": "p", "category": "cat", "attributes": "more"}
COLUMNS |= {"updated_at": "at"}
SHOP = Source(name="shop", table="items", kind="json", path="x", columns=COLUMNS)
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def judged(spark, lines):
    """Judged records of lines (file, line, text)."""
    rows = [("shop", file, line, text) for file, line, text in lines]
    bronze = spark.createDataFrame(rows, "source string, file string, line long, raw string")
    return judge_items(bronze, [SHOP], CleanSettings(), now=NOW)


def settled_history(settled):
    """Rows of items_history by key, categories still as given."""
    rows = conform(history(settled), TABLES["items_history"]).collect()
    return {(row.item_id, row.valid_from): row.asDict(recursive=True) for row in rows}


def test_attributes_may_be_columns_of_their_own(spark):
    columns = {name: column for name, column in COLUMNS.items() if name != "attributes"}
    named = {"colour": "Farbe", "Größe": "size.wide", "never": "none"}
    source = SHOP.model_copy(update={"columns": columns, "attributes": named})
    lines = [
        {"sku": "1", "Farbe": " rot ", "size": {"wide": "２ in"}},
        {"sku": "2", "Farbe": "", "size": None},
        {"sku": "3", "Farbe": 7},
    ]
    rows = [("shop", "f", number, json.dumps(line)) for number, line in enumerate(lines, 1)]
    bronze = spark.createDataFrame(rows, "source string, file string, line long, raw string")
    found = {row.item_id: row.attributes for row in judge_items(bronze, [source], CleanSettings(), now=NOW).collect()}
    assert found == {"1": {"colour": "rot", "Größe": "5.08 cm"}, "2": None, "3": {"colour": "7"}}
    assert absent_columns(bronze, source) == ["name", "by", "p", "cat", "at", "none"]


def day(number):
    return datetime(2025, 1, number, tzinfo=UTC)


def test_former_versions_stay_readable(spark):
    first = {"sku": "1", "name": "Amp", "p": "10", "at": "2025-01-02", "more": {"size": "2 in", "colour": "red"}}
    lines = [
        first | {"p": "12", "at": "2025-01-09"},
        first,
        first | {"at": "2025-01-05", "more": {"colour": "red", "size": "5.08 cm"}},
        first | {"p": "12", "at": "2025-01-12"},
        first | {"p": "12", "at": "2025-01-12"},
        first | {"at": "2025-01-15"},
        {"sku": "2", "name": "Old"},
        {"sku": "2", "name": "Pedal"},
        {"sku": "2", "name": "Dated", "at": "2025-01-03"},
        {"sku": " "},
    ]
    lines = [("f", number, json.dumps(line)) for number, line in enumerate(lines, 1)]
    settled = settle_items(judged(spark, lines)).persist()
    verdicts = {row.line: row.verdict for row in settled.select("line", "verdict").collect()}
    expected = ["former", "former", "merged", "merged", "merged", "kept", "merged", "former", "kept", "item_id_missing"]
    assert [verdicts[number] for number in range(1, len(lines) + 1)] == expected
    found = settled_history(settled)
    spans = {
        key: (row["valid_to"], row["line"], [again["line"] for again in row["confirmed"]]) for key, row in found.items()
    }
    utc = {(item, at.astimezone(UTC)): (to and to.astimezone(UTC), *rest) for (item, at), (to, *rest) in spans.items()}
    assert utc == {
        ("1", day(2)): (day(9), 2, [3]),
        ("1", day(9)): (day(15), 1, [5]),
        ("1", day(15)): (None, 6, []),
        ("2", UNDATED): (day(3), 8, []),
        ("2", day(3)): (None, 9, []),
    }
    rows = history(settled).persist()
    moments = {UNDATED: {"2": 8}, day(2): {"1": 2, "2": 8}, day(3): {"1": 2, "2": 9}, day(9): {"1": 1, "2": 9}}
    moments |= {day(14): {"1": 1, "2": 9}, day(31): {"1": 6, "2": 9}}
    for moment, lines_then in moments.items():
        then = as_of(rows, moment)
        assert then.columns == list(TABLES["items"].column_names)
        assert {row.item_id: row.line for row in then.collect()} == lines_then, moment
    with pytest.raises(ValueError, match="expected one with a time zone"):
        as_of(rows, datetime(2025, 1, 1))
    settled.unpersist()
    rows.unpersist()


def test_a_description_ahead_of_the_clock_counts_when_the_clock_is_there(spark):
    settings = parse_settings({"data": {"root": "d"}, "lake": {"root": "l"}, "sources": [SHOP.model_dump()]})
    cleaner = CLEANERS["items"]
    lines = [("shop", "f", n, json.dumps({"sku": "1", "p": n, "at": f"2025-01-0{n}"})) for n in (1, 2, 3)]
    bronze = spark.createDataFrame(lines, "source string, file string, line long, raw string").persist()
    first = settle_items(cleaner.judge(bronze, [SHOP], settings, day(2), None)).persist()
    assert {row.line: row.verdict for row in first.collect()} == {1: "former", 2: "kept", 3: "time_in_future"}
    assert "time_in_future" in cleaner.revisable
    revised = again(cleaner.judge(bronze, [SHOP], settings, day(3), None), quarantined(first, "items"))
    rows = settle_items(cleaner.batch(revised, history(first), settings.clean).rows).collect()
    assert {row.line: (row.was, row.verdict) for row in rows} == {
        1: ("former", "former"),
        2: ("kept", "former"),
        3: ("time_in_future", "kept"),
    }
    bronze.unpersist()
    first.unpersist()


NAMES, BRANDS = ["Amp", "Pedal"], ["ACME", "Acme Inc.", "acme", "Bolt", None]
PATHS = ["Music > Amps", "music > AMPS", "Music > amps > Valve", "Home", None]
DAYS = [None, *(f"2025-01-0{n}" for n in range(1, 6))]


def random_records(draw, count):
    """Lines (file, line, text) of few items that change back and forth, many of them at one moment."""
    lines = []
    for number in range(count):
        record = {"sku": str(draw.randrange(count // 6)), "name": draw.choice(NAMES), "by": draw.choice(BRANDS)}
        record |= {"cat": draw.choice(PATHS), "at": draw.choice(DAYS)}
        if draw.random() < 0.6:  # many records that differ in their moment only
            record |= {"name": "Amp", "by": "ACME", "cat": None}
        lines.append((f"f{draw.randrange(3)}", number, json.dumps(record)))
    return lines


def oracle(lines):
    """In plain Python: (item, day) of each version: the line it comes from, until when, lines that confirm it."""
    of_item = defaultdict(dict)
    for file, line, text in lines:
        record = json.loads(text)
        at = record["at"] or "1970-01-01"
        held = of_item[record["sku"]].get(at)
        if held is None or (file, line) > held[0]:
            of_item[record["sku"]][at] = (
                (file, line),
                (record["name"], record["by"], record["cat"] and record["cat"].split(" > ")),
            )
    versions = {}
    for item, by_day in of_item.items():
        last, said = None, None
        for at in sorted(by_day):
            (_, line), content = by_day[at]
            if last is not None and content == said:
                versions[last][2].append(line)
                continue
            if last is not None:
                versions[last][1] = at
            last, said = (item, at), content
            versions[last] = [line, None, [], content]
    return versions


def test_versions_are_the_same_in_any_batches(spark):
    draw = random.Random(3)
    lines = random_records(draw, 360)
    expected = oracle(lines)
    once = judged(spark, lines).persist()
    at_once = settled_history(settle_items(once))
    shown = {
        (item, f"{at.astimezone(UTC):%F}"): [
            row["line"],
            row["valid_to"] and f"{row['valid_to'].astimezone(UTC):%F}",
            [again["line"] for again in row["confirmed"]],
            (row["title"], row["given_brand"], row["given_category"]),
        ]
        for (item, at), row in at_once.items()
    }
    assert shown == expected
    assert sum(len(row["confirmed"]) for row in at_once.values()) > 20
    # The most frequent spelling among the current items, of equals the first in the alphabet.
    current = [content[1] for _, to, _, content in expected.values() if to is None]
    spelled = Counter(brand for brand in current if brand and brand.lower().startswith("acme"))
    of_acme = min(spelled, key=lambda brand: (-spelled[brand], brand))
    assert {row["brand"] for row in at_once.values()} == {of_acme, "Bolt", None}

    for _ in range(2):
        batch_of = {line: draw.randrange(3) for _, line, _ in lines}
        known = spark.createDataFrame([], ddl(TABLES["items_history"]))
        for batch in range(3):
            new = once.where(F.col("line").isin([line for line in batch_of if batch_of[line] == batch]))
            found = settled_history(settle_items(records(known).drop("was").unionByName(new)))
            known = spark.createDataFrame(list(found.values()), ddl(TABLES["items_history"]))
        assert found == at_once
    once.unpersist()


def test_categories_are_a_tree_with_codes_that_never_change(spark):
    paths = [
        "Music > Amps > Valve",
        "music > AMPS",
        "Music > AMPS",
        "Gifts > Amps",
        "MUSIC > amps",
        "Home",
        None,
        "Toys > Old",
    ]
    lines = [("f", n, json.dumps({"sku": str(n), "cat": path})) for n, path in enumerate(paths)]
    newer = ("f", 99, json.dumps({"sku": "7", "cat": "Home", "at": "2025-01-01"}))
    settled = settle_items(judged(spark, [*lines, newer])).persist()
    tree = category_tree(settled).persist()
    rows = {row.code: row for row in tree.collect()}

    def code(*steps):
        return hashlib.sha256("\x1f".join(steps).encode()).hexdigest()[:16]

    assert code("music", "amps") == "b2cbcf1d9fca3200"
    expected = {
        ("music",): ["Music"],
        ("music", "amps"): ["Music", "AMPS"],
        ("music", "amps", "valve"): ["Music", "AMPS", "Valve"],
        ("gifts",): ["Gifts"],
        ("gifts", "amps"): ["Gifts", "Amps"],
        ("home",): ["Home"],
        ("toys",): ["Toys"],
        ("toys", "old"): ["Toys", "Old"],
    }
    assert {key: row.path for key, row in rows.items()} == {code(*steps): path for steps, path in expected.items()}
    for steps, path in expected.items():
        row = rows[code(*steps)]
        assert (row.name, row.depth) == (path[-1], len(path))
        assert row.parent_code == (code(*steps[:-1]) if len(steps) > 1 else None)
    items = as_in_tree(settled.where("verdict = 'kept'"), tree).collect()
    by_item = {row.item_id: row for row in items}
    assert [by_item[str(n)].category for n in range(8)] == [
        ["Music", "AMPS", "Valve"],
        ["Music", "AMPS"],
        ["Music", "AMPS"],
        ["Gifts", "Amps"],
        ["Music", "AMPS"],
        ["Home"],
        None,
        ["Home"],
    ]
    assert by_item["1"].category_code == by_item["4"].category_code == code("music", "amps")
    assert by_item["6"].category_code is None
    settled.unpersist()
    tree.unpersist()


def test_brands_that_differ_in_signs_and_legal_form_are_one(spark):
    same = {
        "acme": ["ACME", "Acme, Inc.", "ac-me", "Acme Co., Ltd.", "Acme GmbH & Co. KG", "ACME Corp", "acme L.L.C."],
        "proctergamble": ["Procter & Gamble", "Procter+Gamble", "PROCTER GAMBLE LLC"],
        "inc": ["Inc."],
        "incase": ["Incase"],
        "!!!": ["!!!"],
        "大疆": ["大疆", "大疆 Co., Ltd"],
        "काला": ["काला"],
        "किला": ["किला", "किला Ltd."],
        "c": ["C", "C."],
        "c++": ["C++", "C++ Inc."],
        "c#": ["C#"],
        "1up": ["#1 Up", "+1-up"],
        None: [None],
    }
    flat = [(key, brand) for key, brands in same.items() for brand in brands]
    frame = spark.createDataFrame(flat, "wanted string, brand string")
    for row in frame.select("*", brand_key(F.col("brand")).alias("found")).collect():
        assert row.found == row.wanted, row.brand


def test_quantities_are_in_one_unit_a_dimension(spark):
    written = {
        "12 in": "30.48 cm",
        '12"': "30.48 cm",
        "30.48cm": "30.48 cm",
        "5.5-inch": "13.97 cm",
        " 6 Feet ": "182.88 cm",
        "2 lbs": "0.907 kg",
        "2 LBS.": "0.907 kg",
        "1 oz": "0.0283 kg",
        "1,5 kg": "1.5 kg",
        "5 mg": "0.000005 kg",
        ".5 l": "0.5 L",
        "8 fl oz": "0.237 L",
        "500 mW": "0.5 W",
        "5 MW": "5000000 W",
        "256 gb": "256 GB",
        "1 TiB": "1099.512 GB",
        "1.5 hours": "5400 s",
        "0 cm": "0 cm",
        "999999999999 km": "99999999999900000 cm",
    }
    left = [
        "1,200 g",
        "5 - 10 cm",
        "12 in x 3 in",
        "5G",
        "5 M",
        "5 Mb",
        "M",
        "12",
        "",
        "in",
        "9" * 30 + " m",
        "-3 cm",
        None,
    ]
    cases = written | {text: text for text in [*left, *set(written.values())]}
    frame = spark.createDataFrame(list(cases.items()), "text string, wanted string")
    for row in frame.select("*", in_base_unit(F.col("text")).alias("found")).collect():
        assert row.found == row.wanted, row.text
    more = {"width": "１２ in", "note": "as new", "none": None, "size": "ＸＬ"}
    lines = [("f", 1, json.dumps({"sku": "1", "more": more}, ensure_ascii=False)), ("f", 2, '{"sku": "2"}')]
    bronze = spark.createDataFrame(
        [("shop", *line) for line in lines], "source string, file string, line long, raw string"
    )
    for units, width in ((True, "30.48 cm"), (False, "12 in")):
        first, second = judge_items(bronze, [SHOP], CleanSettings(units=units), now=NOW).orderBy("line").collect()
        assert first.attributes == {"width": width, "note": "as new", "none": None, "size": "XL"}
        assert second.attributes is None


def test_a_run_writes_items_their_history_and_the_tree(spark, tmp_path, capsys):
    lines = [
        {"sku": "1", "name": "Amp", "cat": "Music > Amps", "p": "5", "at": "2025-01-01", "by": "ACME Inc"},
        {"sku": "1", "name": "Amp", "cat": "music > Amps", "p": "4", "at": "2025-01-02", "by": "ACME"},
        {"sku": "1", "name": "Amp", "cat": "music > Amps", "p": "4", "at": "2025-01-03", "by": "ACME"},
        {"sku": "", "name": "Amp", "cat": None, "more": {}},
    ]
    (tmp_path / "shop.json").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    settings = parse_settings(
        {
            "data": {"root": str(tmp_path)},
            "lake": {"root": str(tmp_path / "lake")},
            "sources": [SHOP.model_copy(update={"path": "shop.json"}).model_dump()],
        }
    )
    ingest.run(spark, settings)
    figures = clean.run(spark, settings)
    assert figures["items"] == {"in": 4, "kept": 1, "former": 1, "merged": 1, "rejected": {"item_id_missing": 1}}
    assert "items: 4 in = 1 kept + 1 former + 1 merged + 1 rejected" in capsys.readouterr().out
    lake = Lake(settings.lake.root)
    versions = sorted(lake.read("items_history").to_pylist(), key=lambda row: row["valid_from"])
    assert [(row["line"], row["valid_to"], str(row["price"])) for row in versions] == [
        (1, day(2), "5.00"),
        (2, None, "4.00"),
    ]
    assert [again["line"] for again in versions[1]["confirmed"]] == [3]
    [item] = lake.read("items").to_pylist()
    assert {name: versions[1][name] for name in item} == item
    assert [(row["brand"], row["given_brand"], row["category"]) for row in versions] == [
        ("ACME", "ACME Inc", ["music", "Amps"]),
        ("ACME", "ACME", ["music", "Amps"]),
    ]
    assert {row["code"]: row["depth"] for row in lake.read("categories").to_pylist()}[item["category_code"]] == 2
