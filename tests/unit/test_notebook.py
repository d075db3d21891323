"""The notebook that reads a lake, on one of which all figures are known."""

import runpy
from pathlib import Path

import yaml
from reported_lake import record, settings_for, write_behaviour, write_results

from tandemrec.lake import Lake

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "reading_a_lake.py"


def test_models_are_compared_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    lake = Lake(str(tmp_path / "lake"))
    write_behaviour(lake)
    write_results(lake)
    record(lake, "train", 2, {}, run_id="model-1")
    record(lake, "train", 5, {}, run_id="model-2")
    record(lake, "train", 8, {}, run_id="model-3")  # not evaluated yet
    config = tmp_path / "shop.yaml"
    config.write_text(yaml.safe_dump(settings_for(lake, tmp_path).model_dump(mode="json")))
    monkeypatch.setenv("TANDEMREC_CONFIG", str(config))
    before = {name: lake.version(name) for name in lake.names()}
    found = runpy.run_path(str(NOTEBOOK), run_name="__main__")
    assert found["models"]["run_id"].tolist() == ["model-3", "model-2", "model-1"]
    assert found["newest"] == "model-2"
    against = found["against"].set_index(["metric", "model"])
    assert set(against["task"]) == {"next_item", "rating", "sentiment"}
    assert abs(against.loc[("rmse", "bias"), "lead"] + 0.05) < 1e-9
    assert found["published"].groupby("run_id").size().to_dict() == {"model-1": 7, "model-2": 7}
    assert "0.0812" in capsys.readouterr().out
    assert {name: lake.version(name) for name in lake.names()} == before
