"""The linear autoencoder over items: what a catalogue that fits a matrix gets from behaviour alone, in closed form.

Shapes: U users, I items, N rows.
"""

import numpy as np
from scipy.sparse import csr_matrix

from tandemrec.config import Task
from tandemrec.evaluate.problem import Array, Predictions, Problem, Rows, labelled

LARGEST = 12_000  # items: the matrix of weights is this squared, and inverting it this cubed
PENALTIES = (30.0, 100.0, 300.0, 1000.0)
ROWS_AT_ONCE = 1024


def ease(problem: Problem) -> Predictions:
    """Rank by what a user has seen, through one weight a pair of items; of some penalties the one that is best for the
    mean reciprocal rank in validation. Nothing where the catalogue is larger than LARGEST.
    """
    ranks = {}
    for task in problem.tasks:
        known = task.kind == "next_item" and len(labelled(problem.train, task)) > 0
        if known and len(problem.interactions) <= LARGEST:
            gram = _gram(problem.train, task, len(problem.interactions))
            weights = [item_weights(gram, penalty) for penalty in PENALTIES]
            best = 0
            if problem.valid is not None and len(labelled(problem.valid, task)):
                found = [_reciprocal(ease_ranks(one, problem, problem.valid, task)) for one in weights]
                best = int(np.argmax(found))
            chosen = weights[best]
            if problem.refit is not None:
                chosen = item_weights(_gram(problem.refit, task, len(problem.interactions)), PENALTIES[best])
            ranks[task.name] = ease_ranks(chosen, problem, problem.test, task)
    return Predictions(ranks=ranks)


def item_weights(gram_II: Array, penalty: float) -> Array:
    """The matrix B (I, I) of the smallest ||X - X B||^2 + penalty ||B||^2 with zeros on its diagonal: with P the
    inverse of X'X + penalty, B = 1 - P / diag(P) (Steck 2019, equation 8).
    """
    inverse = np.linalg.inv(gram_II + penalty * np.eye(len(gram_II), dtype=gram_II.dtype))
    weights: Array = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def ease_ranks(weights_II: Array, problem: Problem, rows: Rows, task: Task) -> Array:
    """Places (N,) of the rows' targets among the candidates; 0 for no candidate and for rows without the label."""
    asked = labelled(rows, task)
    ranks = np.zeros(len(rows.user), np.int64)
    seen = _seen(rows, len(weights_II))
    for start in range(0, len(asked), ROWS_AT_ONCE):
        part = asked[start : start + ROWS_AT_ONCE]
        target = rows.labels[task.column][part].astype(np.int64)
        scores = np.asarray(seen[part] @ weights_II)
        own = scores[np.arange(len(part)), target]
        passed = (problem.interactions > 0) & ~seen[part].toarray().astype(bool)
        passed[np.arange(len(part)), target] = True
        place = ((scores >= own[:, None]) & passed).sum(1)
        ranks[part] = np.where(problem.interactions[target] > 0, place, 0)
    return ranks


def _gram(train: Rows, task: Task, items: int) -> Array:
    """X'X (I, I), with X (U, I) of what each user has chosen or seen in these rows."""
    rows = labelled(train, task)
    seen, offsets = train.seen
    users = np.concatenate([train.user[rows], np.repeat(train.user, np.diff(offsets))])
    chosen = np.concatenate([train.labels[task.column][rows].astype(np.int64), seen])
    places = np.unique(users.astype(np.int64) * items + chosen)
    who, what = np.divmod(places, items)
    matrix = csr_matrix((np.ones(len(places), np.float32), (who, what)), shape=(int(users.max()) + 1, items))
    gram: Array = (matrix.T @ matrix).toarray()
    return gram


def _seen(rows: Rows, items: int) -> csr_matrix:
    seen, offsets = (column.copy() for column in rows.seen)  # files of examples are read-only
    matrix = csr_matrix((np.ones(len(seen), np.float32), seen, offsets), shape=(len(rows.user), items))
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _reciprocal(ranks: Array) -> float:
    return float(np.divide(1, ranks, where=ranks > 0, out=np.zeros(len(ranks))).sum())
