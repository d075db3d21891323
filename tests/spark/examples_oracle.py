"""What the examples stage shall give, said once more in plain Python: slow loops over the whole log for every row."""

import hashlib
import math
from collections import defaultdict
from datetime import datetime, timedelta

import numpy as np

RANK = {"train": 0, "valid": 1, "test": 2}
ORDER = ["view", "click", "favourite", "cart", "purchase", "rating", "review"]


LABELS = ("next_item", "click", "favourite", "cart", "purchase", "rating", "sentiment", "stars", "category")


def pair_hash(user, item):
    return hashlib.md5(f"{user}|{item}".encode()).hexdigest()


def expected_examples(events, reviews, categories, options):
    """Rows by (kind, user_id, item_id, time, event type, review_id), with ids and text hashes in place of indices.

    Not for options.negatives: what is drawn at random has tests of its own.
    """
    happened = everything(events, reviews)
    given = options.split == "given"
    timeless = options.known == "train" or (given and all(time.year == 1970 for *_, time, _ in happened))

    positives = first_contacts(happened, options.positives, given)
    targets = first_contacts(happened, options.targets or options.positives, given)
    own_review = first_reviews(reviews)
    split_of = split_rule(targets, options, given)

    def before(user, item, kind, time):
        """Is a moment of the same user before the row's? The declared order; for exposures the time alone."""
        if timeless:
            return lambda other, when: True
        if kind == "exposure":
            return lambda other, when: when < time
        return lambda other, when: (when, pair_hash(user, other)) < (time, pair_hash(user, item))

    def known(user, item, kind, time, split):
        is_before = before(user, item, kind, time)
        past = [
            (c[0], pair_hash(u, i), i)
            for (u, i), c in positives.items()
            if u == user and is_before(i, c[0]) and (not timeless or (c[1] == 0 and (i != item or split != "train")))
        ]
        train = [r for r in own_review.values() if not timeless or (r["split"] or "train") == "train"]
        mine = [
            (r["review_time"], pair_hash(user, r["item_id"]), r["text_hash"])
            for r in train
            if r["user_id"] == user and r["item_id"] != item and is_before(r["item_id"], r["review_time"])
        ]
        others = [
            (r["review_time"], pair_hash(r["user_id"], item), r["text_hash"])
            for r in train
            if r["item_id"] == item and r["user_id"] != user and (timeless or r["review_time"] < time)
        ]
        own = own_review.get((user, item))
        return {
            "history": [i for *_, i in sorted(past)][-options.history_length :],
            "user_reviews": [t for *_, t in sorted(mine)][len(mine) - min(len(mine), options.user_reviews) :],
            "item_reviews": [t for *_, t in sorted(others)][len(others) - min(len(others), options.item_reviews) :],
            "review": own["text_hash"] if own else None,
        }

    def had_before(user, item, time, split):
        def earlier(other, contact):
            if given:
                return contact[1] < RANK[split]
            return (contact[0], pair_hash(user, other)) < (time, pair_hash(user, item))

        owned = [(c[0], pair_hash(u, i), i) for (u, i), c in targets.items() if u == user and earlier(i, c)]
        return [i for *_, i in sorted(owned)]

    newest = max(time for *_, time, _ in happened)
    rows = {}
    empty = dict.fromkeys(LABELS)

    def interaction(user, item, type_, time, source_split):
        split = split_of(user, item, time, source_split)
        key = ("interaction", user, item, time, type_, "")
        if key not in rows:
            rows[key] = {**empty, **known(user, item, "interaction", time, split), "split": split, "seen": []}
        return rows[key]

    for (user, item), (time, rank, _, type_) in targets.items():
        row = interaction(user, item, type_, time, list(RANK)[rank])
        row["next_item"] = item
        if row["split"] != "train":
            row["seen"] = had_before(user, item, time, row["split"])
    rated = {(e["user_id"], e["item_id"]) for e in events if e["event_type"] == "rating" and e["value"] is not None}
    for e in events:
        if e["event_type"] == "rating" and e["value"] is not None:
            row = interaction(e["user_id"], e["item_id"], "rating", e["event_time"], e["split"])
            row["rating"] = e["value"]
    for r in reviews:
        if r["rating"] is not None and (r["user_id"], r["item_id"]) not in rated:
            interaction(r["user_id"], r["item_id"], "review", r["review_time"], r["split"])["rating"] = r["rating"]

    views = [e for e in events if e["event_type"] == "view"] if options.exposure else []
    types = {e["event_type"] for e in events}
    hours = options.choices
    for view in views:
        user, item, time = view["user_id"], view["item_id"], view["event_time"]
        split = split_of(user, item, time, view["split"])
        labels = {}
        for label in hours.keys() & types:
            labels[label] = 0.0
            hits = [
                e
                for e in events
                if (e["user_id"], e["item_id"], e["event_type"]) == (user, item, label)
                and timedelta(0) <= e["event_time"] - time <= timedelta(hours=hours[label])
                and not any(
                    (v["user_id"], v["item_id"]) == (user, item) and time < v["event_time"] <= e["event_time"]
                    for v in views
                )
            ]
            if hits:
                told = min(hits, key=lambda e: e["event_time"])
                told_split = split_of(user, item, told["event_time"], told["split"])
                labels[label] = 1.0 if RANK[told_split] <= RANK[split] else None
            over = time + timedelta(hours=hours[label])
            if options.open_windows == "leave" and (
                over > newest or split_of(user, item, over, view["split"]) != split
            ):
                labels[label] = None
        if any(value is not None for value in labels.values()):
            refs = known(user, item, "exposure", time, split)
            rows["exposure", user, item, time, "view", ""] = {**empty, **labels, **refs, "split": split, "seen": []}
    for r in reviews:
        stars = r["rating"]
        rows["review", r["user_id"], r["item_id"], r["review_time"], "review", r["review_id"]] = {
            **empty,
            "split": split_of(r["user_id"], r["item_id"], r["review_time"], r["split"]),
            "history": [],
            "user_reviews": [],
            "item_reviews": [],
            "seen": [],
            "review": r["text_hash"],
            "sentiment": None if stars is None or 2 < stars < 4 else float(stars >= 4),
            "stars": None if stars is None or stars < 0 else float(math.floor(stars + 0.5)),
            "category": categories.get(r["item_id"]),
        }
    return rows


def split_rule(targets, options, given):
    """(user, item, time, source's split) -> split."""
    if given:
        return lambda user, item, time, split: split or "train"
    if options.split == "time":
        minutes = [int(time.timestamp()) // 60 for time, *_ in targets.values()]
        shares = [1 - options.valid_share - options.test_share, 1 - options.test_share]
        epoch = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
        valid, test = (epoch + timedelta(seconds=float(np.floor(q * 60))) for q in np.quantile(minutes, shares))
        return lambda user, item, time, split: "test" if time >= test else "valid" if time >= valid else "train"
    assert options.split == "leave_one_out"
    order = defaultdict(list)
    for (user, item), (time, *_) in targets.items():
        order[user].append((time, pair_hash(user, item)))

    def leave_one_out(user, item, time, split):
        moments = sorted(order[user])
        if len(moments) < 3 or (time, pair_hash(user, item)) < moments[-2]:
            return "train"
        return "valid" if (time, pair_hash(user, item)) < moments[-1] else "test"

    return leave_one_out


def everything(events, reviews):
    happened = [(e["user_id"], e["item_id"], e["event_type"], e["event_time"], e["split"]) for e in events]
    return happened + [(r["user_id"], r["item_id"], "review", r["review_time"], r["split"]) for r in reviews]


def first_contacts(happened, types, given):
    """By pair, the earliest contact: (time, split, type order, type)."""
    found = defaultdict(list)
    for user, item, type_, time, split in happened:
        if type_ in types:
            rank = RANK[split or "train"] if given else 0
            found[user, item].append((time, rank, ORDER.index(type_), type_))
    return {pair: min(contacts) for pair, contacts in found.items()}


def first_reviews(reviews):
    """By pair, its first review."""
    found = {}
    for r in sorted(reviews, key=lambda r: (r["review_time"], r["review_id"])):
        found.setdefault((r["user_id"], r["item_id"]), r)
    return found


def encoded(given, encodings, indices):
    """Attributes as (name, numbers), in the order of the settings."""
    rows = []
    for name, encoding in encodings.items():
        index = indices.get(("attributes_vocabulary", name, given.get(name, "").strip().lower()), 0)
        size = sum(key[:2] == ("attributes_vocabulary", name) for key in indices)
        rows.append((name, [index] if encoding == "index" else [int(place == index) for place in range(1, size + 1)]))
    return rows


def expected_features(events, reviews, items, options, indices):
    """gold.item_features and gold.user_features by index, for a split by time and prices 1, 2, 3, ...

    Args:
        indices: by (table, id) or (table, attribute, value).
    """
    happened = everything(events, reviews)
    positives = first_contacts(happened, options.positives, False)
    targets = first_contacts(happened, options.targets or options.positives, False)
    split_of = split_rule(targets, options, False)
    written = sorted(
        (r["review_time"], pair_hash(*pair), pair, indices["texts_vocabulary", r["text_hash"]])
        for pair, r in first_reviews(reviews).items()
    )
    of_items = {}
    for number, item in enumerate(items):
        name = item["item_id"]
        category = " > ".join(item["category"] or ())
        trained = [text for time, _, (u, i), text in written if i == name and split_of(u, i, time, None) == "train"]
        of_items[indices["items_vocabulary", name]] = {
            "category": indices.get(("attributes_vocabulary", "category", category), 0),
            "brand": indices["attributes_vocabulary", "brand", item["brand"]],
            "price": 1 + sum(np.quantile(range(1, len(items) + 1), n / 10) < number + 1 for n in range(1, 10)),
            "text": indices["texts_vocabulary", item["text_hash"]],
            "reviews": trained[::-1][: options.item_reviews],
            "interactions": sum(i == name and split_of(u, i, c[0], None) == "train" for (u, i), c in targets.items()),
            "attributes": encoded(item["attributes"] or {}, options.attributes, indices),
        }

    def in_order(contacts, user):
        mine = sorted(
            (c[0], pair_hash(u, i), indices["items_vocabulary", i]) for (u, i), c in contacts.items() if u == user
        )
        return [index for *_, index in mine]

    of_users = {
        index: {
            "history": in_order(positives, user)[-options.history_length :],
            "reviews": [text for *_, (u, _), text in written if u == user][-options.user_reviews :],
            "seen": in_order(targets, user),
        }
        for (table, user, *_), index in indices.items()
        if table == "users_vocabulary"
    }
    return of_items, of_users
