"""The linear autoencoder over items as a baseline.

Shapes: I items, N rows.
"""

import numpy as np
from scipy.sparse import csr_matrix

from tandemrec.config import Task
from tandemrec.ease import LARGEST, PENALTIES, co_occurrence, item_weights
from tandemrec.evaluate.problem import Array, Predictions, Problem, Rows, labelled

ROWS_AT_ONCE = 1024


def ease(problem: Problem) -> Predictions:
    """Rank by what a user has seen, through one weight a pair of items, and what is alike, as all is for whoever has
    seen nothing, by training interactions; of some penalties the one that is best for the mean reciprocal rank in
    validation. Nothing where the catalogue is larger than LARGEST.
    """
    ranks = {}
    for task in problem.tasks:
        known = task.kind == "next_item" and len(labelled(problem.train, task)) > 0
        if known and len(problem.interactions) <= LARGEST:
            gram = _gram(problem.train, task, len(problem.interactions))
            penalty, weights = _chosen(gram, problem, task)
            if problem.refit is not None:
                weights = item_weights(_gram(problem.refit, task, len(problem.interactions)), penalty)
            ranks[task.name] = ease_ranks(weights, problem.interactions, problem.test, task)
    return Predictions(ranks=ranks)


def _chosen(gram_II: Array, problem: Problem, task: Task) -> tuple[float, Array]:
    """The penalty that is best in validation, and the weights that it leads to: the matrices are large, so no more than
    two are held.
    """
    best, weights = PENALTIES[0], item_weights(gram_II, PENALTIES[0])
    if problem.valid is None or len(labelled(problem.valid, task)) == 0:
        return best, weights
    chosen = problem.train.labels[task.column][labelled(problem.train, task)].astype(np.int64)
    known = np.bincount(chosen, minlength=len(problem.interactions))  # validation rows count only once it is over
    worth = _reciprocal(ease_ranks(weights, known, problem.valid, task))
    for penalty in PENALTIES[1:]:
        others = item_weights(gram_II, penalty)
        found = _reciprocal(ease_ranks(others, known, problem.valid, task))
        if found > worth:
            best, weights, worth = penalty, others, found
    return best, weights


def ease_ranks(weights_II: Array, interactions_I: Array, rows: Rows, task: Task) -> Array:
    """Places (N,) of the rows' targets among the items with interactions; 0 for no such item and for rows without the
    label.
    """
    asked = labelled(rows, task)
    ranks = np.zeros(len(rows.user), np.int64)
    seen = _seen(rows, len(weights_II))
    for start in range(0, len(asked), ROWS_AT_ONCE):
        part = asked[start : start + ROWS_AT_ONCE]
        target = rows.labels[task.column][part].astype(np.int64)
        scores = np.asarray(seen[part] @ weights_II)
        own = scores[np.arange(len(part)), target]
        passed = (interactions_I > 0) & ~seen[part].toarray().astype(bool)
        passed[np.arange(len(part)), target] = True
        as_popular = interactions_I >= interactions_I[target][:, None]
        before = (scores > own[:, None]) | ((scores == own[:, None]) & as_popular)
        ranks[part] = np.where(interactions_I[target] > 0, (before & passed).sum(1), 0)
    return ranks


def _gram(rows: Rows, task: Task, items: int) -> Array:
    return co_occurrence(rows.user, rows.labels[task.column], items)


def _seen(rows: Rows, items: int) -> csr_matrix:
    seen, offsets = (column.copy() for column in rows.seen)  # files of examples are read-only
    matrix = csr_matrix((np.ones(len(seen), np.float32), seen, offsets), shape=(len(rows.user), items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _reciprocal(ranks: Array) -> float:
    return float(np.divide(1, ranks, where=ranks > 0, out=np.zeros(len(ranks))).sum())
