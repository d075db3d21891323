"""The examples stage on a lake: vocabularies that keep their numbers, features, and runs that change nothing."""

import pytest
from examples_logs import event, item, random_log, review, settings_of, silver
from examples_oracle import expected_examples, expected_features

from jobs import build_examples
from tandemrec.errors import ConfigError

GOLD = ("examples", "item_features", "user_features")


def fill(lake, events, reviews, items):
    for name, rows in (("events", events), ("reviews", reviews), ("items", items)):
        lake.overwrite(name, silver(name, rows))


def vocabularies(lake):
    keys = {"users_vocabulary": ["user_id"], "items_vocabulary": ["item_id"], "texts_vocabulary": ["text_hash"]}
    keys["attributes_vocabulary"] = ["attribute", "value"]
    found = {}
    for table, key in keys.items():
        for row in lake.read(table).to_pylist():
            index = next(value for name, value in row.items() if name.endswith("_index"))
            found[(table, *(row[name] for name in key))] = index
    return found


def rows_of(lake, name):
    return sorted(lake.read(name).to_pylist(), key=str)


@pytest.mark.slow
def test_vocabularies_grow_and_nothing_else_changes(spark, lake):
    events, reviews, items = random_log(5)
    fill(lake, events, reviews, items)
    options = {"valid_share": 0.2, "test_share": 0.2, "history_length": 3, "user_reviews": 2, "item_reviews": 2}
    attributes = {"colour": "one_hot", "size": "index", "nowhere": "one_hot"}
    settings = settings_of(lake.root, **options, attributes=attributes)
    narrow = settings_of(lake.root, **options, attributes=attributes, one_hot_values=1)
    with pytest.raises(ConfigError, match=r"examples.attributes.colour: one_hot of 2 values, expected at most 1"):
        build_examples.run(spark, narrow)
    figures = build_examples.run(spark, settings)
    first = vocabularies(lake)
    users = {key[1]: index for key, index in first.items() if key[0] == "users_vocabulary"}
    assert users == {user: n for n, user in enumerate(sorted({row["user_id"] for row in [*events, *reviews]}), 1)}
    for table in ("items_vocabulary", "texts_vocabulary"):
        ordered = sorted((index, key) for key, index in first.items() if key[0] == table)
        assert [index for index, _ in ordered] == list(range(1, len(ordered) + 1))
        assert [key for _, key in ordered] == sorted(key for _, key in ordered)
    assert first["attributes_vocabulary", "brand", "b1"] == 2
    assert first["attributes_vocabulary", "category", "Root > leaf 2"] == 3
    assert first["attributes_vocabulary", "colour", "red"] == 2
    assert figures["vocabularies"]["colour"] == 2 and figures["vocabularies"]["nowhere"] == 0

    categories = {i["item_id"]: " > ".join(i["category"]) for i in items if i["category"]}
    expected = expected_examples(events, reviews, categories, settings.examples)
    assert sum(count for kinds in figures["rows"].values() for count in kinds.values()) == len(expected)
    for split, labels in figures["labels"].items():
        for name, count in labels.items():
            assert count == sum(row["split"] == split and row[name] is not None for row in expected.values())
    of_items, of_users = expected_features(events, reviews, items, settings.examples, first)
    assert {row.pop("item_index"): row for row in lake.read("item_features").to_pylist()} == of_items
    assert {row.pop("user_index"): row for row in lake.read("user_features").to_pylist()} == of_users

    before = {name: rows_of(lake, name) for name in GOLD}
    assert build_examples.run(spark, settings) == figures
    assert {name: rows_of(lake, name) for name in GOLD} == before
    assert vocabularies(lake) == first

    green = item("a thing", attributes={"colour": "Green"})
    newcomers = [event("a new user", "a new item", "click", 1), event("u1", "zz", "purchase", 2)]
    fill(lake, [*events, *newcomers], [*reviews, review("u0", "zz", 9, 5.0, "unheard of")], [*items, green])
    build_examples.run(spark, settings)
    grown = vocabularies(lake)
    assert {key: grown[key] for key in first} == first
    added = {key: index for key, index in grown.items() if key not in first}
    assert added["users_vocabulary", "a new user"] == len(users) + 1
    new_items = [added["items_vocabulary", name] for name in ("a new item", "a thing", "zz")]
    assert new_items == [10, 11, 12]
    assert added["attributes_vocabulary", "colour", "green"] == 3
    [of_thing] = [row for row in lake.read("item_features").to_pylist() if row["item_index"] == 11]
    assert of_thing["attributes"] == [("colour", [0, 0, 1]), ("size", [0]), ("nowhere", [])]


@pytest.mark.slow
def test_an_attribute_that_no_item_has_is_told_with_those_that_there_are(spark, lake, capsys):
    log = [event(f"u{n % 3}", f"i{n % 4}", "click", hour=n) for n in range(30)]
    fill(lake, log, [], [item("i0", attributes={"colour": "red", "size": "8"}), item("i1")])
    build_examples.run(spark, settings_of(lake.root, attributes={"color": "index", "size": "index"}))
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "examples.attributes names color, which no item has, so nothing is learned of it; items have colour, size"
        in said
    )
    build_examples.run(spark, settings_of(lake.root, attributes={"colour": "index"}))
    assert "which no item has" not in capsys.readouterr().err


def test_tasks_that_no_training_row_has_a_label_of_are_told_before_training(spark, lake, capsys):
    """Clicks and purchases, but no view: nothing tells what was shown."""
    fill(lake, [], [], [item("i0")])
    with pytest.raises(ConfigError, match="found no event and no review to learn from"):
        build_examples.run(spark, settings_of(lake.root))
    assert not lake.exists("items_vocabulary")
    log = [event(f"u{n % 3}", f"i{n % 4}", ("click", "purchase")[n % 2], hour=n) for n in range(30)]
    fill(lake, log, [], [])
    build_examples.run(spark, settings_of(lake.root))
    said = " ".join(capsys.readouterr().err.split())
    assert "no training row has a label of click, purchase, rating, sentiment, category: leave them out" in said
    assert "; click, purchase: told by what was chosen of what was shown, which takes view events" in said


def test_what_is_known_of_items_is_told_of_their_reviews_where_it_is_asked_for(spark, lake):
    names = [f"i{n}" for n in range(6)]
    items = [
        item(
            name,
            ["c"],
            f"brand {n % 2}" if n else None,
            1 + n,
            {"colour": ("red", "blue")[n % 2], "size": "l"} if n % 3 else {},
        )
        for n, name in enumerate(names)
    ]
    reviews = [review(f"u{n % 4}", name, n, 1.0 + n % 5, f"of {name}") for n, name in enumerate(names)]
    events = [event(f"u{n % 4}", name, "click", n + 0.5) for n, name in enumerate(names)]
    fill(lake, events, reviews, items)
    asked = ["brand", "price", "colour", "size"]
    figures = build_examples.run(
        spark, settings_of(lake.root, attributes={"colour": "index", "size": "one_hot"}, item_labels=asked)
    )
    indices = vocabularies(lake)
    index_of = {row["item_index"]: row["item_id"] for row in lake.read("items_vocabulary").to_pylist()}
    tenth = {row["item_index"]: row["price"] for row in lake.read("item_features").to_pylist()}
    by_name, told = {row["item_id"]: row for row in items}, 0
    for row in lake.read("examples").to_pylist():
        labels = dict(row["labels"] or {})
        if row["kind"] != "review":
            assert not labels
            continue
        of = by_name[index_of[row["item"]]]
        known = {"brand": of["brand"]} | of["attributes"]
        expected = {
            f"item.{name}": indices["attributes_vocabulary", name, value] for name, value in known.items() if value
        }
        assert labels == expected | {"item.price": tenth[row["item"]]}
        told += 1
    assert told == len(reviews)
    counted = figures["labels"]
    assert sum(labels["item.brand"] for labels in counted.values()) == len(reviews) - 1
