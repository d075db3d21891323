"""The lake without an engine: contracts become tables, keys are merged, what does not fit is refused in one line."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import fs

from tandemrec.config.root import LakeSettings
from tandemrec.errors import ConfigError, TableError
from tandemrec.lake import TABLES, Lake
from tandemrec.lake.contracts import VERSION_PROPERTY
from tandemrec.lake.describe import markdown


def recommendations(rows):
    return pa.table(
        {
            "run_id": ["r"] * len(rows),
            "user_id": [user for user, _, _ in rows],
            "rank": pa.array([rank for _, rank, _ in rows], pa.int32()),
            "item_id": ["i"] * len(rows),
            "score": pa.array([score for _, _, score in rows], pa.float64()),
            "reason": ["popular"] * len(rows),
            "model_version": ["m"] * len(rows),
        }
    )


def test_every_contract_becomes_a_table_once(lake):
    for name, contract in TABLES.items():
        lake.ensure(name)
        version = lake.version(name)
        lake.ensure(name)
        assert lake.version(name) == version
        found = DeltaTable(lake.path(name))
        assert [field.name for field in found.schema().fields] == list(contract.column_names)
        assert found.metadata().description == contract.comment
        assert all(field.metadata.get("comment") for field in found.schema().fields)
        assert set(contract.key) <= {field.name for field in found.schema().fields if not field.nullable}
    assert [info.name for info in lake.tables()] == list(TABLES)


def test_a_version_of_what_is_no_table_is_refused():
    assert (
        Lake.of(LakeSettings(root="lake", versions={"events": 3, "predictions_staging": None})).version("events") == 3
    )
    with pytest.raises(ConfigError, match=r"lake\.versions names 'evnts', expected some of .*'events'"):
        Lake.of(LakeSettings(root="lake", versions={"evnts": 3}))


def test_a_store_that_cannot_be_reached_is_named_with_the_cause(monkeypatch):
    def refuse(path):
        raise OSError("Generic S3 error\n  \x1b[31m↳\x1b[0m no credentials were found")

    monkeypatch.setattr(DeltaTable, "is_deltatable", refuse)
    with pytest.raises(TableError) as error:
        Lake("s3://bucket/shop").refuse_empty()
    assert (
        str(error.value)
        == "the lake at s3://bucket/shop cannot be reached: Generic S3 error ↳ no credentials were found"
    )


def test_merge_inserts_updates_and_then_changes_nothing(lake):
    assert lake.merge("recommendations", recommendations([("a", 1, 0.5), ("a", 2, 0.4)])).inserted == 2
    again = lake.merge("recommendations", recommendations([("a", 1, 0.5), ("a", 2, 0.4)]))
    assert (again.inserted, again.updated) == (0, 0)
    changed = lake.merge("recommendations", recommendations([("a", 2, 0.3), ("b", 1, 0.9)]))
    assert (changed.inserted, changed.updated) == (1, 1)
    rows = lake.read("recommendations").sort_by([("user_id", "ascending"), ("rank", "ascending")])
    assert rows["score"].to_pylist() == [0.5, 0.3, 0.9]


@settings(max_examples=15, deadline=None)
@given(
    batches=st.lists(st.dictionaries(st.tuples(st.sampled_from("abc"), st.integers(1, 4)), st.floats(0, 1)), max_size=5)
)
def test_merge_equals_a_dictionary(batches, tmp_path_factory):
    lake, expected = Lake(str(tmp_path_factory.mktemp("lake"))), {}
    lake.ensure("recommendations")
    for batch in batches:
        lake.merge("recommendations", recommendations([(*key, score) for key, score in batch.items()]))
        expected.update(batch)
    rows = lake.read("recommendations").to_pylist()
    assert {(row["user_id"], row["rank"]): row["score"] for row in rows} == expected


def test_repeated_keys_and_broken_constraints_are_refused(lake):
    with pytest.raises(TableError, match=r"1 keys occur more than once.*'rank': 1"):
        lake.merge("recommendations", recommendations([("a", 1, 0.5), ("a", 1, 0.4)]))
    with pytest.raises(TableError, match="recommendations"):
        lake.merge("recommendations", recommendations([("a", 0, 0.5)]))
    with pytest.raises(TableError, match=r"lack \['score'\]"):
        lake.merge("recommendations", recommendations([("a", 1, 0.5)]).drop_columns(["score"]))
    assert lake.read("recommendations").num_rows == 0


def test_a_newer_contract_and_an_absent_table_are_said_in_one_line(lake):
    with pytest.raises(TableError, match="metrics does not exist"):
        lake.read("metrics")
    lake.ensure("metrics")
    lake.open("metrics").alter.set_table_properties({VERSION_PROPERTY: "99"}, raise_if_not_exists=False)
    with pytest.raises(TableError, match="made by contract 99, expected 1 or less"):
        lake.read("metrics")
    with pytest.raises(TableError, match="no table 'metric'"):
        lake.read("metric")


def test_a_table_with_other_columns_is_drift(lake):
    other = DeltaTable.create(lake.path("metrics"), pa.schema([("run_id", pa.string()), ("figure", pa.float64())]))
    assert other.version() == 0
    with pytest.raises(
        TableError, match=r"table metrics: column figure is double, expected no such column .* \(and \d+ more\)"
    ):
        lake.ensure("metrics")


def test_overwrite_is_one_version(lake):
    lake.overwrite("recommendations_staging", recommendations([("a", 1, 0.5)]))
    version = lake.version("recommendations_staging")
    lake.overwrite("recommendations_staging", iter(lake.read("recommendations_staging").to_batches()))
    assert lake.version("recommendations_staging") == version + 1
    assert lake.read("recommendations_staging").num_rows == 1
    assert lake.read("recommendations_staging", version=version).num_rows == 1


def test_a_filter_on_strings_works_on_the_files_of_a_merge(lake):
    lake.merge("recommendations", recommendations([("a", 1, 0.5), ("a", 2, 0.4), ("b", 1, 0.3)]))
    where = pc.field("user_id") == "a"
    found = lake.read("recommendations", ["rank", "user_id"], where=where)
    assert found.to_pylist() == [{"rank": 1, "user_id": "a"}, {"rank": 2, "user_id": "a"}]
    assert found.schema.field("user_id").type == pa.string()
    assert lake.read("recommendations", where=where, limit=1).num_rows == 1
    assert lake.read("recommendations", where=pc.field("user_id").isin(["b", "c"]))["score"].to_pylist() == [0.3]


def test_arrow_reads_local_files_itself(lake, tmp_path, monkeypatch):
    """Through delta-rs its threads run Python, and one that does while the process ends aborts it."""
    lake.merge("recommendations", recommendations([("a", 1, 0.5)]))
    monkeypatch.chdir(tmp_path)
    for root in (lake.root, "lake"):
        dataset = Lake(root).dataset("recommendations")
        assert isinstance(dataset.filesystem.base_fs, fs.LocalFileSystem)
        assert dataset.to_table().num_rows == 1


def test_the_page_of_tables_is_current():
    page = Path(__file__).parents[2] / "docs" / "tables.md"
    assert page.read_text(encoding="utf-8") == markdown(), "make docs writes it anew"
