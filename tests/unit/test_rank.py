from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import torch

from tandemrec.config.preparing import CleanSettings
from tandemrec.rank.disliked import Disliked
from tandemrec.rank.retrieval import mask_seen_, nearest_own_items, top_items
from tandemrec.rank.rows import identifiers, latest_of_each_pair, prediction_rows, recommendation_rows

INFINITY = float("inf")


def scores_and_seen(seed, users=40, items=25):
    random = np.random.default_rng(seed)
    scores = random.integers(0, 9, size=(users, items + 1)).astype(np.float32)  # many ties
    scores[:, 0] = -INFINITY
    scores[:, random.choice(np.arange(1, items + 1), 5, replace=False)] = -INFINITY  # no candidates
    seen = [random.choice(np.arange(1, items + 1), size=random.integers(0, items), replace=False) for _ in range(users)]
    return torch.tensor(scores), seen


def masked(scores, seen):
    return mask_seen_(scores.clone(), torch.tensor(np.concatenate(seen)), torch.tensor([len(one) for one in seen]))


def test_top_items_are_those_of_a_full_sort():
    for seed in range(5):
        scores, seen = scores_and_seen(seed)
        items, best = top_items(masked(scores, seen), 7)
        for row, own in enumerate(seen):
            candidates = [
                (-float(score), item) for item, score in enumerate(scores[row]) if score > -INFINITY and item not in own
            ]
            want = sorted(candidates)[:7]
            found = [
                (-score, item) for item, score in zip(items[row].tolist(), best[row].tolist(), strict=True) if item
            ]
            assert [score for score, _ in found] == [score for score, _ in want]
            assert found == sorted(found)
            assert set(found) <= set(candidates)


def test_nobody_is_recommended_what_they_have_seen_however_good_it_is():
    scores = torch.zeros(3, 6)
    scores[:, 0] = -INFINITY
    scores[:, 4] = 100
    items, best = top_items(masked(scores, [np.array([4]), np.array([], dtype=int), np.arange(1, 6)]), 10)
    assert items.tolist() == [[1, 2, 3, 5, 0, 0], [4, 1, 2, 3, 5, 0], [0] * 6]
    assert best[2].eq(-INFINITY).all()


def test_the_reason_is_the_own_item_of_the_smallest_angle_and_nothing_without_history():
    random = torch.Generator().manual_seed(1)
    vectors = torch.randn(30, 8, generator=random)
    history = torch.randint(1, 30, (20, 6), generator=random)
    history[:, :3] *= torch.randint(0, 2, (20, 1), generator=random)  # padded on the left
    history[0] = 0
    items = torch.randint(1, 30, (20, 5), generator=random)
    got = nearest_own_items(vectors, history, items)
    assert got[0].tolist() == [0] * 5
    for row in range(1, 20):
        own = history[row][history[row] > 0]
        for place, item in enumerate(items[row]):
            angles = torch.cosine_similarity(vectors[own], vectors[item][None])
            assert got[row, place] == own[angles.argmax()]


def test_the_last_rating_of_a_pair_in_any_split_says_whether_it_is_disliked():
    def rated(*rows):
        user, item, time, rating = (np.array(column) for column in zip(*rows, strict=True))
        return SimpleNamespace(user=user, item=item, event_time=time, labels={"rating": rating})

    nan = float("nan")
    train = rated((1, 4, 10, 2.0), (1, 5, 10, 3.0), (2, 4, 10, 1.0), (3, 4, 10, nan), (1, 7, 30, 1.0), (1, 7, 20, 5.0))
    test = rated((2, 4, 50, 4.0), (3, 6, 50, 1.0), (1, 4, 60, nan))
    found = Disliked.of([train, test], 2).holds(torch.arange(5).unsqueeze(1), torch.arange(9))
    assert found.nonzero().tolist() == [[1, 4], [1, 7], [3, 6]]
    assert not Disliked.of([], 2).holds(torch.arange(5), torch.arange(5)).any()
    thumbs = Disliked.of(
        [rated((1, 4, 10, 0.0), (1, 5, 10, 1.0))], CleanSettings(rating_min=0, rating_max=1).low_rating
    )
    assert thumbs.holds(torch.arange(5).unsqueeze(1), torch.arange(9)).nonzero().tolist() == [[1, 4]]


USERS = pa.array([None, "ann", "bo", "cy"])
ITEMS = pa.array([None, "i1", "i2", "i3"])


def test_recommended_indices_become_rows_with_identifiers_and_reasons():
    rows = recommendation_rows(
        np.array([2, 3]),
        np.array([[3, 1], [2, 0]]),
        np.array([[0.5, 0.25], [0.75, -INFINITY]]),
        np.array([[2, 2], [0, 0]]),
        USERS,
        ITEMS,
    )
    assert [tuple(row.values()) for row in rows.to_pylist()] == [
        ("bo", 1, "i3", 0.5, "because:i2"),
        ("bo", 2, "i1", 0.25, "because:i2"),
        ("cy", 1, "i2", 0.75, "popular"),
    ]


def test_predicted_pairs_become_rows_with_a_map_of_scores():
    scores = {"click": np.array([0.5, 0.25], np.float32), "rating": np.array([4.0, 2.0], np.float32)}
    rows = prediction_rows(np.array([1, 3]), np.array([2, 1]), scores, USERS, ITEMS).to_pylist()
    assert rows == [
        {"user_id": "ann", "item_id": "i2", "scores": [("click", 0.5), ("rating", 4.0)]},
        {"user_id": "cy", "item_id": "i1", "scores": [("click", 0.25), ("rating", 2.0)]},
    ]


def test_identifiers_stand_at_their_index_whatever_the_order_of_the_table(lake):
    table = pa.table({"item_id": ["c", "a", "b"], "item_index": pa.array([3, 1, 2], pa.int32())})
    lake.merge("items_vocabulary", table)
    assert identifiers(lake, "items").to_pylist() == [None, "a", "b", "c"]


def test_the_latest_row_of_each_pair_is_the_one_that_is_scored():
    random = np.random.default_rng(2)
    user, item, time = (random.integers(0, high, 200) for high in (6, 6, 20))
    rows = np.flatnonzero(random.random(200) < 0.7)
    latest = {}
    for row in sorted(rows, key=lambda r: (time[r], r)):
        latest[user[row], item[row]] = row
    assert latest_of_each_pair(user, item, time, rows).tolist() == sorted(latest.values())
    assert latest_of_each_pair(user, item, time, rows[:0]).tolist() == []
