"""Lift and its interval, against what the metrics themselves say."""

import numpy as np
import pytest

from tandemrec.config import Task
from tandemrec.evaluate.transfer import lift, undominated

TASKS = {
    "next_item": Task(name="next_item", kind="next_item", reads=["user"]),
    "binary": Task(name="click", kind="binary"),
    "multiclass": Task(name="category", kind="multiclass", reads=["review"]),
    "regression": Task(name="rating", kind="regression"),
}


class TestLift:
    def test_better_is_above_zero_whichever_way_the_metric_goes(self):
        alone, joint = np.full((3, 50), 0.5), np.full((3, 50), 0.4)
        assert lift(TASKS["regression"], ["rating"], alone, joint, seed=1).lift == pytest.approx(0.1)
        found = lift(TASKS["binary"], ["click"], alone, joint, seed=1)
        assert found.lift == pytest.approx(-0.1) and found.verdict == "hurts"

    def test_the_interval_holds_the_truth_19_times_of_20(self):
        """Gains of .05 on average, with chance from rows, the same for all seeds, and from seeds."""
        hits, draw = 0, np.random.default_rng(5)
        for _ in range(300):
            gains = 0.05 + draw.normal(0, 0.6, 200) + draw.normal(0, 0.2, (3, 1))
            found = lift(TASKS["binary"], ["click"], np.zeros((3, 200)), gains, seed=6)
            hits += found.low <= 0.05 <= found.high
        assert 0.92 < hits / 300 <= 0.99

    def test_rows_of_one_person_go_together(self):
        """Of 40 people with five rows each the interval holds the truth as often, row by row it does not."""
        hits, by_row, draw = 0, 0, np.random.default_rng(6)
        owner = np.repeat(np.arange(40), 5)
        for _ in range(200):
            gains = 0.05 + draw.normal(0, 0.5, 40)[owner] + draw.normal(0, 0.3, 200) + np.zeros((2, 1))
            found = lift(TASKS["binary"], ["click"], np.zeros((2, 200)), gains, seed=6, owner_N=owner)
            hits += found.low <= 0.05 <= found.high
            found = lift(TASKS["binary"], ["click"], np.zeros((2, 200)), gains, seed=6)
            by_row += found.low <= 0.05 <= found.high
        assert by_row / 200 < 0.8 < 0.9 < hits / 200 <= 0.99

    def test_no_difference_is_said_to_be_none(self):
        gains = np.random.default_rng(7).normal(0, 1, (3, 100))
        gains -= gains.mean()
        found = lift(TASKS["binary"], ["click"], np.zeros((3, 100)), gains, seed=8)
        assert found.low < 0 < found.high and found.verdict == "no difference shown"

    def test_of_ten_people_it_holds_the_truth_as_often(self):
        hits, draw = 0, np.random.default_rng(8)
        for _ in range(1500):
            gains = 0.05 + draw.normal(0, 0.6, (1, 10))
            found = lift(TASKS["binary"], ["click"], np.zeros((1, 10)), gains, seed=6)
            hits += found.low <= 0.05 <= found.high
        assert 0.935 < hits / 1500 < 0.97

    def test_of_too_few_people_or_of_a_rare_answer_nothing_is_said(self):
        """Five rows that all gain, three hundred of three people, and an AUC that rests on nine rows of yes."""
        few = lift(TASKS["regression"], ["rating"], np.ones((3, 5)), np.full((3, 5), 0.5), seed=1)
        assert (few.low, few.high, few.interval) == (None, None, "") and few.verdict == "too few rows to tell"
        assert few.lift == pytest.approx(0.5)
        alone, joint = np.ones((3, 300)), np.full((3, 300), 0.5)
        of_three = lift(TASKS["regression"], ["rating"], alone, joint, seed=1, owner_N=np.arange(300) % 3)
        assert of_three.verdict == "too few rows to tell"
        for rare, verdict in ((9, "too few rows to tell"), (10, "hurts")):
            label = (np.arange(300) < rare).astype(float)
            found = lift(TASKS["binary"], ["click"], alone, joint, seed=1, label_N=label)
            assert found.verdict == verdict, rare


def test_the_front_is_what_nothing_beats():
    draw = np.random.default_rng(9)
    points = [tuple(point) for point in draw.integers(6, size=(40, 2)).tolist()]
    front = undominated(points)
    for number, (x, y) in enumerate(points):
        beaten = any((a >= x and b > y) or (a > x and b >= y) for a, b in points)
        assert (number in front) != beaten
