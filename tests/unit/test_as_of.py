"""What a stage reads is looked up once, is what is recorded, and is what --as-of says."""

import sys
import types
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError, ModelError, TableError
from tandemrec.lake import Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import STAGES, Stage, run_stage, stage
from tandemrec.pipeline.as_of import pinned
from tandemrec.pipeline.harness import sections
from tandemrec.rank.trained import newest

PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}
COUNTS = Stage(
    name="report", module="reading_stage", engine="none", does="reads", settings=(),
    reads=("users_vocabulary", "items_vocabulary"), writes=("metrics",),
)  # fmt: skip


@pytest.fixture
def settings(lake):
    return parse_settings({"data": {"root": "in"}, "lake": {"root": lake.root}, "sources": [PAIRS]})


@pytest.fixture
def seen(monkeypatch):
    """A stage that notes what it reads; `between` is called before it looks."""
    module = types.ModuleType("reading_stage")
    module.between = lambda: None

    def run(settings):
        module.between()
        lake = Lake.of(settings.lake)
        return {name: lake.info(name).rows if lake.exists(name) else None for name in COUNTS.reads}

    module.run = run
    monkeypatch.setitem(sys.modules, "reading_stage", module)
    return module


def add(lake, table, *names):
    """One commit of new names; returns the table's version."""
    key, index = lake.table(table).column_names
    known = lake.info(table).rows if lake.exists(table) else 0
    rows = [{key: name, index: known + number} for number, name in enumerate(names, 1)]
    lake.merge(table, pa.Table.from_pylist(rows, arrow_schema(lake.table(table))))
    return lake.version(table)


def record(lake, run_id, stage, inputs, outputs=(), *, started=0, settings=None):
    started_at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=started)
    run = runs.Run(
        run_id=run_id, stage=stage, status="done", started_at=started_at,
        seconds=60.0, inputs=inputs, outputs=dict(outputs), config_hash="", code_version="",
        settings=settings or {},
    )  # fmt: skip
    runs.record(lake, run)


def test_a_commit_while_the_stage_runs_is_neither_read_nor_recorded(lake, settings, seen):
    first = add(lake, "users_vocabulary", "a")

    def commit():
        add(lake, "users_vocabulary", "b")
        add(lake, "items_vocabulary", "x")  # a table that was not there when the stage began

    seen.between = commit
    assert run_stage(settings, COUNTS) == {"users_vocabulary": 1, "items_vocabulary": None}
    assert dict(runs.latest(lake, "report").inputs) == {"users_vocabulary": first}
    seen.between = lambda: None
    assert run_stage(settings, COUNTS) == {"users_vocabulary": 2, "items_vocabulary": 1}


def test_every_way_to_name_a_version(lake, settings, seen):
    users = [add(lake, "users_vocabulary", name) for name in "abc"]
    assert run_stage(settings, COUNTS) == {"users_vocabulary": 3, "items_vocabulary": None}
    before = runs.latest(lake, "report")
    moment = datetime.now(UTC)
    while datetime.now(UTC) - moment < timedelta(milliseconds=2):  # the log counts in milliseconds
        pass
    between = moment.isoformat()
    items = [add(lake, "items_vocabulary", name) for name in "xy"]
    add(lake, "users_vocabulary", "d")
    assert run_stage(settings, COUNTS) == {"users_vocabulary": 4, "items_vocabulary": 2}

    def counts(*as_of):
        return tuple(run_stage(settings, COUNTS, as_of=as_of, force=True).values())

    assert counts(f"users_vocabulary={users[0]}") == (1, 2)
    assert counts(f"users_vocabulary={users[1]}", f"items_vocabulary={items[0]}") == (2, 1)
    assert counts(before.run_id) == (3, None)
    assert counts(between) == (3, None)
    assert counts(between, f"items_vocabulary={items[0]}") == (3, 1)
    record(lake, "abcdefabcdef", "examples", {}, {"users_vocabulary": users[1]})
    assert counts("abcdefabcdef") == (2, 2)  # the output of another stage; what it did not write is the newest
    # The same versions are the same run, however they were named.
    assert run_stage(settings, COUNTS, as_of=[between]).keys() == {*COUNTS.reads}
    assert run_stage(settings, COUNTS, as_of=[before.run_id]) is None
    assert runs.latest(lake, "report").run_id == before.run_id


def test_a_version_that_maintenance_made_is_the_one_whose_rows_it_holds(lake, settings, seen):
    versions = [add(lake, "users_vocabulary", name) for name in "abc"]
    run_stage(settings, COUNTS)
    assert lake.open("users_vocabulary").optimize.compact()["numFilesAdded"] == 1
    packed = lake.version("users_vocabulary")
    assert packed > versions[-1] == lake.data_version("users_vocabulary")
    for told in (f"users_vocabulary={packed}", datetime.now(UTC).isoformat()):
        assert run_stage(settings, COUNTS, as_of=[told]) is None  # it would read what it read
    add(lake, "users_vocabulary", "d")
    assert run_stage(settings, COUNTS, as_of=[f"users_vocabulary={packed}"])["users_vocabulary"] == 3


def test_a_bare_version_is_of_the_only_table_there_is(lake, settings, seen):
    users = [add(lake, "users_vocabulary", name) for name in "ab"]
    assert run_stage(settings, COUNTS, as_of=[str(users[0])])["users_vocabulary"] == 1
    add(lake, "items_vocabulary", "x")
    with pytest.raises(ConfigError, match=r"reads users_vocabulary, items_vocabulary, expected TABLE=1"):
        run_stage(settings, COUNTS, as_of=["1"])


def test_what_cannot_be_read_is_one_clear_line(lake, settings, seen):
    versions = [add(lake, "users_vocabulary", name) for name in "ab"]
    add(lake, "items_vocabulary", "x")

    def refused(*as_of):
        with pytest.raises((ConfigError, TableError)) as error:
            run_stage(settings, COUNTS, as_of=as_of)
        assert "\n" not in str(error.value)
        return str(error.value)

    newest_version = versions[-1]
    assert f"users_vocabulary has no version 99: expected at most {newest_version}" in refused("users_vocabulary=99")
    assert "reads no events, expected one of users_vocabulary" in refused("events=1")
    assert "no run 0123456789ab" in refused("0123456789ab")
    assert "found" not in refused("yesterday") and "ISO time" in refused("yesterday")
    assert "none of users_vocabulary, items_vocabulary was there" in refused("2001-01-01")
    record(lake, "abcdefabcdef", "ingest", {}, {"events_raw": 1})
    assert "a run of ingest, which neither reads nor writes" in refused("abcdefabcdef")
    with pytest.raises(ConfigError, match="stage ingest reads no table"):
        pinned(settings, stage("ingest"), ["3"])
    # Files of the first version are gone after its rows were written anew and the table vacuumed.
    lake.overwrite("users_vocabulary", lake.read("users_vocabulary"))
    lake.open("users_vocabulary").vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    said = refused(f"users_vocabulary={versions[0]}")
    assert said == f"table users_vocabulary cannot be read at version {versions[0]}: 1 of its 1 files were vacuumed"


def test_a_table_of_the_past_takes_no_write(lake):
    version = add(lake, "users_vocabulary", "a")
    past = Lake(lake.root, versions={"users_vocabulary": version})
    for write in (lambda: add(past, "users_vocabulary", "b"), lambda: past.overwrite("users_vocabulary", pa.table({}))):
        with pytest.raises(TableError, match=f"is read at version {version} here, expected no write"):
            write()
    assert lake.version("users_vocabulary") == version


def test_a_stage_that_reads_a_model_reads_what_the_model_was_trained_on(lake, settings):
    versions = [add(lake, "users_vocabulary", name) for name in "abc"]
    record(lake, "aaaaaaaaaaaa", "train", {"users_vocabulary": versions[0]}, started=0)
    record(lake, "bbbbbbbbbbbb", "train", {"users_vocabulary": versions[1]}, started=1)
    record(lake, "cccccccccccc", "train", {"users_vocabulary": versions[1]}, started=2)
    chosen = stage("evaluate")

    def read(*as_of):
        where = pinned(settings, chosen, as_of).lake
        return where.model, where.versions["users_vocabulary"], where.versions["examples"]

    assert read() == ("cccccccccccc", versions[1], None)
    assert read("bbbbbbbbbbbb") == ("bbbbbbbbbbbb", versions[1], None)
    assert read("2024-01-01T12:00:00Z") == ("aaaaaaaaaaaa", versions[0], None)
    assert read(f"users_vocabulary={versions[0]}") == ("aaaaaaaaaaaa", versions[0], None)
    with pytest.raises(ConfigError, match="no finished training run is of that"):
        read(f"users_vocabulary={versions[2]}")
    with pytest.raises(ModelError, match="bbbbbbbbbbbb"):  # the one asked for, whose model is not there
        newest(Lake.of(pinned(settings, chosen, ["bbbbbbbbbbbb"]).lake))


def test_only_what_changes_a_lake_reads_it_past_its_pins():
    root = Path(__file__).parents[2]
    unpinned = {
        file.name
        for folder in ("libs", "jobs", "ray_train", "notebooks")
        for file in (root / folder).rglob("*.py")
        if "Lake(settings.lake.root)" in file.read_text()
    }
    assert unpinned == {"maintain.py", "migrate.py", "drop_vectors.py", "forget_user.py"}


def test_a_model_is_read_with_the_settings_it_was_trained_with(lake, settings, seen, capsys):
    """What is evaluated and recorded, baselines too, is of these; whoever asks for others without a name is told so."""
    inputs = {"users_vocabulary": add(lake, "users_vocabulary", "a")}
    for number, (run_id, width) in enumerate((("aaaaaaaaaaaa", 32), ("bbbbbbbbbbbb", settings.model.width))):
        trained = settings.model_copy(update={"model": settings.model.model_copy(update={"width": width})})
        record(lake, run_id, "train", inputs, started=number, settings=sections(trained, stage("train")))
    chosen = replace(COUNTS, settings=("seed", "model", "evaluate"), reads_model=True)
    seen.read = []
    seen.run = lambda settings: seen.read.append(settings) or {}

    def asked(width, as_of=(), model=None, **evaluate):
        raw = settings.model_dump(mode="json") | {"evaluate": evaluate}
        raw["model"]["width"], raw["lake"]["model"] = width, model
        capsys.readouterr()
        run_stage(parse_settings(raw), chosen, as_of=as_of, force=True)
        recorded = runs.latest(lake, "report").settings["model"]["width"]
        assert recorded == seen.read[-1].model.width
        return recorded, seen.read[-1].lake.model, " ".join(capsys.readouterr().err.split())

    ours = settings.model.width
    assert asked(ours, resamples=7) == (ours, "bbbbbbbbbbbb", "")
    assert seen.read[-1].evaluate.resamples == 7
    width, model, said = asked(32)
    assert (width, model) == (ours, "bbbbbbbbbbbb")
    assert (
        "the newest model, run bbbbbbbbbbbb, was trained with other settings (model.width), and is read with its own"
        in said
    )
    assert "run train first, or name it: lake.model=bbbbbbbbbbbb" in said
    assert asked(32, model="bbbbbbbbbbbb") == (ours, "bbbbbbbbbbbb", "")  # named, so meant
    assert asked(ours, as_of=["aaaaaaaaaaaa"]) == (32, "aaaaaaaaaaaa", "")


def test_no_stage_opens_the_lake_past_its_pins_or_writes_what_it_reads():
    for one in STAGES:
        assert not set(one.reads) & set(one.writes), one.name
        source = Path(sys.modules["tandemrec"].__file__).parents[2] / f"{one.module.replace('.', '/')}.py"
        unpinned = [line for line in source.read_text().splitlines() if "Lake(settings.lake.root)" in line]
        assert unpinned == [], one.module
