"""Metrics of a ranked list, one value a query, so that intervals can be drawn over queries.

Shapes: N relevant items over all queries, Q queries.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ranking_metrics(
    ranks: npt.NDArray[np.integer], queries: npt.NDArray[np.integer], cutoffs: Sequence[int]
) -> dict[str, Floats]:
    """Hit rate, recall, NDCG and reciprocal rank at each cut-off k, for each query.

    A query's relevant items are the rows that carry its id, each item once. With binary relevance,
    DCG@k = sum of 1 / log2(1 + rank) over the relevant items with rank <= k, and NDCG@k divides it by the DCG of
    the best possible list, whose first min(k, relevant) places are relevant (Järvelin and Kekäläinen 2002, the
    logarithmic discount of Burges et al. 2005). MRR@k takes the first relevant item and is 0 beyond k.

    Args:
        ranks: (N,) place of each relevant item in its query's list, from 1; 0 where it was no candidate (a miss).
        queries: (N,) id of the query each row belongs to.
        cutoffs: values of k, from 1.

    Returns:
        "hr@k", "recall@k", "ndcg@k", "mrr@k" -> (Q,), in ascending order of the query ids.
    """
    if ranks.shape != queries.shape or ranks.ndim != 1:
        raise ValueError(f"ranks have shape {ranks.shape} and queries {queries.shape}, expected one common (N,)")
    _, query, relevant = np.unique(queries, return_inverse=True, return_counts=True)
    place = np.where(ranks > 0, ranks, np.inf)
    best = np.full(len(relevant), np.inf)
    np.minimum.at(best, query, place)
    discount = 1 / np.log2(1 + place)
    metrics: dict[str, Floats] = {}
    for k in cutoffs:
        hit = place <= k
        hits = np.bincount(query[hit], minlength=len(relevant))
        dcg = np.bincount(query[hit], weights=discount[hit], minlength=len(relevant))
        ideal = np.cumsum(1 / np.log2(np.arange(2, k + 2)))
        metrics[f"hr@{k}"] = (hits > 0).astype(np.float64)
        metrics[f"recall@{k}"] = hits / relevant
        metrics[f"ndcg@{k}"] = dcg / ideal[np.minimum(relevant, k) - 1]
        metrics[f"mrr@{k}"] = np.where(best <= k, 1 / best, 0.0)
    return metrics
