"""One joint model of the two census tasks beside LightGBM, a model a task, on the same rows.

census.py --data FOLDER, which holds census-income.data and census-income.test, packed by gzip or not. Without the
former a third of the latter is the test split; the figures say how many rows there were to learn from. LightGBM is
measured where it is installed; it reads what gold.examples holds and stops early on the same validation rows.
"""

import argparse
import importlib.util
import tempfile
from pathlib import Path

import numpy as np
from figures import ROOT, publish

from tandemrec.config import Settings, load_settings, parse_settings
from tandemrec.lake import Lake
from tandemrec.learn import load_examples
from tandemrec.learn.feeds import Examples
from tandemrec.metrics import prediction_metrics
from tandemrec.pipeline import run_stage
from tandemrec.pipeline.stages import stage

STAGES = ("ingest", "clean", "examples", "train", "evaluate")
MODEL = "tandemrec"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as lake:
        settings = settings_of(arguments.data, lake)
        for name in STAGES:
            run_stage(settings, stage(name))
        splits = load_examples(Lake(lake))
        rows = Lake(lake).read("metrics").to_pylist()
        figures = {f"rows_census_{split}": float(len(examples)) for split, examples in splits.items()}
        for task in settings.tasks:
            found = next(r for r in rows if (r["model"], r["task"], r["metric"]) == (MODEL, task.name, "auc"))
            figures[f"auc_census_{task.name}"] = found["value"]
            if importlib.util.find_spec("lightgbm"):
                figures[f"auc_census_{task.name}_lightgbm"] = lightgbm_auc(splits, task.column)
    publish("census", figures)


def settings_of(data: Path, lake: str) -> Settings:
    settings = load_settings(
        ROOT / "conf" / "census_income.yaml",
        [f"data.root={data}", f"lake.root={lake}", f"report.path={lake}/report/index.html"],
    )
    if any(data.glob("census-income.data*")):
        return settings
    raw = settings.model_dump(mode="json")
    raw["sources"] = [{**source, "constants": {}} for source in raw["sources"] if source["name"] == "test"]
    raw["examples"] |= {"split": "random", "test_share": 1 / 3, "valid_share": 1 / 15}
    return parse_settings(raw)


def lightgbm_auc(splits: dict[str, Examples], label: str) -> float:
    import lightgbm

    def table(examples: Examples) -> np.ndarray:
        return np.hstack([examples.categories, examples.numbers])

    train, valid, test = (splits[name] for name in ("train", "valid", "test"))
    booster = lightgbm.LGBMClassifier(n_estimators=2000, learning_rate=0.05, n_jobs=1, verbose=-1)
    booster.fit(
        table(train),
        train.labels[label],
        eval_set=[(table(valid), valid.labels[label])],
        eval_metric="auc",
        categorical_feature=list(range(train.categories.shape[1])),
        callbacks=[lightgbm.early_stopping(50, verbose=False)],
    )
    scores = booster.predict_proba(table(test))[:, 1]
    return prediction_metrics("binary", test.labels[label], scores)["auc"]


if __name__ == "__main__":
    main()
