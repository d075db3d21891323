"""How far a mean may be trusted: the percentile bootstrap (Efron 1979)."""

import numpy as np
import numpy.typing as npt

DRAWS_AT_ONCE = 4_000_000  # numbers held in memory, 32 MB


def bootstrap_interval(values: npt.NDArray[np.floating], resamples: int, seed: int) -> tuple[float, float]:
    """The 95% interval of the mean of independent values: 2.5% and 97.5% quantiles of the means of resamples.

    Drawing Q values with replacement is drawing how often each distinct value comes, so that hit rates and the like,
    with their few distinct values, cost next to nothing however many queries there are.

    Args:
        values: (Q,), at least one.
        resamples: number of resamples, at least one.
        seed: the same seed gives the same interval.
    """
    if len(values) == 0 or resamples < 1:
        raise ValueError(f"{len(values)} values and {resamples} resamples, expected at least one of each")
    values = values.astype(np.float64)
    distinct, counts = np.unique(values, return_counts=True)
    few = len(distinct) * 10 < len(values)
    drawn_at_once = len(distinct) if few else len(values)
    generator = np.random.default_rng(seed)
    means = np.empty(resamples)
    step = max(1, DRAWS_AT_ONCE // drawn_at_once)
    for start in range(0, resamples, step):
        chunk = slice(start, min(start + step, resamples))
        size = chunk.stop - start
        if few:
            means[chunk] = generator.multinomial(len(values), counts / len(values), size) @ distinct / len(values)
        else:
            means[chunk] = values[generator.integers(len(values), size=(size, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
