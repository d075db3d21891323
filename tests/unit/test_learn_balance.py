"""Balancers against what their papers say: two tasks by hand, more by brute force, and what the loop does with them."""

import itertools

import numpy as np
import pytest
import torch

from tandemrec.config import BalanceSettings, Task
from tandemrec.learn.balance import BALANCERS

TASKS = tuple(Task(name=name, kind="binary") for name in "abc")
ROUNDS = range(20)


def of(method: str, count: int, **settings):
    return BALANCERS[method](TASKS[:count], BalanceSettings(method=method, **settings))


def mixed(method: str, gradients: torch.Tensor, seed: int = 0, **settings) -> torch.Tensor:
    """The step that a method makes of gradients (K, P)."""
    gradients = gradients.double()
    balancer = of(method, len(gradients), **settings)
    return balancer.mix(gradients @ gradients.T, np.random.default_rng(seed)) @ gradients


def random_gradients(seed: int, count: int = 3, size: int = 4) -> torch.Tensor:
    """Of very different lengths, as those of tasks are; some seeds conflict, some do not."""
    generator = torch.Generator().manual_seed(seed)
    lengths = 10 ** (2 * torch.rand(count, 1, generator=generator, dtype=torch.float64) - 1)
    return lengths * torch.randn(count, size, generator=generator, dtype=torch.float64)


class TestProjectedConflicts:
    def test_two_tasks_by_hand(self):
        """g1 = (1, 0), g2 = (-1, 1): g1 + 1/2 g2 = (1/2, 1/2), g2 + g1 = (0, 1), together (1/2, 3/2)."""
        step = mixed("pcgrad", torch.tensor([[1.0, 0.0], [-1.0, 1.0]]))
        torch.testing.assert_close(step, torch.tensor([0.5, 1.5]).double())

    def test_what_does_not_conflict_is_added(self):
        torch.testing.assert_close(
            mixed("pcgrad", torch.tensor([[1.0, 0.0], [1.0, 1.0]])), torch.tensor([2.0, 1.0]).double()
        )

    @pytest.mark.parametrize("seed", ROUNDS)
    def test_algorithm_1_on_the_vectors_themselves(self, seed):
        gradients, generator = random_gradients(seed), np.random.default_rng(seed)
        total = torch.zeros(4, dtype=torch.float64)
        for i in range(3):
            own = gradients[i].clone()
            for j in generator.permutation(3):
                if j != i and own @ gradients[j] < 0:
                    own -= (own @ gradients[j]) / (gradients[j] @ gradients[j]) * gradients[j]
            total += own
        torch.testing.assert_close(mixed("pcgrad", gradients, seed), total)


class TestMinimumNorm:
    def test_two_tasks_by_hand(self):
        """Of (2, 0) and (0, 1) the nearest point to 0 is (2/5, 4/5); of (1, 0) and (3, 0) it is an end."""
        torch.testing.assert_close(mixed("mgda", torch.tensor([[2.0, 0], [0, 1]])), torch.tensor([0.4, 0.8]).double())
        torch.testing.assert_close(mixed("mgda", torch.tensor([[1.0, 0], [3, 0]])), torch.tensor([1.0, 0]).double())

    @pytest.mark.parametrize("seed", ROUNDS)
    def test_no_task_gets_worse_and_no_shorter_vector_is_in_the_hull(self, seed):
        gradients = random_gradients(seed)
        step = mixed("mgda", gradients)
        least = (step @ step).item()
        assert (gradients @ step >= least - 1e-9 * (gradients**2).sum(1).max()).all()
        for weights in simplex(40):
            assert ((weights @ gradients) ** 2).sum() >= least - 1e-9


class TestConflictAverse:
    @pytest.mark.parametrize("seed", ROUNDS)
    def test_no_step_in_the_ball_does_more_for_the_task_that_gains_least(self, seed):
        gradients, radius = random_gradients(seed), 0.5
        mean = gradients.mean(0)
        step = mixed("cagrad", gradients, radius=radius)
        assert (step - mean).norm() == pytest.approx(radius * mean.norm().item(), rel=1e-6)
        generator = torch.Generator().manual_seed(seed)
        away = torch.randn(2000, 4, generator=generator, dtype=torch.float64)
        others = mean + radius * mean.norm() * away / away.norm(dim=1, keepdim=True)
        assert (gradients @ step).min() >= (others @ gradients.T).amin(1).max() - 1e-9
        # The dual of the paper, over a grid of weights, has its least value there.
        dual = min(float(w @ gradients @ mean + radius * mean.norm() * (w @ gradients).norm()) for w in simplex(40))
        assert (gradients @ step).min().item() == pytest.approx(dual, rel=0.05)
        assert (gradients @ step).min().item() <= dual + 1e-9

    def test_a_ball_of_nothing_is_the_mean(self):
        gradients = random_gradients(3)
        torch.testing.assert_close(mixed("cagrad", gradients, radius=0.0), gradients.mean(0))

    def test_two_tasks_by_hand(self):
        """(1, 0) and (0, 1): by symmetry g_w is along the mean, and the step is 1 + c times the mean."""
        step = mixed("cagrad", torch.eye(2), radius=0.4)
        torch.testing.assert_close(step, torch.tensor([0.7, 0.7]).double())


@pytest.mark.parametrize("seed", ROUNDS)
def test_tasks_that_all_but_contradict_one_another_are_solved_to_the_end(seed):
    """Two gradients that point against each other to a hundredth, others of other lengths. The least vector is known by
    its products with all of them, which are no less than its own square.
    """
    generator = torch.Generator().manual_seed(seed)
    gradients = torch.randn(4, 8, generator=generator, dtype=torch.float64)
    gradients *= 10 ** (3 * torch.rand(4, 1, generator=generator, dtype=torch.float64) - 1.5)
    gradients[1] = -gradients[0] + 0.01 * gradients[0].norm() * gradients[1] / gradients[1].norm()
    least = mixed("mgda", gradients)
    assert (gradients @ least).min() >= (1 - 1e-6) * least @ least


def simplex(parts: int) -> list[torch.Tensor]:
    """Weights of three tasks, in steps of 1 / parts."""
    places = itertools.product(range(parts + 1), repeat=2)
    return [torch.tensor([i, j, parts - i - j], dtype=torch.float64) / parts for i, j in places if i + j <= parts]


@pytest.mark.parametrize("method", ["pcgrad", "mgda", "cagrad"])
def test_a_lone_task_and_a_gradient_of_zero(method):
    one = torch.tensor([[3.0, 4.0]])
    expected = one[0].double() * (1.5 if method == "cagrad" else 1.0)
    torch.testing.assert_close(mixed(method, one), expected)
    assert torch.isfinite(mixed(method, torch.zeros(2, 3))).all()


class TestUncertainty:
    def test_weights_and_slopes_are_those_of_the_formula(self):
        tasks = (Task(name="stars", kind="regression"), *TASKS[:2])
        balancer = BALANCERS["uncertainty"](tasks, BalanceSettings())
        s = torch.tensor([0.3, -0.7, 2.0], requires_grad=True)
        with torch.no_grad():
            for parameter, value in zip(balancer.log_variance, s, strict=True):
                parameter.copy_(value)
        losses = torch.tensor([1.7, 0.4, torch.nan])
        loss = s[0].neg().exp() / 2 * 1.7 + s[0] / 2 + s[1].neg().exp() * 0.4 + s[1] / 2
        loss.backward()
        torch.testing.assert_close(balancer.weights([]), torch.tensor([0.5, 1, 1]) * (-s.detach()).exp())
        balancer.learn(losses, None)
        first, second, third = balancer.log_variance
        torch.testing.assert_close(torch.stack([first.grad, second.grad]), s.grad[:2])
        assert third.grad is None

    def test_it_settles_at_the_variance_of_the_errors(self):
        """With L = 4 the least of e^-s L / 2 + s / 2 is at s = log 4."""
        balancer = BALANCERS["uncertainty"]((Task(name="stars", kind="regression"),), BalanceSettings())
        optimizer = torch.optim.SGD(balancer.parameters(), lr=0.5)
        for _ in range(100):
            balancer.learn(torch.tensor([4.0]), None)
            optimizer.step()
        assert balancer.log_variance[0].exp().item() == pytest.approx(4.0, rel=1e-4)

    def test_a_task_without_a_label_does_not_move_its_variance(self):
        """Neither by a gradient nor by what AdamW remembers of former ones."""
        balancer = of("uncertainty", 2)
        optimizer = torch.optim.AdamW(balancer.parameters(), weight_decay=0.0)
        found = []
        for losses in ([0.7, 5.0], [0.7, torch.nan], [0.7, torch.nan]):
            balancer.learn(torch.tensor(losses), None)
            optimizer.step()
            found.append(balancer.weights([]).tolist())
        assert found[0][1] == found[1][1] == found[2][1] != 1
        assert len({first for first, _ in found}) == 3


class TestAverageOfChange:
    def test_by_hand(self):
        """Losses 2 -> 1 and 4 -> 4 at temperature 2: 2 softmax(1/4, 1/2)."""
        curve = [{"losses": {"a": 9.0, "b": 9.0}}, {"losses": {"a": 2.0, "b": 4.0}}, {"losses": {"a": 1.0, "b": 4.0}}]
        expected = 2 * np.exp([0.25, 0.5]) / np.exp([0.25, 0.5]).sum()
        np.testing.assert_allclose(of("dwa", 2).weights(curve), expected, rtol=1e-6)

    def test_equal_in_the_first_two_epochs(self):
        for epochs in (0, 1):
            assert of("dwa", 3).weights([{"losses": dict.fromkeys("abc", 1.0)}] * epochs).tolist() == [1, 1, 1]


class TestGradientNorms:
    def test_one_step_by_hand(self):
        """Norms 4 and 1, mean 2.5: 1.6 and .4 of it. Losses at 1/2 and 1 of the first: r = 2/3 and 4/3, alpha 1: the
        first is above its target, the second below, so log w moves by -rate * 1.6 and +rate * .4.
        """
        balancer = of("gradnorm", 2, alpha=1.0, rate=0.01)
        gram = torch.tensor([[16.0, 0], [0, 1]]).double()
        balancer.first = torch.tensor([2.0, 3.0]).double()
        balancer.learn(torch.tensor([1.0, 3.0]), gram)
        expected = torch.tensor([-0.016, 0.004]).exp()
        torch.testing.assert_close(balancer.weights([]), 2 * expected / expected.sum())

    @pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
    @pytest.mark.parametrize("shares", [(1.0, 1.0, 1.0), (0.5, 1.0, 0.9)])
    def test_weights_go_to_their_fixed_point_and_stay_whatever_the_scale_of_a_loss(self, scale, shares):
        """Where w_k |g_k| is in proportion to r_k^alpha; at the default rate and alpha."""
        balancer, norms = of("gradnorm", 3), torch.tensor([scale, 1.0, 0.3]).double()
        balancer.first = torch.ones(3).double()
        shares = torch.tensor(shares).double()
        expected = (shares / shares.mean()) ** BalanceSettings().alpha / norms
        expected *= 3 / expected.sum()
        for step in range(700):
            balancer.learn(shares, torch.diag(norms**2))
            if step >= 600:
                torch.testing.assert_close(balancer.weight, expected, rtol=1e-3, atol=0.0)

    def test_norms_that_differ_from_step_to_step_leave_weights_where_they_are(self):
        """A loss twenty times as large as the other, each norm within a factor of 3 of its middle."""
        balancer, generator = of("gradnorm", 2), torch.Generator().manual_seed(1)
        found = []
        for _ in range(1500):
            noise = 3 ** (2 * torch.rand(2, generator=generator, dtype=torch.float64) - 1)
            balancer.learn(torch.ones(2), torch.diag((torch.tensor([20.0, 1.0]) * noise) ** 2))
            found.append(balancer.weight)
        ratio = torch.stack(found[500:])
        ratio = ratio[:, 1] / ratio[:, 0]
        assert ratio.min() > 10 and ratio.max() < 40

    def test_a_gradient_of_zero_takes_no_weight_from_the_others(self):
        balancer = of("gradnorm", 3)
        for _ in range(100):
            balancer.learn(torch.tensor([1.0, 0.0, 1.0]), torch.diag(torch.tensor([1.0, 0.0, 1.0])).double())
        torch.testing.assert_close(balancer.weights([]), torch.ones(3))

    def test_a_task_without_a_label_keeps_its_weight(self):
        balancer = of("gradnorm", 3)
        balancer.learn(torch.tensor([1.0, torch.nan, 2.0]), torch.diag(torch.tensor([4.0, 0.0, 1.0])).double())
        first, second, third = balancer.weights([]).tolist()
        assert first < 1 == second < third and first + third == pytest.approx(2)
        assert balancer.first.isnan().tolist() == [False, True, False]
