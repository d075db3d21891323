"""A stage is skipped when nothing it depends on changed, recorded when it ran, and its failure is kept too."""

import sys
import types
from dataclasses import replace

import pyarrow as pa
import pytest
from tabular_data import settings_of as tabular_settings

import tandemrec
from tandemrec.config import parse_settings
from tandemrec.errors import SourceError
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import STAGES, Stage, run_identity, run_stage, stage

PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}


@pytest.fixture
def settings(tmp_path):
    def build(**more):
        return parse_settings(
            {"data": {"root": "in"}, "lake": {"root": str(tmp_path / "lake")}, "sources": [PAIRS], **more}
        )

    return build


@pytest.fixture
def counting(monkeypatch):
    """A stage without an engine that counts how often it ran."""
    module = types.ModuleType("counting_stage")
    module.calls = 0

    def run(settings):
        module.calls += 1
        Lake(settings.lake.root).ensure("metrics")
        if module.error:
            raise module.error
        return {"calls": module.calls}

    module.run, module.error = run, None
    monkeypatch.setitem(sys.modules, "counting_stage", module)
    chosen = Stage(
        name="report", module="counting_stage", engine="none", does="counts", settings=("report",),
        reads=("items",), writes=("metrics",),
    )  # fmt: skip
    return module, chosen


def test_a_second_run_is_up_to_date_until_something_changes(settings, counting):
    module, chosen = counting
    lake = Lake(settings().lake.root)
    assert run_stage(settings(), chosen) == {"calls": 1}
    assert run_stage(settings(), chosen) is None
    assert run_stage(settings(seed=7), chosen) is None  # the stage does not depend on the seed
    run_stage(settings(report={"users": 3}), chosen)
    assert module.calls == 2
    lake.ensure("items")  # a new version of an input
    run_stage(settings(report={"users": 3}), chosen)
    assert module.calls == 3
    run_stage(settings(report={"users": 3}), chosen, force=True)
    assert module.calls == 4


def test_no_stage_writes_what_one_before_it_reads():
    """It would make that one run again for nothing when the line is run a second time."""
    for place, later in enumerate(STAGES):
        for earlier in STAGES[:place]:
            assert not set(later.writes) & set(earlier.reads), (earlier.name, later.name)


def test_a_recipe_that_was_raised_makes_a_stage_run_again(settings, counting):
    _, chosen = counting
    lake, raised = Lake(settings().lake.root), replace(chosen, recipe=2)
    assert run_stage(settings(), chosen) == {"calls": 1}
    assert run_stage(settings(), raised) == {"calls": 2}
    assert run_stage(settings(), raised) is None
    version = tandemrec.__version__
    assert [run.code_version for run in runs.finished(lake, chosen.name)] == [f"{version} recipe 2", version]


def test_packed_files_make_no_stage_run_again(settings, counting):
    _, chosen = counting
    lake = Lake(settings().lake.root)
    schema = arrow_schema(lake.table("items"))
    for item in "abc":
        lake.merge("items", pa.Table.from_pylist([{"item_id": item}], schema))
    run_stage(settings(), chosen)
    recorded, rows = lake.data_version("items"), lake.read("items").sort_by("item_id")
    table = lake.open("items")
    table.optimize.compact()
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert lake.version("items") > recorded == lake.data_version("items")
    assert run_stage(settings(), chosen) is None
    assert lake.read("items", version=recorded).sort_by("item_id").equals(rows)  # its own files are gone
    lake.merge("items", pa.Table.from_pylist([{"item_id": "d"}], schema))
    assert run_stage(settings(), chosen) == {"calls": 2}


def test_an_output_that_is_gone_is_made_again(settings, counting, tmp_path):
    module, chosen = counting
    run_stage(settings(), chosen)
    (tmp_path / "lake" / "gold" / "metrics").rename(tmp_path / "elsewhere")
    run_stage(settings(), chosen)
    assert module.calls == 2


def test_runs_hold_what_was_read_written_and_found(settings, counting):
    _, chosen = counting
    run_stage(settings(), chosen)
    run = runs.latest(Lake(settings().lake.root), "report")
    assert run is not None
    assert (run.figures, dict(run.outputs), dict(run.inputs)) == ({"calls": 1}, {"metrics": 0}, {})


def test_a_failure_is_recorded_and_does_not_count_as_done(settings, counting):
    module, chosen = counting
    run_stage(settings(), chosen)
    module.error = SourceError("file x is missing")
    with pytest.raises(SourceError):
        run_stage(settings(), chosen, force=True)
    lake = Lake(settings().lake.root)
    assert lake.read("runs")["status"].to_pylist() == ["failed"]
    module.error = None
    assert run_stage(settings(), chosen) == {"calls": 3}


def test_stages_read_what_stages_before_them_write():
    written: set[str] = set()
    for one in STAGES:
        assert set(one.reads) <= written, one.name
        written |= set(one.writes)
    assert stage("train").engine == "ray"


def test_the_model_has_another_identity_when_its_settings_change(settings):
    assert run_identity(settings(), "train") == run_identity(settings(), "train")
    assert run_identity(settings(), "train") != run_identity(settings(seed=7), "train")
    assert run_identity(settings(), "train") == run_identity(settings(report={"users": 3}), "train")


def test_stages_of_users_and_texts_start_nothing_for_a_plain_table(tmp_path, capsys):
    ours = tabular_settings(tmp_path, tmp_path / "lake")
    idle = ["embed", "augment", "profiles", "summarise", "predict", "publish"]
    assert [one.name for one in STAGES if not one.of_rows] == idle
    assert [run_stage(ours, stage(name)) for name in idle] == [None] * 6
    assert capsys.readouterr().out.splitlines() == [f"{name}: nothing to do for tabular data" for name in idle]
    assert not (tmp_path / "lake").exists()
