"""Notebooks run from top to bottom, on the lake that the line has filled."""

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, line, monkeypatch):
    monkeypatch.setenv("TANDEMREC_CONFIG", str(line))
    assert notebook.read_text().startswith("# Databricks notebook source\n")
    runpy.run_path(str(notebook), run_name="__main__")
