"""embed --gc: what is referred to stays, and no stage runs again because of what went."""

import io
import sys

import pyarrow as pa
import pytest

from jobs import drop_vectors
from tandemrec.cli import main
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError, TableError
from tandemrec.lake import Lake, runs
from tandemrec.text.identity import embedding_identity

OLD, OF_A_MODEL, NEWEST, FAILED, OF_MADE = (letter * 16 for letter in "abcde")


@pytest.fixture
def settings(lake: Lake):
    source = {"name": "r", "table": "reviews", "kind": "json", "path": "x", "columns": dict.fromkeys(
        ("user_id", "item_id", "text", "review_time"), "x")}  # fmt: skip
    raw = {"data": {"root": "."}, "lake": {"root": lake.root}, "sources": [source]}
    return parse_settings(raw | {"embed": {"encoder": {"model": "tiny:0"}}})


@pytest.fixture
def encoders(lake: Lake, settings) -> list[str]:
    """Vectors of six encoders, and the runs that made or read them, the oldest first."""
    names = [OLD, OF_A_MODEL, NEWEST, FAILED, OF_MADE, embedding_identity(settings.embed)]
    for name in names:
        rows = {"text_hash": ["1", "2"], "encoder": [name] * 2, "vector": [[1.0, 2.0]] * 2}
        lake.merge("text_vectors", pa.table(rows))
    lake.merge("texts_failed", pa.table({"text_hash": ["3", "3"], "encoder": [OLD, NEWEST], "error": ["no", "no"]}))
    told = [("embed", OLD, "done"), ("augment", OLD, "done"), ("augment", OF_MADE, "done"),
            ("embed", OF_A_MODEL, "done"), ("train", OF_A_MODEL, "done"),
            ("train", None, "done"), ("embed", NEWEST, "done"), ("embed", FAILED, "failed")]  # fmt: skip
    for number, (stage, encoder, status) in enumerate(told):
        runs.record(lake, runs.Run(
            run_id=str(number), stage=stage, status=status, started_at=runs.now(), seconds=1.0, inputs={}, outputs={},
            config_hash="", code_version="", figures={"encoder": encoder}))  # fmt: skip
    return names


def _left(lake: Lake, table: str) -> set[str]:
    return set(lake.read(table)["encoder"].to_pylist())


def test_a_place_without_tables_has_no_vectors_that_are_all_needed(lake, settings):
    with pytest.raises(TableError, match=f"the lake at {lake.root} holds no table"):
        drop_vectors.run(settings, yes=True)


def test_vectors_that_nothing_refers_to_go_and_stages_see_the_same_tables(lake, settings, encoders, capsys):
    before, pinned = lake.data_version("text_vectors"), lake.version("text_vectors")
    assert drop_vectors.run(settings, yes=True) == {"dropped": {OLD: 2, FAILED: 2}}
    assert _left(lake, "text_vectors") == {OF_A_MODEL, NEWEST, OF_MADE, encoders[-1]}
    assert _left(lake, "texts_failed") == {NEWEST}
    assert lake.version("text_vectors") > pinned
    assert lake.data_version("text_vectors") == before
    # Whoever reads the version of before, as a model's stages do, reads what is left.
    assert lake.read("text_vectors", version=pinned).num_rows == 8
    assert drop_vectors.run(settings, yes=True) == {"dropped": {}}
    assert "every one of 4 encoders" in capsys.readouterr().out
    lake.merge("text_vectors", pa.table({"text_hash": ["4"], "encoder": [NEWEST], "vector": [[1.0, 2.0]]}))
    assert lake.data_version("text_vectors") == lake.version("text_vectors")


def test_somebody_is_asked_first(lake, settings, encoders, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(ConfigError, match="expected --yes"):
        drop_vectors.run(settings)
    assert _left(lake, "text_vectors") == set(encoders)
    path = tmp_path / "settings.yaml"
    path.write_text(settings.model_dump_json(exclude_defaults=True))
    assert main(["embed", "--gc", "--config", str(path)]) == 1
    assert OLD in capsys.readouterr().err
    assert main(["embed", "--gc", "--yes", "--config", str(path)]) == 0
    assert _left(lake, "text_vectors") == {OF_A_MODEL, NEWEST, OF_MADE, encoders[-1]}


def test_a_lake_without_vectors_has_nothing_to_drop(lake, settings):
    lake.ensure("reviews")
    assert drop_vectors.run(settings) == {"dropped": {}}
