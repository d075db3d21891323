"""Stage evaluate: what the newest model is worth on the test split, beside baselines on the same rows and candidates.

The model scores through Ray Data actors; what is gathered here is a few numbers a row. Figures go to gold.metrics under
the training run, so that a rerun changes nothing.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa
from torch import Tensor

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.config.sources import SPLITS
from tandemrec.evaluate import (
    BASELINES,
    LEGEND,
    Array,
    Measured,
    Predictions,
    Problem,
    by_experience,
    comparison_tables,
    measure,
)
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.lake.types import arrow_schema
from tandemrec.learn.feeds import TRAIN_VALID
from tandemrec.learn.reviews import review_texts
from tandemrec.model import MultiTaskModel
from tandemrec.pipeline import stage_main
from tandemrec.rank.actors import row_numbers, through_actors
from tandemrec.rank.factorised import matrix_factorisation
from tandemrec.rank.scorers import RankScorer
from tandemrec.rank.trained import Trained, newest, newest_run_id

MODEL = "tandemrec"


def depends_on(settings: Settings) -> str | None:
    """The model lies outside the tables."""
    return newest_run_id(Lake.of(settings.lake))


def run(settings: Settings) -> Figures:
    """The figures of the model by task and metric, beside those of the baselines."""
    lake = Lake.of(settings.lake)
    trained = newest(lake)
    splits = {name: trained.examples(name) for name in SPLITS}
    refit = trained.examples(TRAIN_VALID) if trained.refit else None
    model, features = trained.model()
    before = replace(trained, refit=False).model()[1] if trained.refit else features
    problem = Problem(
        tasks=trained.tasks,
        train=splits["train"],
        valid=splits["valid"],
        test=splits["test"],
        refit=refit,
        interactions=features.interactions.numpy(),
        texts=partial(review_texts, lake, trained.inputs) if "reviews" in trained.inputs else None,
    )

    def factorised(problem: Problem) -> Predictions:
        answers = matrix_factorisation(settings, problem.tasks, splits, before, refit=refit)
        return Predictions(scores=answers.scores, ranks=answers.ranks)

    baselines = BASELINES | {"matrix_factorisation": factorised}
    answering = partial(_of_model, settings, trained, _weights(model))
    models = {MODEL: answering} | {name: baselines[name] for name in settings.evaluate.baselines}
    figures: list[Measured] = []
    of_parts: list[Measured] = []
    how: dict[str, Any] = {"settings": settings.evaluate, "seed": settings.seed}
    ours: Predictions | None = None
    for name, answer in models.items():
        predictions = answer(problem)
        figures += measure(name, predictions, problem.test, problem.tasks, ours=ours, **how)
        of_parts += by_experience(name, predictions, problem, ours=ours, **how)
        ours = predictions if name == MODEL else ours
    _record(lake, trained.run_id, [*figures, *of_parts])
    for table in comparison_tables(figures):
        console.table(table)
    if any(figure.lead_low is not None for figure in figures):
        console.line(LEGEND)
    return _by_model(figures)


def _of_model(settings: Settings, trained: Trained, weights: dict[str, Array], problem: Problem) -> Predictions:
    evaluate, rows = settings.evaluate, len(problem.test.user)
    if rows == 0:
        return Predictions()
    scored = through_actors(
        row_numbers(np.arange(rows), evaluate.batch_size),
        RankScorer,
        {"load_model": trained.model, "load_examples": partial(trained.examples, "test")},
        actors=evaluate.actors,
        batch_size=evaluate.batch_size,
    )
    answers: dict[str, Array] = {}
    with console.meter("test rows", rows) as meter:
        for batch in scored.iter_batches(batch_size=None, batch_format="numpy"):
            at = batch.pop("row")
            for name, values in batch.items():
                answers.setdefault(name, np.zeros((rows, *values.shape[1:]), values.dtype))[at] = values
            meter.advance(len(at))

    def of(prefix: str) -> dict[str, Array]:
        return {name.removeprefix(prefix): values for name, values in answers.items() if name.startswith(prefix)}

    return Predictions(scores=of("score:"), ranks=of("rank:"), weights=weights)


def _weights(model: MultiTaskModel) -> dict[str, Array]:
    """Of the classes of each task, as calibration chose them."""
    weights = {
        task.name: model.calibration[task.name].weights for task in model.tasks if task.name in model.calibration
    }
    return {name: cast(Tensor, weights_C).numpy() for name, weights_C in weights.items()}


def _record(lake: Lake, run_id: str, figures: Sequence[Measured]) -> None:
    rows = [{"run_id": run_id, **asdict(figure)} for figure in figures]
    lake.merge("metrics", pa.Table.from_pylist(rows, arrow_schema(lake.table("metrics"))))


def _by_model(figures: Sequence[Measured]) -> Figures:
    """Model -> TASK/METRIC -> value, as the run's record keeps it."""
    nested: Figures = {}
    for figure in figures:
        nested.setdefault(figure.model, {})[f"{figure.task}/{figure.metric}"] = round(figure.value, 6)
    return nested


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("evaluate", argv)


if __name__ == "__main__":
    sys.exit(main())
