"""Ratings of musical instruments on a random split: the joint model, the rating alone, and the baselines beside them.

ratings.py --data FOLDER, which holds Musical_instruments_reviews.csv.zip. Rows are split 80/10/10 by
numpy.random.default_rng(42).permutation of the rows in the order of the file. A row reads what the other rows of train
say, whenever they were written (`examples.known: train`), as whoever splits at random does.
"""

import argparse
import csv
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from figures import ROOT, publish

from tandemrec.config import Settings, load_settings, parse_settings
from tandemrec.lake import Lake, runs
from tandemrec.pipeline import run_stage
from tandemrec.pipeline.stages import stage

PREPARING = ("ingest", "clean", "embed", "examples")
MODELS = ("tandemrec", "bias", "matrix_factorisation", "popularity")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folder", type=Path, help="keeps what is made; default: a temporary folder")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        (folder / "data").mkdir(parents=True, exist_ok=True)
        write_split(next(arguments.data.glob("*.zip")), folder / "data" / "reviews.csv")
        figures: dict[str, float] = {}
        for name, tasks in (("alone", ("rating",)), ("joint", ("next_item", "rating", "sentiment"))):
            settings = settings_of(folder, tasks)
            for one in (*PREPARING, "train", "evaluate"):
                run_stage(settings, stage(one))
            lake = Lake.of(settings.lake)
            run = runs.of_model(lake)
            rows = [row for row in lake.read("metrics").to_pylist() if run is not None and row["run_id"] == run.run_id]
            found = {row["model"]: row["value"] for row in rows if _is_rmse(row)}
            figures |= {f"rmse_ratings_{name}_{model}": found[model] for model in MODELS if model in found}
    publish("ratings", figures)


def _is_rmse(row: dict[str, object]) -> bool:
    return (row["task"], row["metric"], row["split"]) == ("rating", "rmse", "test")


def write_split(source: Path, target: Path) -> None:
    """The rows of the packed file with a column `split`."""
    with zipfile.ZipFile(source) as packed, packed.open(packed.namelist()[0]) as raw:
        rows = list(csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline="")))
    order = np.random.default_rng(42).permutation(len(rows))
    train, valid = int(0.8 * len(rows)), int(0.9 * len(rows))
    split = np.full(len(rows), "test", dtype=object)
    split[order[:train]], split[order[train:valid]] = "train", "valid"
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, [*rows[0], "split"])
        writer.writeheader()
        writer.writerows(row | {"split": part} for row, part in zip(rows, split, strict=True))


def settings_of(folder: Path, tasks: tuple[str, ...]) -> Settings:
    """The settings of the data set, with the split of the file, these tasks, and the rating to stop on."""
    settings = load_settings(
        ROOT / "conf" / "musical_instruments.yaml", [f"data.root={folder / 'data'}", f"lake.root={folder / 'lake'}"]
    )
    raw = settings.model_dump(mode="json", exclude_unset=True)
    raw["sources"][0]["path"] = "*.csv"
    raw["sources"][0]["columns"]["split"] = "split"
    raw["examples"] |= {"split": "given", "known": "train"}
    raw["tasks"] = [task for task in raw["tasks"] if task["name"] in tasks]
    raw["train"] |= {"stop_on": "rating/rmse"}
    return parse_settings(raw)


if __name__ == "__main__":
    main()
