"""What an operation or a stage refuses is told before an engine starts, and before a mistyped lake is a folder."""

import json

import pytest

from tandemrec.cli import main
from tandemrec.pipeline import STAGES
from tandemrec.pipeline.operations import OPERATIONS

PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}
READING = [one.name for one in STAGES if one.reads and one.engine != "none"]
WANTED = {"reproduce": ["0123456789ab"], "forget-user": ["--user", "u1"]}  # beside the settings
ON_TEXTS = ["--set", "tasks=[{name: sentiment, kind: binary, reads: [review]}]", "--set", "train.stop_on=sentiment/auc"]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Settings of a lake that is not there; no engine starts."""

    def start(*_):
        raise AssertionError("an engine was started")

    for name in ("spark_session", "ray_cluster"):
        monkeypatch.setattr(f"tandemrec.pipeline.operations.{name}", start)
        monkeypatch.setattr(f"tandemrec.pipeline.harness.{name}", start)
    file = tmp_path / "shop.yaml"
    raw = {"data": {"root": "in"}, "lake": {"root": str(tmp_path / "lake")}, "sources": [PAIRS]}
    file.write_text(json.dumps(raw))
    return file


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["forget-user", "--user", "u1"], "Remove user 'u1' for good?"),
        (["forget-user", "--user", "u1", "--yes", "--set", "data.pseudonymise={key_env: NO_KEY}"], "NO_KEY holds noth"),
        (["transfer", "--tasks", "next_item,clicks"], "no task 'clicks', expected some of ['next_item', 'click',"),
        (["transfer", "--tasks", "click"], "1 tasks and 3 seeds, expected at least two tasks"),
        (["transfer", "--pareto", "click"], "--pareto click: expected two tasks"),
        (["transfer", "--set", "lake.versions={clicks: 3}"], "lake.versions names 'clicks', expected some of"),
        (["compare", *ON_TEXTS], "no task reads users"),
        (["maintain", "--retain-hours", "24"], "--retain-hours is 24, expected 168 or more"),
        (["reproduce", "0123456789ab"], "table runs has no run 0123456789ab"),
    ],
)
def test_what_is_wrong_is_told_before_an_engine_starts(words, says, config, lake, monkeypatch, capsys):
    monkeypatch.delenv("NO_KEY", raising=False)
    lake.ensure("items")
    assert main([*words, "--config", str(config), "--set", f"lake.root={lake.root}"]) == 1
    assert says in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("name", [one.name for one in OPERATIONS if not (one.of_empty or one.instead_of)] + READING)
def test_a_lake_that_is_not_there_is_told_and_not_made(name, config, tmp_path, capsys):
    assert main([*name.split(), *WANTED.get(name, []), "--config", str(config)]) == 1
    assert "lake holds no table" in " ".join(capsys.readouterr().err.split())
    assert [path.name for path in tmp_path.iterdir()] == ["shop.yaml"]
