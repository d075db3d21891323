"""Stage predict: the best items for every user and the scores of the test pairs, into staging tables.

Ray Data reads users from Delta and hands them to actors that hold the model; what comes back is written as it comes, in
one commit a table. `publish` merges the staged rows into gold.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.data import Dataset

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.lake.store import conform
from tandemrec.pipeline import stage_main
from tandemrec.rank.actors import READ_CPUS, row_numbers, through_actors
from tandemrec.rank.rows import identifiers, latest_of_each_pair, prediction_rows
from tandemrec.rank.scorers import PairScorer, UserScorer
from tandemrec.rank.trained import Trained, newest, newest_run_id


def depends_on(settings: Settings) -> str | None:
    """The model lies outside the tables."""
    return newest_run_id(Lake.of(settings.lake))


def run(settings: Settings) -> Figures:
    """Counts of users, recommendations, those with a reason of the user's own, and pairs."""
    lake = Lake.of(settings.lake)
    trained = newest(lake)
    users, items = (identifiers(lake, name, trained.inputs[f"{name}_vocabulary"]) for name in ("users", "items"))
    return {
        "model": trained.version,
        **_recommendations(lake, settings, trained, users, items),
        **_predictions(lake, settings, trained, users, items),
    }


def _recommendations(lake: Lake, settings: Settings, trained: Trained, users: pa.Array, items: pa.Array) -> Figures:
    predict = settings.predict
    everybody = _user_features(lake, trained.inputs["user_features"])
    arguments = {
        "load_model": trained.model,
        "load_disliked": partial(trained.disliked, settings.clean.low_rating),
        "users": users,
        "items": items,
        "k": predict.k,
        "exclude_seen": predict.exclude_seen,
    }
    best = through_actors(
        everybody,
        UserScorer,
        arguments,
        actors=predict.actors,
        batch_size=predict.batch_size,
        batch_format="pyarrow",
    )
    counts: Counter[str] = Counter()

    def tables() -> Iterator[pa.Table]:
        with console.meter("users", len(users) - 1) as meter:
            for table in best.iter_batches(batch_size=None, batch_format="pyarrow"):
                served = pc.sum(pc.equal(table["rank"], 1)).as_py() or 0
                counts["users"] += served
                counts["recommendations"] += table.num_rows
                counts["because"] += pc.sum(pc.starts_with(table["reason"], "because:")).as_py() or 0
                meter.advance(served)
                yield table

    _stage(lake, "recommendations", trained, tables())
    return {name: counts[name] for name in ("users", "recommendations", "because")}


def _predictions(lake: Lake, settings: Settings, trained: Trained, users: pa.Array, items: pa.Array) -> Figures:
    """Every task that reads user and item, and next item, on the latest test row of each pair."""
    predict = settings.predict
    test = trained.examples("test")
    tasks = [task for task in trained.tasks if "user" in task.reads]
    labels = [test.labels[task.column] for task in tasks]
    asked = np.flatnonzero(np.any([~np.isnan(label) for label in labels], axis=0)) if labels else np.zeros(0, np.int64)
    rows = latest_of_each_pair(test.user, test.item, test.event_time, asked)
    scored = through_actors(
        row_numbers(rows, predict.batch_size),
        PairScorer,
        {"load_model": trained.model, "load_examples": partial(trained.examples, "test")},
        actors=predict.actors,
        batch_size=predict.batch_size,
    )

    def tables() -> Iterator[pa.Table]:
        for batch in scored.iter_batches(batch_size=None, batch_format="numpy"):
            at = batch["row"]
            scores = {task.name: batch[f"score:{task.name}"] for task in tasks}
            yield prediction_rows(test.user[at], test.item[at], scores, users, items)

    _stage(lake, "predictions", trained, tables() if len(rows) else iter(()))
    return {"pairs": len(rows)}


def _user_features(lake: Lake, version: int) -> Dataset:
    files = lake.open("user_features", version).file_uris()
    columns = ["user_index", "history", "reviews", "seen"]
    return ray.data.read_parquet(files, columns=columns, num_cpus=READ_CPUS)


def _stage(lake: Lake, name: str, trained: Trained, tables: Iterator[pa.Table]) -> None:
    """Replace a staging table by the rows of this run, in one commit, while they come."""
    contract = lake.table(f"{name}_staging")

    def batches() -> Iterator[pa.RecordBatch]:
        for table in tables:
            for column, value in (("run_id", trained.run_id), ("model_version", trained.version)):
                table = table.append_column(column, pa.repeat(value, table.num_rows))
            yield from conform(table, contract).to_batches()

    lake.overwrite(contract.name, batches())


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("predict", argv)


if __name__ == "__main__":
    sys.exit(main())
