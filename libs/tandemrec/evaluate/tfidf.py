"""What a linear model makes of the words of a review: the baseline for tasks that read text.

Runs of one to three words (of Chinese: characters), hashed, weighted by tf-idf with logarithmic term frequency, and
logistic regression with an L2 penalty; a value by ridge regression.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline

from tandemrec.config import Task
from tandemrec.evaluate.problem import Array, Predictions, Problem, labelled
from tandemrec.text.words import words_of

ROWS = 200_000  # that it learns from, drawn at random where there are more: what bounds memory
LONGEST_RUN = 3
COLUMNS = 2**20
PENALTY = 0.1  # 1 / C


def tfidf(problem: Problem) -> Predictions:
    """Answer every review by its words; nothing where the words of reviews are not to be had."""
    tasks = [task for task in problem.tasks if "review" in task.reads]
    learned = {task.name: labelled(problem.learned, task) for task in tasks}
    if problem.texts is None or len(problem.test.user) == 0:
        return Predictions()
    asked = problem.texts(problem.test.review)
    scores = {}
    for task in tasks:
        rows = learned[task.name]
        if len(rows) > ROWS:
            rows = np.sort(np.random.default_rng(0).choice(rows, ROWS, replace=False))
        label = problem.learned.labels[task.column][rows]
        if len(np.unique(label)) > 1:
            scores[task.name] = answer(task, problem.texts(problem.learned.review[rows]), label, asked, problem)
    return Predictions(scores=scores)


def answer(task: Task, texts: Sequence[str], label: Array, asked: Sequence[str], problem: Problem) -> Array:
    """Learn from texts and labels; probabilities (N,) or (N, C), or values (N,), of the texts that are asked about."""
    model = make_pipeline(
        HashingVectorizer(
            tokenizer=words_of,
            token_pattern=None,
            ngram_range=(1, LONGEST_RUN),
            n_features=COLUMNS,
            alternate_sign=False,
            norm=None,
        ),
        TfidfTransformer(sublinear_tf=True),
        _learner(task),
    )
    model.fit(texts, label)
    if task.kind == "regression":
        values: Array = model.predict(asked)
        return values
    given: Array = model.predict_proba(asked)
    if task.kind == "binary":
        return given[:, 1]
    most = int(np.nanmax(np.concatenate([label, problem.test.labels[task.column]])))
    every = np.zeros((len(asked), most + 1))  # a class that training does not have is never told
    every[:, model.classes_.astype(np.int64)] = given
    return every


def _learner(task: Task) -> Any:
    if task.kind == "regression":
        return Ridge(PENALTY, solver="lsqr")
    one = LogisticRegression(C=1 / PENALTY, solver="liblinear", random_state=0)
    return one if task.kind == "binary" else OneVsRestClassifier(one)
