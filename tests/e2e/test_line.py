"""The whole line on a small sample, stage by stage through the command line, with a tiny random encoder."""

import json
import re
import runpy
from pathlib import Path

import pyarrow as pa
import pytest
import ray

from tandemrec.cli import main
from tandemrec.config import load_settings
from tandemrec.lake import Lake, runs

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


def test_every_table_is_filled_and_says_by_which_run(line):
    lake = Lake(load_settings(line).lake.root)
    empty = [info.name for info in lake.tables() if info.rows == 0]
    assert empty == ["relations_raw", "rows_raw", "relations", "rows"]  # the sample has none
    assert set(lake.read("runs")["status"].to_pylist()) == {"done"}


def test_every_table_is_read_alike_by_delta_rs_ray_and_plain_spark(line, spark):
    lake = Lake(load_settings(line).lake.root)
    for info in lake.tables():
        read = spark.read.format("delta").load(info.path)
        assert (read.count(), sorted(read.columns)) == (info.rows, sorted(lake.table(info.name).column_names))
        if info.rows == 0:  # of no file Ray knows no columns
            continue
        of_ray = ray.data.read_delta(info.path)
        assert (of_ray.count(), sorted(of_ray.columns())) == (info.rows, sorted(read.columns))
    key = list(lake.table("examples").key)
    of_ray = pa.concat_tables(ray.get(ray.data.read_delta(lake.path("examples"), columns=key).to_arrow_refs()))
    of_spark = spark.read.format("delta").load(lake.path("examples")).select(key).collect()
    assert sorted(map(tuple, of_spark)) == sorted(tuple(row[k] for k in key) for row in of_ray.to_pylist())


def test_what_came_in_is_what_was_planted(line):
    planted = json.loads((line.parent / "data" / "planted.json").read_text())
    cleaned = runs.latest(Lake(load_settings(line).lake.root), "clean").figures
    for table in ("events", "items", "reviews"):
        assert cleaned[table]["kept"] == planted[table]["kept"]
        assert cleaned[table]["rejected"] == {k: n for k, n in planted[table]["rejected"].items() if n}


def test_a_second_run_skips_everything_and_changes_no_table(line, capsys):
    lake = Lake(load_settings(line).lake.root)
    before = {info.name: info.version for info in lake.tables()}
    assert main(["run", "--config", str(line)]) == 0
    said = capsys.readouterr().out
    assert said.count("up to date") == 12
    assert {info.name: info.version for info in lake.tables()} == before


def test_a_forced_rerun_of_predict_and_publish_changes_no_row(line):
    lake = Lake(load_settings(line).lake.root)
    keys = [("user_id", "ascending"), ("rank", "ascending")]
    before = lake.read("recommendations").sort_by(keys)
    for stage in ("predict", "publish"):
        assert main([stage, "--config", str(line), "--force"]) == 0
    assert lake.read("recommendations").sort_by(keys).equals(before)
    assert all(v == 0 for v in _changes(runs.latest(lake, "publish").figures))


def test_each_baseline_has_the_models_lead_over_it(line):
    """Direction and subtraction, from the two values alone; the interval lies around it, where there is one."""
    rows = [row for row in Lake(load_settings(line).lake.root).read("metrics").to_pylist() if row["model"] != "quality"]
    key = ("run_id", "split", "task", "metric")
    ours = {tuple(row[k] for k in key): row["value"] for row in rows if row["model"] == "tandemrec"}
    assert all(row["lead"] is None for row in rows if row["model"] == "tandemrec")
    compared = [row for row in rows if row["model"] != "tandemrec" and tuple(row[k] for k in key) in ours]
    assert {row["model"] for row in compared} >= {"popularity", "matrix_factorisation", "ease", "tfidf"}
    for row in compared:
        lower = row["metric"] in ("rmse", "mae", "log_loss")
        lead = (ours[tuple(row[k] for k in key)] - row["value"]) * (-1 if lower else 1)
        assert row["lead"] == pytest.approx(lead, abs=1e-9), row
        if row["lead_low"] is None:  # of a part that is of fewer than ten people
            assert row["low"] is None and row["split"] != "test", row
        else:
            assert row["lead_low"] - 1e-9 <= row["lead"] <= row["lead_high"] + 1e-9, row


def test_the_report_stands_alone_and_the_commands_answer(line, capsys):
    settings = load_settings(line)
    html = settings.report_path.read_text()
    assert not re.search(r"""(src|href)=["']https?://|@import|<script[^>]+src""", html)
    user = Lake(settings.lake.root).read("recommendations", columns=["user_id"])["user_id"][0].as_py()
    capsys.readouterr()
    assert main(["tables", "--config", str(line)]) == 0
    assert "recommendations" in capsys.readouterr().out
    assert main(["show", "recommendations", "--config", str(line), "--user", user, "--k", "3"]) == 0
    assert main(["show", "recommendations", "--config", str(line), "--user", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().err


def _changes(figures):
    for value in figures.values():
        if isinstance(value, dict):
            yield from _changes(value)
        elif isinstance(value, int):
            yield value


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, line, monkeypatch):
    monkeypatch.setenv("TANDEMREC_CONFIG", str(line))
    assert notebook.read_text().startswith("# Databricks notebook source\n")
    runpy.run_path(str(notebook), run_name="__main__")
