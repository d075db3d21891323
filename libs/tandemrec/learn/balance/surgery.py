"""Methods that change the gradients of the shared parameters where tasks disagree.

Each step they make is a sum of the tasks' gradients, and which one depends on nothing but their inner products: all is
computed from the Gram matrix, a few numbers, however many parameters there are.

Shapes: K tasks with labels in the step; g_k their gradients, G the inner products.
"""

import numpy as np
import torch
from torch import Tensor

from tandemrec.learn.balance.balancer import Balancer

ENOUGH = 1e-12  # of what slopes are made of: what a task has to gain to come in
ROUNDS = 20  # a task


class ProjectedConflicts(Balancer):
    """PCGrad (Yu et al. 2020, algorithm 1): from each task's gradient what contradicts another task's is taken away,
    g_i -= (g_i . g_j) / |g_j|^2 g_j where g_i . g_j < 0, over the others j in random order; the results are added.
    """

    needs_gradients = True

    def mix(self, gram_KK: Tensor, generator: np.random.Generator) -> Tensor:
        gram, count = gram_KK.cpu().numpy(), len(gram_KK)
        parts = np.eye(count)  # row i: of which gradients g_i is made by now
        for i in range(count):
            for j in generator.permutation(count):
                against = parts[i] @ gram[:, j]
                if j != i and against < 0 and gram[j, j] > 0:
                    parts[i, j] -= against / gram[j, j]
        return torch.from_numpy(parts.sum(0))


class MinimumNorm(Balancer):
    """MGDA (Desideri 2012; Sener and Koltun 2018, equation 3): the shortest vector in the convex hull of the gradients,
    min |sum of w_k g_k|^2 over weights w >= 0 that sum to 1. It makes every task better, or there is no such step.
    """

    needs_gradients = True

    def mix(self, gram_KK: Tensor, generator: np.random.Generator) -> Tensor:
        return torch.from_numpy(_least(gram_KK.cpu().numpy(), np.zeros(len(gram_KK))))


class ConflictAverse(Balancer):
    """CAGrad (Liu et al. 2021, algorithm 1): the step d within c |g_0| of the mean gradient g_0 that makes the task
    which gains least gain most. d = g_0 + sqrt(phi) / |g_w| g_w, phi = c^2 |g_0|^2, where g_w = sum of w_k g_k and w
    minimises g_w . g_0 + sqrt(phi) |g_w| over weights w >= 0 that sum to 1.
    """

    needs_gradients = True
    TURNS = 200

    def mix(self, gram_KK: Tensor, generator: np.random.Generator) -> Tensor:
        gram, count = gram_KK.cpu().numpy(), len(gram_KK)
        mean = np.full(count, 1 / count)
        to_mean, least = gram @ mean, 1e-24 * np.trace(gram)
        radius = self.settings.radius * np.sqrt(max(mean @ to_mean, 0.0))
        if least == 0 or radius == 0:
            return torch.from_numpy(mean)
        weights = mean
        # |g_w| = min over s of (s |g_w|^2 + 1 / s) / 2, reached at s = 1 / |g_w|: a quadratic problem for each s.
        for _ in range(self.TURNS):
            norm = np.sqrt(max(weights @ gram @ weights, least))
            before, weights = weights, _least(gram * (radius / norm), to_mean, weights)
            if np.abs(weights - before).max() < 1e-10:
                break
        norm = np.sqrt(max(weights @ gram @ weights, least))
        return torch.from_numpy(mean + radius / norm * weights)


def _least(quadratic_KK: np.ndarray, linear_K: np.ndarray, start_K: np.ndarray | None = None) -> np.ndarray:
    """Weights w >= 0 that sum to 1 with the least w Q w / 2 + b w, by active sets: the best weights of some tasks, all
    others being 0, by a system of equations; a weight that falls to 0 on the way leaves, a task that gains comes in.

    Exchanges between pairs of weights (Platt's sequential minimal optimisation) are simpler, and crawl where tasks
    contradict one another and their gradients are of different lengths.
    """
    count = len(linear_K)
    length = np.sqrt(np.diag(quadratic_KK).clip(min=0))
    length = np.where(length > 0, length, length[length > 0].min(initial=np.inf))
    length = np.where(np.isfinite(length), length, 1.0)
    # Cosines: no task is lost to rounding beside one whose gradient is a million times as long.
    cosines = quadratic_KK / np.outer(length, length)
    weights = np.full(count, 1 / count) if start_K is None else start_K.copy()
    free = weights > 0
    for _ in range(ROUNDS * count):
        aim = np.zeros(count)
        aim[free] = _balanced(cosines[np.ix_(free, free)], linear_K[free] / length[free], length[free])
        if (aim >= 0).all():
            weights = aim
            slope, reach = quadratic_KK @ weights + linear_K, weights @ length
            enough = ENOUGH * ((length + reach) * reach + np.abs(linear_K) + weights @ np.abs(linear_K))
            gain = np.where(free, -np.inf, weights @ slope - slope - enough)
            if gain.max() <= 0:
                break
            free[gain.argmax()] = True
            continue
        falls = np.flatnonzero(aim < 0)
        share = weights[falls] / (weights[falls] - aim[falls])
        weights = (weights + share.min() * (aim - weights)).clip(min=0)
        weights[falls[share.argmin()]] = 0.0
        free = weights > 0
    return weights / weights.sum()


def _balanced(cosines: np.ndarray, linear: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Weights of any sign that sum to 1 with the least w Q w / 2 + b w: x = w |g|, C x + a m = -b / |g|, a x = 1."""
    unit = length.min() / length
    system = np.block([[cosines, unit[:, None]], [unit, np.zeros(1)]])
    found = np.linalg.lstsq(system, np.append(-linear, length.min()))[0][:-1]  # of equal gradients each has a share
    weights: np.ndarray = found / length
    return weights
