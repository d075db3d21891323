"""How far a mean may be trusted: the percentile bootstrap (Efron 1979), over people where their rows go together."""

from typing import Any

import numpy as np
import numpy.typing as npt

DRAWS_AT_ONCE = 4_000_000  # numbers held in memory, 64 MB

Array = npt.NDArray[Any]


def bootstrap_interval(values: Array, resamples: int, seed: int, owners: Array | None = None) -> tuple[float, float]:
    """The 95% interval of the mean of values: 2.5% and 97.5% quantiles of the means of resamples.

    Values of one owner are drawn together (the cluster bootstrap): what somebody's rows have in common would else be
    taken for so many rows' agreement, and the interval come out too narrow.

    Drawing with replacement is drawing how often each distinct thing comes, so that hit rates and the like, with their
    few distinct values, cost next to nothing however many queries there are.

    Args:
        values: (Q,), at least one.
        resamples: number of resamples, at least one.
        seed: the same seed gives the same interval.
        owners: (Q,) whose each value is, any numbers; default: each stands for itself.
    """
    if len(values) == 0 or resamples < 1:
        raise ValueError(f"{len(values)} values and {resamples} resamples, expected at least one of each")
    drawn = sums_and_counts(values, owners)
    distinct, times = np.unique(drawn, return_counts=True)
    few = len(distinct) * 10 < len(drawn)
    drawn_at_once = len(distinct) if few else len(drawn)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, DRAWS_AT_ONCE // drawn_at_once)
    for start in range(0, resamples, step):
        chunk = slice(start, min(start + step, resamples))
        size = chunk.stop - start
        if few:
            total = generator.multinomial(len(drawn), times / len(drawn), size) @ distinct
        else:
            total = drawn[generator.integers(len(drawn), size=(size, len(drawn)))].sum(axis=1)
        means[chunk] = total.real / total.imag
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def standard_error(values: Array, owners: Array | None = None) -> float:
    """Of the mean of values (Q,), those of one owner going together: that of a ratio of sums to counts (Cochran 1977,
    equation 6.9). Of one owner alone it is 0, for nothing tells.
    """
    parts = sums_and_counts(values, owners)
    residuals, people = parts.real - parts.imag * values.mean(), len(parts)
    return float(np.sqrt(people / max(1, people - 1) * np.square(residuals).sum()) / len(values))


def sums_and_counts(values: Array, owners: Array | None) -> Array:
    """Of each owner the sum of the values and, as the imaginary part, their number."""
    if owners is None:
        return values.astype(np.float64) + 1j
    _, place = np.unique(owners, return_inverse=True)
    sums: Array = np.bincount(place, weights=values) + 1j * np.bincount(place)
    return sums
