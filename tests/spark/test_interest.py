"""Terms and profiles: examples by hand, a plain account of the weights, and nothing of what comes later."""

import math
import random
from collections import Counter, defaultdict
from datetime import timedelta

import pyarrow as pa
import pytest
from examples_logs import START, review, settings_of, sha, silver

from jobs import build_profiles
from tandemrec import interest
from tandemrec.lake import runs
from tandemrec.lake.types import arrow_schema

NOUNS = ("string", "guitar", "amp", "cable", "pick", "battery")
ENCODER = "0123456789abcdef"


def frame(spark, reviews):
    return spark.createDataFrame(silver("reviews", reviews))


def phrases(spark, reviews, stop_words=()):
    found = defaultdict(set)
    for row in interest.phrases(frame(spark, reviews), stop_words).collect():
        found[row["review_id"].split("-")[1]].add(row["phrase"])
        assert row["word"] in row["phrase"].split()
    return dict(found)


def test_phrases_stand_between_stop_words_and_signs(spark):
    texts = {
        "plain": "The sound quality is great, and the Battery life was too short!",
        "marks": "Snare-drum stand — don’t buy; 2 x 9V battery, model T [url] :thumbs_up_sign: Guitar's neck",
        "own": "acme guitar strings from acme",
        "nothing": "It was good, and so on...",
        "other": "добрый звук, струна",
    }
    reviews = [review(name, "i", 0, 5.0, text) | {"language": "en"} for name, text in texts.items()]
    reviews[-1]["language"] = "other"
    words = ["音质", "好", "琴弦", "性价比", "👍", "100"]
    reviews.append(review("chinese", "i", 0, 5.0, "音质好，琴弦，性价比👍100") | {"language": "zh", "tokens": words})
    assert phrases(spark, reviews, ["Acme"]) == {
        "plain": {"sound quality", "battery life", "short"},
        "marks": {"snare drum stand", "9v battery", "model", "guitar's neck"},
        "own": {"guitar strings"},
        "other": {"добрый звук", "струна"},
        "chinese": {"音质", "琴弦", "性价比"},
    }


def test_a_phrase_that_people_share_counts_as_itself_and_any_other_as_its_words(spark):
    texts = {
        "a": "guitar strings. guitar strings",
        "b": "guitar strings, red guitar",
        "c": "a blue guitar",
        "d": "new long steel strings, odd",
    }
    reviews = frame(spark, [review(user, "i", 0, 5.0, text) for user, text in texts.items()])
    said = interest.phrases(reviews, ["new"])
    terms = interest.vocabulary(said, longest=2, min_users=2, max_terms=10)
    found = {row["term"]: row["users"] for row in terms.collect()}
    assert found == {"guitar": 3, "strings": 3, "guitar strings": 2}
    top = interest.vocabulary(said, longest=2, min_users=1, max_terms=2)
    order = {row["term"]: row["term_index"] for row in interest.numbered(top).collect()}
    assert order == {"guitar": 1, "strings": 2}
    named = defaultdict(list)
    for row in interest.mentions(said, terms).orderBy("term").collect():
        named[row["review_id"].split("-")[1]].append((row["term"], row["users"]))
    assert named == {
        "a": [("guitar strings", 2)],
        "b": [("guitar", 3), ("guitar strings", 2)],
        "c": [("guitar", 3)],
        "d": [("strings", 3)],
    }


def random_reviews(seed, count=60):
    """Reviews of words between stop words; some without stars, some at the same time."""
    draw = random.Random(seed)
    reviews = []
    for number in range(count):
        words = draw.sample(NOUNS, draw.randint(1, 4))
        text = " and the ".join(" ".join(words[n : n + 2]) for n in range(0, len(words), 2)) + f" for {number}"
        stars = draw.choice([1.0, 2.0, 4.0, 5.0, None])
        row = review(f"u{draw.randrange(7)}", f"i{draw.randrange(9)}", draw.randrange(80) * 24, stars, text)
        reviews.append(row | {"review_id": f"r{number}", "language": draw.choice(["en", "en", "other"])})
    for row in reviews:  # `other` ends phrases at signs alone
        if row["language"] == "other":
            row["clean_text"] = row["clean_text"].replace(" and the ", ", ").replace(" for ", ", ")
    return reviews


def expected_profiles(reviews, options):
    """Keywords by user, in plain Python: loops over all for everything."""

    def cut(row):
        text = row["clean_text"].replace(" and the ", ",").replace(" for ", ",")
        return [part.strip().split() for part in text.split(",") if not part.strip().isdigit()]

    users = defaultdict(set)
    for row in reviews:
        for words in cut(row):
            for term in [*words, *([" ".join(words)] if 1 < len(words) <= options.longest else [])]:
                users[term].add(row["user_id"])
    terms = {term: len(by) for term, by in users.items() if len(by) >= options.min_users}
    everybody = {row["user_id"] for row in reviews}
    profiles = {}
    for user in everybody:
        own = [row for row in reviews if row["user_id"] == user]
        newest = max(row["review_time"] for row in own)
        stars = [(row["rating"] - 3) / 2 for row in own if row["rating"] is not None]
        mood = sum(stars) / len(stars) if stars else None
        keywords = []
        for term, by in terms.items():
            naming = []
            for row in own:
                counted = set()
                for words in cut(row):
                    whole = " ".join(words)
                    counted |= {whole} if len(words) > 1 and whole in terms else {w for w in words if w in terms}
                if term in counted:
                    naming.append(row)
            if len(naming) < max(1, options.min_count):
                continue
            tf = sum(0.5 ** ((newest - r["review_time"]) / timedelta(days=options.half_life)) for r in naming)
            said = [(r["rating"] - 3) / 2 for r in naming if r["rating"] is not None]
            sentiment = None
            if mood is not None and len(said) + options.prior > 0:
                sentiment = (sum(said) + options.prior * mood) / (len(said) + options.prior)
            idf = math.log((1 + len(everybody)) / (1 + by)) + 1
            last = max(r["review_time"] for r in naming)
            keywords.append((term, tf * idf, sentiment, len(naming), last))
        total = sum(weight for _, weight, *_ in keywords)
        shares = [(term, round(weight / total, 6), *rest) for term, weight, *rest in keywords]
        shares.sort(key=lambda one: (-one[1], one[0]))
        profiles[user] = (len(own), shares[: options.max_keywords])
    return profiles


@pytest.mark.parametrize(
    "options",
    [
        {"max_keywords": 4, "half_life": 20.0},
        {"half_life": 5.0, "min_count": 2, "min_users": 3, "longest": 1, "prior": 0.0},
    ],
    ids=["few, decaying", "rare ones left out"],
)
def test_weights_and_sentiment_agree_with_a_plain_account_of_them(spark, options):
    settings = settings_of().model_copy(update={"profiles": settings_of().profiles.model_copy(update=options)})
    written = random_reviews(len(options))
    reviews = frame(spark, written)
    said = interest.phrases(reviews, [])
    profiles = settings.profiles
    terms = interest.vocabulary(
        said, longest=profiles.longest, min_users=profiles.min_users, max_terms=profiles.max_terms
    )
    named = interest.mentions(said, terms)
    rows = interest.user_profiles(reviews, named, profiles, settings.clean).collect()
    expected = expected_profiles(written, profiles)
    assert {row["user_id"] for row in rows} == expected.keys()
    assert any(len(keywords) > 2 for _, keywords in expected.values())
    for row in rows:
        count, keywords = expected[row["user_id"]]
        assert row["reviews"] == count
        languages = Counter(r["language"] for r in written if r["user_id"] == row["user_id"]).most_common()
        assert row["language"] == min(name for name, n in languages if n == languages[0][1])
        found = [keyword.asDict() for keyword in row["keywords"]]
        assert [(one["term"], one["count"]) for one in found] == [(term, count) for term, _, _, count, _ in keywords]
        for one, (_, weight, sentiment, _, last) in zip(found, keywords, strict=True):
            assert one["weight"] == pytest.approx(weight, abs=2e-6)
            assert one["sentiment"] == pytest.approx(sentiment, abs=2e-6)
            assert one["last_time"].astimezone(START.tzinfo) == last


@pytest.fixture
def filled(lake):
    """A lake with random reviews, of which the first three in five are of the training split, and two encoders."""
    written = random_reviews(5)
    for row in written:
        row["text_hash"] = sha(row["clean_text"])
    written.sort(key=lambda row: row["review_time"])
    draw = random.Random(1)
    hashes = sorted(row["text_hash"] for row in written)
    index = {text: n for n, text in enumerate(hashes, 1)}
    vectors = {text: [draw.random() for _ in range(3)] for text in hashes}
    example = {"item": 1, "history": [], "user_reviews": [], "item_reviews": [], "seen": []}
    examples = [
        example
        | {
            "example_id": f"{kind}{n}",
            "kind": kind,
            "event_time": row["review_time"],
            "user": 1 + int(row["user_id"][1:]),
            "review": index[row["text_hash"]],
        }
        | {"split": "train" if (n < 36) == (kind == "review") else "test"}
        for n, row in enumerate(written)
        for kind in ("review", "interaction")
    ]
    tables = {
        "users_vocabulary": [{"user_id": f"u{n}", "user_index": 1 + n} for n in range(7)],
        "texts_vocabulary": [{"text_hash": text, "text_index": n} for text, n in index.items()],
        "examples": examples,
        "text_vectors": [{"text_hash": h, "encoder": ENCODER, "vector": v} for h, v in vectors.items()]
        + [{"text_hash": h, "encoder": "another", "vector": [9.0]} for h in hashes],
    }
    lake.overwrite("reviews", silver("reviews", written))
    for name, rows in tables.items():
        schema = arrow_schema(lake.table(name))
        lake.overwrite(name, pa.Table.from_pylist([{f: row.get(f) for f in schema.names} for row in rows], schema))
    runs.record(lake, runs.Run(
        run_id="e", stage="embed", status="done", started_at=START, seconds=1.0, inputs={}, outputs={},
        config_hash="", code_version="", figures={"encoder": ENCODER},
    ))  # fmt: skip
    return lake, settings_of(lake.root), written, vectors


def test_the_stage_learns_terms_from_training_and_knows_nothing_of_later_reviews(spark, filled, capsys):
    lake, settings, written, vectors = filled
    figures = build_profiles.run(spark, settings)
    assert figures["user_profiles"] == len({row["user_id"] for row in written})
    profiles = {row["user_id"]: row for row in lake.read("user_profiles").to_pylist()}
    expected = expected_profiles(written, settings.profiles)
    for user, (_, keywords) in expected.items():
        assert [one["term"] for one in profiles[user]["keywords"]] == [term for term, *_ in keywords]
        own = [row for row in written if row["user_id"] == user]
        newest = max(row["review_time"] for row in own)
        weights = [0.5 ** ((newest - row["review_time"]) / timedelta(days=365)) for row in own]
        pooled = [
            sum(w * vectors[row["text_hash"]][n] for w, row in zip(weights, own, strict=True)) / sum(weights)
            for n in range(3)
        ]
        assert profiles[user]["vector"] == pytest.approx(pooled, abs=1e-5)
        assert profiles[user]["encoder"] == ENCODER and profiles[user]["as_of"] is None

    # Terms are those of the training reviews; every text has those of them that it names.
    texts = {row["text_index"]: row["text_hash"] for row in lake.read("texts_vocabulary").to_pylist()}
    users = defaultdict(set)
    for row in written[:36]:
        for noun in NOUNS:
            if noun in row["clean_text"].split() or noun + "," in row["clean_text"].split():
                users[noun].add(row["user_id"])
    terms = {row["term"]: row for row in lake.read("terms_vocabulary").to_pylist()}
    for noun in NOUNS:
        assert (len(users[noun]) if len(users[noun]) > 1 else None) == (terms[noun]["users"] if noun in terms else None)
    assert sorted(row["term_index"] for row in terms.values()) == list(range(1, len(terms) + 1))
    names = {row["term_index"]: term for term, row in terms.items()}
    for row in lake.read("text_terms").to_pylist():
        said = next(r["clean_text"] for r in written if r["text_hash"] == texts[row["text_index"]])
        assert all(names[index] in said for index in row["terms"]) and row["terms"] == sorted(set(row["terms"]))

    # A run again changes nothing; at a moment later reviews do not count, whoever wrote them.
    before = {name: lake.version(name) for name in ("terms_vocabulary", "text_terms", "user_profiles")}
    assert build_profiles.run(spark, settings) == figures
    assert {name: lake.version(name) for name in before} == before
    moment = sorted(row["review_time"] for row in written)[len(written) // 2]
    earlier = [row for row in written if row["review_time"] < moment]
    past = expected_profiles(earlier, settings.profiles)
    user = max(past, key=lambda user: past[user][0])
    row = build_profiles.profile_as_of(spark, settings, user, moment)
    assert (row["reviews"], [one["term"] for one in row["keywords"]]) == (
        past[user][0], [term for term, *_ in past[user][1]],
    )  # fmt: skip
    lake.overwrite("reviews", silver("reviews", earlier))
    assert build_profiles.profile_as_of(spark, settings, user, moment) == row
    assert build_profiles.profile_as_of(spark, settings, "nobody", moment) is None


def test_who_writes_in_the_test_split_what_others_wrote_in_training_makes_no_term(spark, filled):
    """The zither is one person's of training, though another wrote the very same of it later; the lute two people's."""
    lake, settings, written, _ = filled
    said = [("u0", "zither", "train"), ("u1", "zither", "test"), ("u2", "lute", "train"), ("u3", "lute", "train")]
    more = [review(user, f"x{n}", n, 5.0, f"the {noun}") for n, (user, noun, _) in enumerate(said)]
    number = {"zither": 1001, "lute": 1002}
    texts = [{"text_hash": sha(f"the {noun}"), "text_index": index} for noun, index in number.items()]
    like = next(row for row in lake.read("examples").to_pylist() if row["kind"] == "review")
    rows = [
        like | {"example_id": f"x{n}", "user": 1 + int(user[1:]), "review": number[noun], "split": split}
        for n, (user, noun, split) in enumerate(said)
    ]
    lake.overwrite("reviews", silver("reviews", [*written, *more]))
    for name, added in (("texts_vocabulary", texts), ("examples", rows)):
        lake.merge(name, pa.Table.from_pylist(added, arrow_schema(lake.table(name))))
    build_profiles.run(spark, settings)
    terms = {row["term"]: row["users"] for row in lake.read("terms_vocabulary").to_pylist()}
    assert "zither" not in terms and terms["lute"] == 2


def test_a_profile_of_a_moment_tells_times_in_utc(spark, lake):
    """Wherever the machine stands: its own time just after midnight may be of the day before."""
    written = [review(user, "i", hour, 5.0, "guitar") for user, hour in (("a", 0), ("b", 1), ("a", 9))]
    lake.overwrite("reviews", silver("reviews", written))
    moment = START + timedelta(hours=9)
    row = build_profiles.profile_as_of(spark, settings_of(lake.root), "a", moment)
    assert (row["reviews"], row["as_of"]) == (1, moment)
    assert [(one["term"], one["last_time"]) for one in row["keywords"]] == [("guitar", START)]


def test_reviews_of_long_ago_count_next_to_nothing_and_break_nothing(spark):
    """Twenty years at a half-life of a day: the newest review names no term, and the encoder failed on it."""
    options = {"half_life": 1.0, "min_users": 1}
    settings = settings_of().model_copy(update={"profiles": settings_of().profiles.model_copy(update=options)})
    written = [review("a", "i", 0, 5.0, "an old guitar"), review("a", "j", 20 * 365 * 24, 1.0, "it was so")]
    reviews = frame(spark, written)
    said = interest.phrases(reviews, ["old"])
    named = interest.mentions(said, interest.vocabulary(said, longest=1, min_users=1, max_terms=9))
    row = interest.user_profiles(reviews, named, settings.profiles, settings.clean).first()
    assert [(one["term"], one["weight"]) for one in row["keywords"]] == [("guitar", 1.0)]
    vectors = spark.createDataFrame([(sha("an old guitar"), [0.6, 0.8])], "text_hash string, vector array<float>")
    assert interest.pooled(reviews, vectors, 1.0).first()["vector"] == pytest.approx([0.6, 0.8])


def test_a_lake_without_reviews_has_no_profiles(spark, lake):
    figures = build_profiles.run(spark, settings_of(lake.root))
    assert figures == {"terms_vocabulary": 0, "text_terms": 0, "user_profiles": 0}
