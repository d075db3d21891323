"""Maintenance packs files and removes old ones; rows, readable versions and what is up to date stay as they were."""

import sys
import types

import pyarrow as pa
import pytest

from jobs import maintain
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.lake import spark as lake_spark
from tandemrec.lake.types import arrow_schema
from tandemrec.lake.upkeep import shorten_log
from tandemrec.pipeline import Stage, run_stage


@pytest.fixture
def settings(lake):
    source = {"name": "s", "table": "events", "kind": "pairs", "path": "p", "constants": {"event_type": "click"}}
    return parse_settings({"data": {"root": "data"}, "lake": {"root": lake.root}, "sources": [source]})


@pytest.fixture
def looking(monkeypatch):
    """A stage that reads the table of recommendations."""
    module = types.ModuleType("looking_stage")
    module.run = lambda settings: {"rows": Lake(settings.lake.root).read("recommendations").num_rows}
    monkeypatch.setitem(sys.modules, "looking_stage", module)
    return Stage(
        name="report", module="looking_stage", engine="none", does="looks", settings=(),
        reads=("recommendations",), writes=("recommendations",),
    )  # fmt: skip


def add(lake, user, ranks=(1, 2, 3)):
    common = {"run_id": "r", "user_id": user, "item_id": "i", "score": 0.5, "reason": "popular", "model_version": "m"}
    rows = [{**common, "rank": rank} for rank in ranks]
    lake.merge("recommendations", pa.Table.from_pylist(rows, arrow_schema(lake.table("recommendations"))))


def rows_of(lake, version=None):
    rows = lake.read("recommendations", version=version)
    return rows.sort_by([("user_id", "ascending"), ("rank", "ascending")])


def test_files_are_packed_and_nothing_else_changes(spark, lake, settings, looking, capsys):
    for user in "dbca":
        add(lake, user)
    run_stage(settings, looking)
    recorded, rows = lake.data_version("recommendations"), rows_of(lake)
    older = {version: rows_of(lake, version) for version in range(recorded)}

    dry = maintain.run(spark, settings, dry_run=True)["recommendations"]
    assert (lake.version("recommendations"), dry["before"], dry["removed"]) == (recorded, dry["after"], 0)
    found = maintain.run(spark, settings)["recommendations"]
    assert (found["before"]["files"], found["after"]["files"]) == (4, 1)
    assert (found["before"]["small"], found["after"]["small"], found["after"]["without_statistics"]) == (4, 1, 0)
    assert "4 -> 1" in capsys.readouterr().out

    assert lake.version("recommendations") > recorded == lake.data_version("recommendations")
    assert run_stage(settings, looking) is None  # up to date
    assert rows_of(lake).equals(rows)
    assert all(rows_of(lake, version).equals(then) for version, then in older.items())
    assert lake_spark.read(spark, lake, "recommendations", version=recorded).count() == rows.num_rows
    packed = lake.version("recommendations")
    maintain.run(spark, settings)  # packed already
    assert lake.version("recommendations") == packed

    gone = maintain.run(spark, settings, retain_hours=0, unsafe_retention=True)["recommendations"]
    assert gone["removed"] == 4
    assert rows_of(lake, recorded).equals(rows)  # the same rows, from the files that are there
    assert run_stage(settings, looking) is None
    shorten_log(lake, "recommendations")
    assert lake.data_version("recommendations") == recorded  # whatever is left of the log
    assert run_stage(settings, looking) is None
    assert spark.read.format("delta").load(lake.path("recommendations")).count() == rows.num_rows

    add(lake, "e")
    assert lake.data_version("recommendations") == lake.version("recommendations")
    assert run_stage(settings, looking) == {"rows": 15}


def test_a_short_retention_must_be_asked_for_by_name(spark, lake, settings):
    with pytest.raises(ConfigError, match="retain-hours is 167, expected 168 or more"):
        maintain.run(spark, settings, retain_hours=167)
    with pytest.raises(ConfigError, match="retain-hours is -1"):
        maintain.run(spark, settings, retain_hours=-1, unsafe_retention=True)
