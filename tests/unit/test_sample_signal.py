"""There is something to learn in the sample: tastes beyond popularity, and feelings in words that are not too plain."""

import json

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline

from tandemrec.sample import generate
from tandemrec.sample.behaviour import CART, CLICK, PURCHASE, VIEW, make_events
from tandemrec.sample.catalogue import make_catalogue
from tandemrec.sample.tastes import affinity, make_tastes

USERS, ITEMS = 1000, 500


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signal") / "out"
    generate(folder, users=USERS, items=ITEMS, events=30_000, reviews=3_000, seed=3)
    found = {}
    for code in ("en", "zh"):
        for line in (folder / "reviews" / f"reviews-{code}.jsonl").read_text(encoding="utf-8").split("\n"):
            try:
                record = json.loads(line)
                found.setdefault((record["uid"], record["sku"]), record | {"language": code})
            except (ValueError, TypeError, KeyError):
                continue
    return [record for record in found.values() if record["stars"] in (1, 2, 3, 4, 5)]


@pytest.fixture(scope="module")
def world():
    rng = np.random.default_rng(3)
    catalogue, tastes = make_catalogue(rng, ITEMS), make_tastes(rng, USERS)
    return catalogue, tastes, make_events(rng, tastes, catalogue, 30_000)


def ndcg_at_10(scores: np.ndarray, seen: np.ndarray, targets: list[tuple[int, int]]) -> float:
    gains = []
    for user, item in targets:
        rank = 1 + np.sum((scores[user] >= scores[user, item]) & ~seen[user]) - 1
        gains.append(1 / np.log2(rank + 1) if rank <= 10 else 0.0)
    return float(np.mean(gains))


def test_items_bought_by_the_same_people_tell_more_than_popularity(world):
    _, _, events = world
    positives = events.take(events.type != VIEW)
    first = np.sort(np.unique(positives.user * ITEMS + positives.item, return_index=True)[1])
    contacts = positives.take(first)  # in the order of time
    cut = int(0.9 * len(contacts))
    seen = np.zeros((USERS, ITEMS), dtype=bool)
    seen[contacts.user[:cut], contacts.item[:cut]] = True
    pairs = zip(contacts.user[cut:].tolist(), contacts.item[cut:].tolist(), strict=True)
    targets = [(user, item) for user, item in pairs if seen[user].any() and seen[:, item].any()]
    together = seen.T.astype(float) @ seen
    norm = np.sqrt(np.diag(together)) + 1e-9
    cosine = together / norm[:, None] / norm[None, :]
    np.fill_diagonal(cosine, 0.0)
    popularity = np.broadcast_to(seen.sum(0).astype(float), seen.shape)
    assert len(targets) > 200
    assert ndcg_at_10(seen @ cosine, seen, targets) > 1.5 * ndcg_at_10(popularity, seen, targets)


def test_clicks_purchases_and_stars_follow_taste_and_quality(world):
    catalogue, tastes, events = world
    liking = affinity(tastes, catalogue, events.user, events.item) + catalogue.quality[events.item]
    pair = events.user * ITEMS + events.item
    for before, after in ((VIEW, CLICK), (CLICK, CART), (CART, PURCHASE)):
        pairs, at = np.unique(pair[events.type == before], return_index=True)
        went_on = np.isin(pairs, pair[events.type == after])
        liked = liking[events.type == before][at]
        assert liked[went_on].mean() > liked[~went_on].mean() + 0.2
    assert np.corrcoef(liking[events.stars > 0], events.stars[events.stars > 0])[0, 1] > 0.5


def test_the_shares_of_stars_and_languages_are_as_in_a_shop(reviews):
    stars = np.array([record["stars"] for record in reviews])
    assert np.mean(stars <= 2) >= 0.2
    assert np.mean(stars >= 4) > 0.55
    assert 0.15 < np.mean([record["language"] == "zh" for record in reviews]) < 0.35
    words = [len(record["body"].split()) for record in reviews if record["language"] == "en"]
    assert 20 < np.mean(words) < 30
    assert max(words) < 75


@pytest.mark.parametrize(("language", "analyser"), [("en", "word"), ("zh", "char")])
def test_sentiment_can_be_learned_but_is_not_given_away(reviews, language, analyser):
    told = [record for record in reviews if record["language"] == language and record["stars"] != 3]
    texts = [f"{record['headline']}. {record['body']}" for record in told]
    positive = np.array([record["stars"] >= 4 for record in told])
    probe = make_pipeline(
        TfidfVectorizer(analyzer=analyser, ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=5.0, class_weight="balanced", max_iter=500),
    )
    assert 0.75 < f1_score(positive, cross_val_predict(probe, texts, positive, cv=4), average="macro") < 0.97
