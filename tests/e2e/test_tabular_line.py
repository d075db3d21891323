"""Tabular data from a file to figures: a joint model comes near the bound that the rule behind the labels sets."""

import pytest
from sklearn.metrics import roc_auc_score
from tabular_data import settings_of, table

from tandemrec.lake import Lake
from tandemrec.learn import load_examples
from tandemrec.pipeline import run_stage
from tandemrec.pipeline.stages import STAGES, stage
from tandemrec.rank.trained import newest


@pytest.mark.slow
def test_a_joint_model_of_a_table_comes_near_the_bound(spark, ray_local, tmp_path, capsys):
    people = table()
    people.drop(columns=["p_rich", "p_bought"]).to_csv(tmp_path / "people.csv", index=False)
    settings = settings_of(tmp_path, tmp_path / "lake")
    for name in ("ingest", "clean", "examples"):
        run_stage(settings, stage(name), spark=spark)
    skipped = [one for one in STAGES if run_stage(settings, one, spark=spark) is None]
    assert [one.name for one in skipped] == [
        *("ingest", "clean", "embed", "examples", "profiles", "summarise", "augment", "predict", "publish")
    ]
    assert "embed: nothing to do for tabular data" in capsys.readouterr().out
    lake = Lake(settings.lake.root)
    figures = {(row["model"], row["task"], row["metric"]): row["value"] for row in lake.read("metrics").to_pylist()}
    truth = {"rich": people["p_rich"], "bought": people["p_bought"]}
    bound = {
        "rich": roc_auc_score(people["rich"] == "yes", truth["rich"]),
        "bought": roc_auc_score(people["bought"], truth["bought"]),
    }
    for task, best in bound.items():
        found = figures["tandemrec", task, "auc"]
        assert best - 0.03 < found < best + 0.03, (task, found, best)
        assert figures["majority", task, "auc"] == pytest.approx(0.5)
        assert figures["tandemrec", task, "log_loss"] < figures["majority", task, "log_loss"]
    assert (tmp_path / "report" / "index.html").exists()
    model, _ = newest(lake).model()
    assert model.sizes.values == [4, 3] and len(model.sizes.edges) == 2
    assert len(load_examples(lake)["train"]) > 1500
