"""The same table through Spark, delta-rs and Ray's reader; merges through Spark."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import functions as F

from tandemrec.errors import TableError
from tandemrec.lake import TABLES, Column
from tandemrec.lake import spark as lake_spark
from tandemrec.lake.comparison import differences
from tandemrec.lake.drift import migrate
from tandemrec.lake.scratch import Scratch
from tandemrec.lake.types import arrow_schema


def vectors(hashes, value):
    rows = [{"text_hash": h, "encoder": "e", "vector": [value, 0.5]} for h in hashes]
    names = ("text_hash", "encoder", "vector")
    return pa.Table.from_pylist(rows, pa.schema([arrow_schema(TABLES["text_vectors"]).field(name) for name in names]))


def test_spark_reads_what_delta_rs_wrote_and_back(spark, lake):
    lake.merge("text_vectors", vectors(["a", "b"], 1.0))
    frame = lake_spark.read(spark, lake, "text_vectors")
    merged = lake_spark.merge(spark, lake, "text_vectors", frame.withColumn("vector", F.array(F.lit(2.0), F.lit(3.0))))
    assert (merged.inserted, merged.updated) == (0, 2)
    assert lake.read("text_vectors").sort_by("text_hash")["vector"].to_pylist() == [[2.0, 3.0]] * 2
    assert lake_spark.read(spark, lake, "text_vectors", version=lake.version("text_vectors") - 1).first()["vector"] == [
        1.0,
        0.5,
    ]


def test_versions_from_before_a_migration_are_read_and_compared_with_nulls(spark, lake, monkeypatch):
    """So that `--as-of` and `reproduce` reach back over it."""
    lake.merge("text_vectors", vectors(["a"], 1.0))
    before, contract = lake.version("text_vectors"), TABLES["text_vectors"]
    more = replace(contract, columns=(*contract.columns, Column(name="norms", type="array<float>", comment="new")))
    monkeypatch.setitem(TABLES, "text_vectors", more)
    assert migrate(lake.open("text_vectors"), more) == []
    lake.merge("text_vectors", vectors(["b"], 1.0).append_column("norms", pa.array([[1.0]], pa.list_(pa.float32()))))
    found = lake_spark.read(spark, lake, "text_vectors", version=before)
    assert found.select("text_hash", "norms").collect() == [("a", None)]
    now = lake_spark.read(spark, lake, "text_vectors")
    assert now.count() == 2 and now.columns == found.columns
    unlike = differences(now, found, more)
    assert (unlike.same, unlike.found_only, dict(unlike.by_column)) == (1, 1, {})


def test_merge_through_spark_is_idempotent_and_replace_deletes(spark, lake):
    lake.merge("text_vectors", vectors(["a", "b", "c"], 1.0))
    kept = lake_spark.read(spark, lake, "text_vectors").where("text_hash <> 'c'").localCheckpoint()
    first = lake_spark.merge(spark, lake, "text_vectors", kept, replace=True)
    again = lake_spark.merge(spark, lake, "text_vectors", kept, replace=True)
    assert (first.inserted, first.updated, first.deleted) == (0, 0, 1)
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    assert sorted(lake.read("text_vectors")["text_hash"].to_pylist()) == ["a", "b"]


def test_every_table_is_the_contract_in_spark_too(spark, lake):
    for name, contract in TABLES.items():
        lake.ensure(name)
        fields = lake_spark.read(spark, lake, name).schema.fields
        assert [(f.name, f.dataType.simpleString()) for f in fields] == [(c.name, c.type) for c in contract.columns]


def test_append_once_appends_once(spark, lake):
    row = spark.createDataFrame([("a", "e", [1.0])], "text_hash string, encoder string, vector array<float>")
    for _ in range(2):
        lake_spark.append_once(row, lake, "text_vectors", application="test", version=1)
    assert lake.read("text_vectors").num_rows == 1


def test_constraints_hold_in_spark(spark, lake):
    lake.ensure("items_vocabulary")
    with pytest.raises(Exception, match=r"index_from_1|item_index"):
        lake_spark.append_once(
            spark.createDataFrame([("i", 0)], "item_id string, item_index int"),
            lake,
            "items_vocabulary",
            application="test",
            version=1,
        )
    assert lake.read("items_vocabulary").num_rows == 0


def test_rows_that_lack_a_column_are_refused(spark, lake):
    with pytest.raises(TableError, match=r"lack \['vector'\]"):
        lake_spark.merge(
            spark, lake, "text_vectors", spark.createDataFrame([("a", "e")], "text_hash string, encoder string")
        )


def test_replace_holds_exactly_the_rows_and_commits_only_changes(spark, lake):
    lake.ensure("items")
    items = lake_spark.read(spark, lake, "items")
    named = spark.createDataFrame(
        [("1", "x", None, ["a"], {"k": "v"}), ("2", None, None, [], None)],
        "item_id string, title string, brand string, category array<string>, attributes map<string,string>",
    )
    rows = items.unionByName(named, allowMissingColumns=True)
    assert lake_spark.replace(spark, lake, "items", rows.localCheckpoint())
    version = lake.version("items")
    assert not lake_spark.replace(spark, lake, "items", rows.orderBy(F.desc("item_id")).localCheckpoint())
    assert lake.version("items") == version
    swapped = rows.where("item_id = '1'").withColumns({"title": F.col("brand"), "brand": F.col("title")})
    assert lake_spark.replace(spark, lake, "items", swapped.localCheckpoint())
    assert lake.read("items", ["item_id", "title", "brand"]).to_pylist() == [
        {"item_id": "1", "title": None, "brand": "x"}
    ]


def test_what_a_stage_keeps_is_computed_once_and_gone_with_it(spark, lake, tmp_path):
    spark.sparkContext.setCheckpointDir(str(tmp_path / "theirs"))
    left = Path(lake.root) / "_scratch" / "clean" / "left"  # by a run that was killed
    left.mkdir(parents=True)
    for stage in ("clean", "examples"):
        computed = spark.sparkContext.accumulator(0)

        def counted(batches, computed=computed):
            for batch in batches:
                computed.add(batch.num_rows)
                yield batch

        with Scratch(spark, lake, stage) as scratch:
            assert not left.exists()
            rows = scratch.keep(spark.range(10).mapInArrow(counted, "id long"))
            assert rows.count() == 10 and sorted(row.id for row in rows.collect()) == list(range(10))
            assert computed.value == 10
        assert not list((Path(lake.root) / "_scratch").glob("*"))
        assert Path(spark.sparkContext.getCheckpointDir().removeprefix("file:")).parent == tmp_path / "theirs"


def test_the_folder_of_a_stage_that_has_ended_is_not_made_again(spark, lake, tmp_path):
    folder = Path(lake.root) / "_scratch" / "clean"
    spark.sparkContext.setCheckpointDir(str(folder))  # where no other was asked for, Spark goes on naming this one
    before = sorted(folder.glob("*"))
    with Scratch(spark, lake, "examples"):
        pass
    assert sorted(folder.glob("*")) == before
    spark.sparkContext.setCheckpointDir(str(tmp_path / "theirs"))
