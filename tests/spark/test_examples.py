"""The rows of gold.examples, through the pure transforms: no lake."""

from collections import Counter
from contextlib import ExitStack
from datetime import timedelta

import pytest
import yaml
from examples_logs import START, event, item, random_log, review, settings_of, sha, silver, without_times
from examples_oracle import LABELS, expected_examples, pair_hash
from pyspark.sql import functions as F

from tandemrec import examples
from tandemrec.config import parse_settings
from tandemrec.config.behaviour import STRENGTHS
from tandemrec.errors import ConfigError
from tandemrec.examples.exposures import exposures
from tandemrec.examples.interactions import interactions
from tandemrec.examples.negatives import against_random
from tandemrec.examples.splits import Splitter

REFERENCES = ("history", "user_reviews", "item_reviews")
COMPARED = ("split", *REFERENCES, "review", "seen", *LABELS)


def indices(rows, *columns):
    return {value: n for n, value in enumerate(sorted({row[c] for row in rows for c in columns if row[c]}), 1)}


def vocabulary(spark, index, id_, name):
    return spark.createDataFrame(list(index.items()), f"{id_} string, {name} int")


def log_of(spark, events, reviews, *, given=False):
    """The log in integers, with the index of users, items and texts that it is written in."""
    users, items = indices([*events, *reviews], "user_id"), indices([*events, *reviews], "item_id")
    texts = indices([*reviews, *map(item, items)], "text_hash")
    log = examples.build_log(
        spark.createDataFrame(silver("events", events)),
        spark.createDataFrame(silver("reviews", reviews)),
        vocabulary(spark, users, "user_id", "user_index"),
        vocabulary(spark, items, "item_id", "item_index"),
        vocabulary(spark, texts, "text_hash", "text_index"),
        given=given,
    )
    return log, users, items, texts


def build(spark, events, reviews, settings, categories=None):
    """Examples with ids and text hashes in place of indices."""
    log, users, items, texts = log_of(spark, events, reviews, given=settings.examples.split == "given")
    names = sorted(set((categories or {}).values()))
    coded = [(index, names.index(categories[i]) + 1 if i in (categories or {}) else 0) for i, index in items.items()]
    with ExitStack() as stack:
        contacts = examples.first_contacts(log, settings.examples, settings.clean.behaviour.event_types)
        splitter = examples.splitter(contacts, settings.examples, settings.seed)
        referred = examples.first_reviews(splitter.split(examples.reviews_of(log)))
        for frame in (log, contacts, referred):
            stack.callback(frame.persist().unpersist)
        parts = examples.Parts(
            log=log,
            contacts=contacts,
            referred=referred,
            attributes=spark.createDataFrame(coded, "item int, category int"),
            splitter=splitter,
            known=examples.look_at(log, settings),
            items=len(items),
        )
        rows = [row.asDict() for row in examples.build_examples(parts, settings).collect()]
    user_of, item_of, text_of = ({n: id_ for id_, n in index.items()} for index in (users, items, texts))
    item_of[None] = text_of[0] = None
    for row in rows:
        row |= {"user": user_of[row["user"]], "item": item_of[row["item"]], "next_item": item_of[row["next_item"]]}
        row |= {name: [item_of[i] for i in row[name]] for name in ("history", "seen")}
        row |= {name: [text_of[t] for t in row[name]] for name in ("user_reviews", "item_reviews")}
        row |= {"review": text_of[row["review"]], "event_time": row["event_time"].astimezone(START.tzinfo)}
        row |= {"category": names[int(row["category"]) - 1] if row["category"] else None}
    return rows


@pytest.mark.parametrize(("least", "most"), [(0, 1), (1, 10)])
def test_a_rating_is_positive_or_negative_within_its_range(spark, least, most):
    settings = parse_settings(
        settings_of(exposure=None).model_dump() | {"clean": {"rating_min": least, "rating_max": most}}
    )
    written = [review("u", f"i{n}", n, stars, f"t{n}") for n, stars in enumerate([least, (least + most) / 2, most])]
    rows = build(spark, [event("u", "i0", "click")], written, settings)
    told = {row["review"]: row["sentiment"] for row in rows if row["kind"] == "review"}
    assert told == {sha("t0"): 0.0, sha("t1"): None, sha("t2"): 1.0}


def frozen(row):
    return tuple(tuple(row[name]) if isinstance(row[name], list) else row[name] for name in COMPARED)


CASES = {
    "time": "{valid_share: 0.2, test_share: 0.2, history_length: 3, user_reviews: 2, item_reviews: 2}",
    "time, windows that are over": "{valid_share: 0.2, test_share: 0.2, open_windows: leave, "
    "choices: {click: 6, purchase: 9.5}}",
    "leave one out, windows that are over": "{split: leave_one_out, open_windows: leave}",
    "leave one out, some targets": "{split: leave_one_out, positives: [click, purchase, rating], history_length: 2, "
    "targets: [purchase, rating], user_reviews: 0}",
    "leave one out, reviews only": "{split: leave_one_out, positives: [review], history_length: 4}",
    "given, with times": "{split: given, history_length: 5, "
    "choices: {click: 6, favourite: 12, cart: 48, purchase: 168}}",
    "given, all of train known": "{split: given, known: train, history_length: 3, user_reviews: 2, item_reviews: 2}",
    "given, without times": "{split: given, targets: [purchase], exposure: null, history_length: 3, user_reviews: 2, "
    "item_reviews: 2}",
}


@pytest.mark.parametrize("name", CASES)
def test_examples_agree_with_a_plain_account_of_them(spark, name):
    splits = ("train", "train", "train", "valid", "test", None) if name.startswith("given") else (None,)
    events, reviews, items = random_log(len(name), splits=splits)
    if "reviews only" in name:
        events = []
    if "without times" in name:
        events, reviews = without_times(events, reviews)
    settings = settings_of(**yaml.safe_load(CASES[name]))
    categories = {i["item_id"]: " > ".join(i["category"]) for i in items if i["category"]}
    found = build(spark, events, reviews, settings, categories)

    expected = expected_examples(events, reviews, categories, settings.examples)
    assert len({row["example_id"] for row in found}) == len(found) == len(expected)
    assert Counter(
        (row["kind"], row["user"], row["item"], row["event_time"], *frozen(row)) for row in found
    ) == Counter((*key[:4], *frozen(row)) for key, row in expected.items())
    for split in ("train", "valid", "test"):  # the log is rich enough to say something
        assert any(row["split"] == split and row["next_item"] and row["history"] for row in expected.values())


def test_any_event_type_may_answer_an_exposure(spark):
    """What has no column of its own stands among the named labels, and means what a favourite does."""
    events, reviews, _ = random_log(3)
    usual = settings_of(choices={"favourite": 12, "click": 6})
    strengths = {name.replace("favourite", "share"): strength for name, strength in STRENGTHS.items()}
    behaviour = usual.clean.behaviour.model_copy(update={"strengths": strengths})
    positives = [name.replace("favourite", "share") for name in usual.examples.positives]
    own = usual.examples.model_copy(update={"choices": {"share": 12.0, "click": 6.0}, "positives": positives})
    clean = usual.clean.model_copy(update={"behaviour": behaviour})
    settings = parse_settings(usual.model_copy(update={"clean": clean, "examples": own}).model_dump(mode="json"))
    shared = [row | {"event_type": row["event_type"].replace("favourite", "share")} for row in events]

    def told(rows, label):
        """By exposure; what one says of the rest."""
        return {
            (row["user"], row["item"], row["event_time"]): (label(row), row["click"], row["split"], row["history"])
            for row in rows
            if row["kind"] == "exposure"
        }

    found = build(spark, shared, reviews, settings)
    expected = told(build(spark, events, reviews, usual), lambda row: row["favourite"])
    assert told(found, lambda row: row["labels"].get("share")) == expected
    assert {label for label, *_ in expected.values()} >= {0.0, 1.0}
    assert all(
        row["favourite"] is None and not (row["labels"] if row["kind"] == "interaction" else {}) for row in found
    )


def test_where_all_of_train_is_known_a_random_split_tells_nothing_held_out(spark):
    events, reviews, _ = random_log(11, users=4, items=12)
    rows = build(spark, events, reviews, settings_of(split="random", known="train", valid_share=0.2, test_share=0.2))
    split_of = {(row["user"], row["item"]): row["split"] for row in rows if row["kind"] == "interaction"}
    interactions = [row for row in rows if row["kind"] == "interaction"]
    assert {row["split"] for row in interactions} == {"train", "valid", "test"}
    for row in interactions:
        trained = {item for (user, item), split in split_of.items() if user == row["user"] and split == "train"}
        assert set(row["history"]) == trained - {row["item"]}  # fewer than history_length


def test_what_a_review_says_never_reaches_the_inputs_of_its_own_rows(spark):
    events, reviews, _ = random_log(7, events=120, reviews=40)
    reviews = [row | {"text_hash": sha(row["review_id"])} for row in reviews]
    settings = settings_of(valid_share=0.2, test_share=0.2)
    before = {row["example_id"]: row for row in build(spark, events, reviews, settings)}
    told = Counter(text for row in before.values() for text in row["user_reviews"] + row["item_reviews"])
    target = max(reviews, key=lambda row: told[row["text_hash"]])
    noise = [row | {"text_hash": sha("noise")} if row is target else row for row in reviews]
    after = {row["example_id"]: row for row in build(spark, events, noise, settings)}

    assert before.keys() == after.keys()
    own = [key for key, row in before.items() if (row["user"], row["item"]) == (target["user_id"], target["item_id"])]
    assert {before[key]["kind"] for key in own} >= {"interaction", "review"}
    for key in own:
        for name in {*REFERENCES, "seen", "split", *LABELS}:
            assert before[key][name] == after[key][name]
        assert sha("noise") not in after[key]["user_reviews"] + after[key]["item_reviews"]
        if before[key]["review"] == target["text_hash"]:  # the model leaves it out of the item's pooled reviews
            assert after[key]["review"] == sha("noise")
        else:
            assert before[key]["kind"] == "review"  # another review of the same pair
    assert any(sha("noise") in row["user_reviews"] + row["item_reviews"] for row in after.values())


def test_a_rating_and_the_review_written_with_it_are_one_rating(spark):
    events = [
        event("u", "both", "rating", 2, 4.0),
        event("u", "both", "purchase", 1),
        event("u", "rated again", "rating", 3, 1.0),
        event("u", "rated again", "rating", 5, 2.0),
        event("u", "no stars", "rating", 6),
    ]
    reviews = [review("u", "both", 2, 4.0, "good"), review("u", "only reviewed", 4, 5.0, "best")]
    log, _, items, _ = log_of(spark, events, reviews)
    rows = interactions(log, examples.first_contacts(log, settings_of().examples, tuple(STRENGTHS))).collect()
    names = {index: name for name, index in items.items()} | {None: None}
    rated = [(names[row["item"]], row["rating"], names[row["next_item"]]) for row in rows if row["rating"]]
    assert sorted(rated, key=str) == [
        ("both", 4.0, None),
        ("only reviewed", 5.0, "only reviewed"),
        ("rated again", 1.0, "rated again"),
        ("rated again", 2.0, None),
    ]
    predicted = sorted(names[row["next_item"]] for row in rows if row["next_item"])
    assert predicted == ["both", "no stars", "only reviewed", "rated again"]


def test_a_click_belongs_to_the_latest_view_before_it(spark):
    events = [
        *(event("u", "i", "view", hour) for hour in (0, 10, 30, 100)),
        event("u", "i", "click", 12),  # of the view at 10, not of the one at 0
        event("u", "i", "click", 30),  # of the view at the same time
        event("u", "i", "click", 54 + 0.001),  # more than 24 hours after the view at 30
        event("u", "i", "purchase", 99),  # within 168 hours of the view at 30
        event("u", "j", "view", 0),
        event("u", "j", "click", 24),
        event("u", "k", "view", 50),
        event("u", "k", "click", 49),
        event("v", "i", "click", 1),
    ]
    log, _, items, _ = log_of(spark, events, [])
    rows = exposures(log, {"click": 24.0, "purchase": 168.0}).collect()
    names = {index: name for name, index in items.items()}
    found = {
        (names[row["item"]], (row["event_time"].astimezone(START.tzinfo) - START) // timedelta(hours=1)): (
            row["click"],
            row["purchase"],
        )
        for row in rows
    }
    assert found == {
        ("i", 0): (0.0, 0.0),
        ("i", 10): (1.0, 0.0),
        ("i", 30): (1.0, 1.0),
        ("i", 100): (0.0, 0.0),
        ("j", 0): (1.0, 0.0),
        ("k", 50): (0.0, 0.0),
    }


def test_negatives_are_items_that_the_user_never_had(spark):
    events, reviews, _ = random_log(3, users=4, items=60, events=80, reviews=10)
    events = [row for row in events if row["event_type"] != "view"]
    log, users, items, _ = log_of(spark, events, reviews)
    had = {(users[row["user_id"]], items[row["item_id"]]) for row in [*events, *reviews]}
    chosen = {(row["user_id"], row["item_id"], row["event_type"]) for row in events}

    def draw(seed):
        return [row.asDict() for row in against_random(log, ["click", "purchase"], len(items), 3, seed).collect()]

    rows = draw(1)
    for label, other in (("click", "purchase"), ("purchase", "click")):
        of_label = [row for row in rows if row["event_type"] == label]
        positives = [(row["user"], row["item"]) for row in of_label if row[label] == 1]
        assert len(set(positives)) == len(positives) == sum(type_ == label for *_, type_ in chosen)
        assert all((row["user"], row["item"]) in had for row in of_label if row[label] == 1)
        negatives = [row for row in of_label if row[label] == 0]
        assert Counter(row["key"] for row in negatives) == {
            pair_hash(u, i): 3 for u, i, type_ in chosen if type_ == label
        }
        assert not had & {(row["user"], row["item"]) for row in negatives}
        assert all(1 <= row["item"] <= len(items) for row in negatives)
        assert len({(row["key"], row["item"]) for row in negatives}) == len(negatives)
        assert all(row[other] is None for row in of_label)
    assert sorted(rows, key=str) == sorted(draw(1), key=str) != sorted(draw(2), key=str)


def test_a_random_split_keeps_a_pair_together_and_its_shares(spark):
    rows = (
        spark.range(6000)
        .select(F.md5((F.col("id") % 3000).cast("string")).alias("pair"))
        .withColumns({"event_time": F.current_timestamp(), "given": F.lit(None).cast("int")})
    )
    settings = settings_of(split="random", valid_share=0.2, test_share=0.1).examples
    by_pair = (
        Splitter(settings=settings, seed=1).split(rows).groupBy("pair").agg(F.collect_set("split").alias("splits"))
    )
    splits = [row["splits"] for row in by_pair.collect()]
    assert all(len(found) == 1 for found in splits)
    shares = Counter(found[0] for found in splits)
    assert abs(shares[2] / 3000 - 0.1) < 0.03 and abs(shares[1] / 3000 - 0.2) < 0.03


def test_a_log_without_any_target_is_refused(spark):
    log, *_ = log_of(spark, [event("u", "i", "view")], [])
    with pytest.raises(ConfigError, match=r"examples.targets is \['cart'\], found event types \['view'\]"):
        examples.look_at(log, settings_of(targets=["cart"]))
    with pytest.raises(ConfigError, match=r"no event and no review .* what it rejected and why \(table quarantine\)"):
        examples.look_at(log.where("false"), settings_of())
