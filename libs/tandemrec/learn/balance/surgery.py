"""Methods that change the gradients of the shared parameters where tasks disagree.

Each step they make is a sum of the tasks' gradients, and which one depends on nothing but their inner products: all is
computed from the Gram matrix, a few numbers, however many parameters there are.

Shapes: K tasks with labels in the step; g_k their gradients, G the inner products.
"""

import numpy as np
import torch
from torch import Tensor

from tandemrec.learn.balance.balancer import Balancer

ENOUGH = 1e-12  # of the largest squared norm: what a step of the solver has to gain
ROUNDS = 1000


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
        if least == 0:
            return torch.from_numpy(mean)
        radius = self.settings.radius * np.sqrt(max(mean @ to_mean, 0.0))
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
    """Weights w >= 0 that sum to 1 with the least w Q w / 2 + b w: the pair of weights that gains most from an
    exchange is exchanged until none gains (Platt's sequential minimal optimisation).
    """
    count = len(linear_K)
    weights = np.full(count, 1 / count) if start_K is None else start_K.copy()
    enough = ENOUGH * max(np.abs(quadratic_KK).max(), np.abs(linear_K).max(), 1e-300)
    for _ in range(ROUNDS):
        slope = quadratic_KK @ weights + linear_K
        to = int(slope.argmin())
        giver = int(np.where(weights > 0, slope, -np.inf).argmax())
        gain = slope[giver] - slope[to]
        if gain <= enough:
            break
        bend = quadratic_KK[to, to] + quadratic_KK[giver, giver] - 2 * quadratic_KK[to, giver]
        moved = weights[giver] if bend <= 0 else min(weights[giver], gain / bend)
        weights[to] += moved
        weights[giver] = 0.0 if moved == weights[giver] else weights[giver] - moved
    return weights
