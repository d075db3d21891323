"""A table that is not as its contract says is refused in one line, or migrated where no row must change."""

from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from jobs import migrate
from tandemrec.config import parse_settings
from tandemrec.errors import TableError
from tandemrec.lake import TABLES, Lake, contracts
from tandemrec.lake.contracts import VERSION_PROPERTY
from tandemrec.lake.drift import drifts
from tandemrec.lake.types import arrow_schema, delta_schema

NAME = "items_vocabulary"


@pytest.fixture
def settings(lake):
    source = {"name": "s", "table": "events", "kind": "pairs", "path": "p", "constants": {"event_type": "click"}}
    return parse_settings({"data": {"root": "data"}, "lake": {"root": lake.root}, "sources": [source]})


@pytest.fixture
def contract_becomes(monkeypatch):
    """The library's next version says something else of the table."""

    def change(*, more="", columns=None, **values):
        contract = TABLES[NAME]
        columns = (columns or contract.columns) + contracts.model.columns_of(more)
        monkeypatch.setitem(TABLES, NAME, replace(contract, columns=columns, **values))

    return change


def rows(lake, *pairs):
    schema = arrow_schema(lake.table(NAME))
    return pa.Table.from_pylist([{"item_id": item, "item_index": index} for item, index in pairs], schema)


def column(name, **values):
    return tuple(replace(c, **values) if c.name == name else c for c in TABLES[NAME].columns)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_place_without_tables_is_no_lake_that_is_as_it_should_be(lake, settings, dry_run):
    with pytest.raises(TableError, match=f"the lake at {lake.root} holds no table"):
        migrate.run(settings, dry_run=dry_run)


def test_what_can_change_is_migrated_and_rows_stay(lake, settings, contract_becomes, capsys):
    lake.overwrite(NAME, rows(lake, ("a", 1), ("b", 2)))
    before = lake.version(NAME)
    contract_becomes(
        columns=column("item_id", comment="what it is called", required=False),
        more="colour string of the item",
        checks={"index_from_1": "item_index >= 1", "index_below_9": "item_index < 9"},
        comment="Numbers",
    )
    with pytest.raises(
        TableError, match=r"items_vocabulary: column item_id is string NOT NULL, expected string by con"
    ):
        lake.ensure(NAME)
    assert migrate.run(settings, dry_run=True) == {NAME: {"found": 5, "left": 0}}
    assert lake.version(NAME) == before
    assert "column colour is absent, expected string: would change" in capsys.readouterr().out
    assert migrate.run(settings) == {NAME: {"found": 5, "left": 0}}
    lake.ensure(NAME)
    table = DeltaTable(lake.path(NAME))
    assert table.schema() == delta_schema(TABLES[NAME])
    assert (table.metadata().description, drifts(table, TABLES[NAME])) == ("Numbers", [])
    found = lake.read(NAME).sort_by("item_id").to_pylist()
    assert found == [{"item_id": i, "item_index": n, "colour": None} for i, n in (("a", 1), ("b", 2))]
    with pytest.raises(Exception, match="1 rows failed validation"):
        write_deltalake(
            lake.path(NAME), lake.read(NAME).set_column(1, "item_index", pa.array([9, 3], pa.int32())), mode="append"
        )
    assert migrate.run(settings) == {}


def test_versions_from_before_a_migration_are_read_with_nulls(lake, settings, contract_becomes):
    lake.overwrite(NAME, rows(lake, ("a", 1)))
    before = lake.version(NAME)
    contract_becomes(more="colour string of the item")
    with pytest.raises(pa.ArrowInvalid):  # not migrated yet: nothing is made up
        lake.read(NAME, ["item_id", "colour"])
    migrate.run(settings)
    lake.overwrite(NAME, rows(lake, ("a", 1)).set_column(2, "colour", pa.array(["red"])))
    assert lake.read(NAME, ["item_id", "colour"]).to_pylist() == [{"item_id": "a", "colour": "red"}]
    for found in (lake.read(NAME, version=before), Lake(lake.root, versions={NAME: before}).read(NAME)):
        assert found.to_pylist() == [{"item_id": "a", "item_index": 1, "colour": None}]


def test_a_constraint_that_rows_break_is_not_added(lake, settings, contract_becomes):
    lake.overwrite(NAME, rows(lake, ("a", 1), ("b", 2)))
    contract_becomes(checks={"index_from_1": "item_index >= 2"})
    with pytest.raises(
        TableError, match=r"index_from_1 is item_index >= 1: .*1 rows failed.* expected item_index >= 2"
    ):
        migrate.run(settings)
    with pytest.raises(TableError, match=r"constraint index_from_1 is item_index >= 1, expected .*migrate"):
        lake.ensure(NAME)
    assert lake.open(NAME).metadata().configuration["delta.constraints.index_from_1"] == "item_index >= 1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"columns": column("item_index", type="bigint")},
            "column item_index is int NOT NULL, expected bigint NOT NULL",
        ),
        ({"columns": TABLES[NAME].columns[:1]}, "column item_index is int NOT NULL, expected no such column"),
        ({"more": "colour string! of the item"}, "column colour is absent, expected string NOT NULL"),
        ({"partition_by": ("item_id",)}, r"the partitioning is by \[\], expected by \['item_id'\]"),
    ],
)
def test_what_needs_rows_to_change_is_refused(lake, settings, contract_becomes, change, said):
    lake.overwrite(NAME, rows(lake, ("a", 1)))
    contract_becomes(**change)
    with pytest.raises(TableError, match=f"table {NAME}: {said} by contract 1, which no migration can change"):
        lake.ensure(NAME)
    with pytest.raises(TableError, match=f"{said}, which no migration can change"):
        migrate.run(settings)


def test_properties_are_migrated_and_one_that_refuses_merges_is_refused(lake, settings, contract_becomes):
    lake.overwrite(NAME, rows(lake, ("a", 1)))
    contract_becomes(statistics=("item_id",))
    lake.ensure(NAME)  # older tables have statistics of all columns, which harms nobody
    of_others = {"delta.logRetentionDuration": "interval 9 days"}
    lake.open(NAME).alter.set_table_properties({"delta.appendOnly": "true", **of_others}, raise_if_not_exists=False)
    before = lake.data_version(NAME)
    with pytest.raises(TableError, match=r"property delta.appendOnly is true, expected false by contract 1, .*migrate"):
        lake.merge(NAME, rows(lake, ("a", 2)))
    assert migrate.run(settings) == {NAME: {"found": 2, "left": 0}}
    assert migrate.run(settings) == {}
    assert lake.data_version(NAME) == before
    assert lake.merge(NAME, rows(lake, ("a", 2), ("b", 3))).inserted == 1
    found = lake.open(NAME).metadata().configuration
    assert found["delta.dataSkippingStatsColumns"] == "item_id" and of_others.items() <= found.items()
    assert "max.item_index" not in pa.table(lake.open(NAME).get_add_actions(flatten=True)).column_names


def test_a_table_that_could_not_be_read_again_is_not_written(lake, settings):
    lake.overwrite(NAME, rows(lake, ("a", 1)))
    lake.open(NAME).alter.set_table_properties({"delta.enableDeletionVectors": "true"}, raise_if_not_exists=False)
    with pytest.raises(TableError, match=r"the feature deletionVectors is on, expected none.*DROP FEATURE"):
        lake.merge(NAME, rows(lake, ("a", 2)))
    with pytest.raises(TableError, match=r"cannot be read.*deletionVectors"):
        lake.read(NAME)
    with pytest.raises(TableError, match="deletionVectors is on"):
        migrate.run(settings)


def test_a_comment_stops_nobody_and_versions_rise(lake, settings, contract_becomes, monkeypatch):
    lake.ensure(NAME)
    contract_becomes(comment="Other words")
    for module in ("drift", "store"):
        monkeypatch.setattr(f"tandemrec.lake.{module}.CONTRACT_VERSION", "2")
    lake.ensure(NAME)
    assert migrate.run(settings) == {NAME: {"found": 1, "left": 0}}
    assert lake.open(NAME).metadata().configuration[VERSION_PROPERTY] == "2"
    monkeypatch.setattr("tandemrec.lake.store.CONTRACT_VERSION", "1")
    with pytest.raises(TableError, match="made by contract 2, expected 1 or less"):
        migrate.run(settings)
