"""Tabular data through ingest, clean and examples: what stands in a cell arrives, or the row is in quarantine."""

import numpy as np
import pandas as pd
import pytest
from tabular_data import settings_of, table

from jobs import build_examples, clean, ingest
from tandemrec.config.tabular import TabularSettings
from tandemrec.errors import ConfigError, SourceError
from tandemrec.examples.log import TRAIN
from tandemrec.examples.rows import category_values

HEADER = ["job", "colour", "age", "gain", "rich", "bought"]


def through(spark, settings):
    ingest.run(spark, settings)
    clean.run(spark, settings)
    return build_examples.run(spark, settings)


def by_line(lake, name):
    lines = {row["line"]: row for row in lake.read(name).to_pylist()}
    assert len(lines) == lake.read(name).num_rows
    return lines


def test_every_cell_arrives_and_what_is_learned_from_training_rows_is_theirs(spark, lake, tmp_path):
    rows = table(rows=60)[HEADER]
    rows.loc[3, "job"], rows.loc[4, "job"], rows.loc[5, "rich"] = "?", " high ", ""
    rows.to_csv(tmp_path / "people.csv", index=False)
    settings = settings_of(tmp_path, lake.root)
    figures = through(spark, settings)

    cells = by_line(lake, "rows")
    assert len(cells) == 60 and dict(cells[5]["cells"])["job"] == "high" and "job" not in dict(cells[4]["cells"])
    examples = {row["example_id"]: row for row in lake.read("examples").to_pylist()}
    splits = {row["example_id"]: row["split"] for row in examples.values()}
    vocabulary = {
        (r["attribute"], r["value"]): r["value_index"] for r in lake.read("attributes_vocabulary").to_pylist()
    }
    numbers = np.array([row["numbers"] for row in examples.values()], float)
    expected = pd.to_numeric(rows["age"]), pd.to_numeric(rows["gain"])
    assert sorted(numbers[:, 0]) == sorted(expected[0])
    np.testing.assert_allclose(np.sort(numbers[:, 1]), np.sort(expected[1]))  # NaN last in both
    values = {index: value for (space, value), index in vocabulary.items() if space == "column job"}
    jobs = [values.get(row["categories"][0], "?") for row in examples.values()]
    assert sorted(jobs) == sorted(rows["job"].str.strip())
    told = [dict(row["labels"]) for row in examples.values()]
    assert sum(one.get("rich", 0) for one in told) == (rows["rich"] == "yes").sum()
    assert sum("rich" not in one for one in told) == 1 and sum(one["bought"] for one in told) == rows["bought"].sum()
    counts = {split: list(splits.values()).count(split) for split in ("train", "valid", "test")}
    assert min(counts.values()) > 0 and figures["labels"]["train"]["bought"] == counts["train"]

    build_examples.run(spark, settings)  # the same again
    assert {row["example_id"]: row for row in lake.read("examples").to_pylist()} == examples


@pytest.mark.slow
def test_a_value_that_only_later_splits_hold_is_unknown(spark, lake, tmp_path):
    (tmp_path / "train").write_text("a, 1, yes, 0, .5\nb,2,no,1,\nb,3,no,0,2\nb,3,no,0,0\n" * 5)
    (tmp_path / "test").write_text("c, 4, yes, 0, 1\nb, ,no,1, 1\n")
    source = {"table": "rows", "kind": "tabular", "header": ["job", "age", "rich", "bought", "counts"]}
    sources = [
        source | {"name": "train", "path": "train"},
        source | {"name": "test", "path": "test", "constants": {"split": "test"}},
    ]
    tabular = {
        "categorical": ["job"],
        "numeric": ["age"],
        "labels": {"rich": {"column": "rich", "equals": "yes"}, "bought": {"column": "bought"}},
        "weight": "counts",
    }
    settings = settings_of(
        tmp_path, lake.root, sources=sources, tabular=tabular, examples={"split": "given", "valid_share": 0.3}
    )
    through(spark, settings)
    rows = lake.read("examples").to_pylist()
    assert sorted((row["weight"] or 1.0) for row in rows) == sorted([0.5, 1.0, 2.0] * 5 + [1.0, 1.0])
    assert {row["reason"] for row in lake.read("quarantine").to_pylist()} == {"weight_not_positive"}
    test = sorted((row["categories"][0], row["numbers"][0]) for row in rows if row["split"] == "test")
    assert test == [(0, 4.0), (2, None)]
    assert {row["split"] for row in rows} == {"train", "valid", "test"}
    assert [row["value"] for row in lake.read("attributes_vocabulary").to_pylist()] == ["a", "b"]


def test_bad_rows_are_in_quarantine_and_a_wrong_column_is_one_error(spark, lake, tmp_path):
    (tmp_path / "people.csv").write_text(
        "job,colour,age,gain,rich,bought\na,red,20,1,yes,0\na,red,old,1,no,1\na,red,20\na,red,20,1,no,maybe\n"
        "a,red,Infinity,1,no,0\n"
    )
    settings = settings_of(tmp_path, lake.root)
    ingest.run(spark, settings)
    figures = clean.run(spark, settings)
    assert figures["rows"]["kept"] == 1
    assert figures["rows"]["rejected"] == {"broken_record": 1, "number_unreadable": 3}
    assert by_line(lake, "quarantine")[3]["raw"] == "a,red,20"

    (tmp_path / "more.csv").write_text("job,colour,age,gain,rich,bought\nb,red,30,,no,1\n")
    wider = settings_of(tmp_path, lake.root, sources=[settings.sources[0].model_dump() | {"path": "*.csv"}])
    ingest.run(spark, wider)
    assert clean.run(spark, wider)["rows"]["kept"] == 2

    tabular = settings.tabular.model_dump() | {"numeric": ["aeg"]}
    with pytest.raises(
        SourceError, match=r"people.csv has no column 'aeg', which tabular.numeric names; found \['job'"
    ):
        clean.run(spark, settings_of(tmp_path, lake.root, tabular=tabular))


def test_a_value_needs_as_many_training_rows_as_the_settings_say(spark):
    cells = [
        (TRAIN, {"job": "often"}),
        (TRAIN, {"job": "often"}),
        (TRAIN, {"job": "once"}),
        (TRAIN + 1, {"job": "once"}),
    ]
    rows = spark.createDataFrame(cells, "split int, cells map<string,string>")
    tabular = TabularSettings(categorical=["job"], labels={"rich": {"column": "rich"}}, min_rows=2)
    assert [row["id"] for row in category_values(rows, tabular).collect()] == ["often"]


def test_classes_by_name_are_numbered_and_one_that_training_lacks_is_told_apart(spark, lake, tmp_path):
    (tmp_path / "train").write_text("a,1,cat\nb,2, dog \nb,3,cat\nb,3,?\na,1,dog\n" * 6)
    (tmp_path / "test").write_text("a,1,bird\nb,2,dog\n")
    source = {"table": "rows", "kind": "tabular", "header": ["job", "age", "pet"]}
    sources = [
        source | {"name": "train", "path": "train"},
        source | {"name": "test", "path": "test", "constants": {"split": "test"}},
    ]
    tabular = {"categorical": ["job"], "numeric": ["age"], "labels": {"pet": {"column": "pet", "classes": True}}}
    changes = {
        "sources": sources,
        "tabular": tabular,
        "tasks": [{"name": "pet", "kind": "multiclass", "reads": ["row"]}],
        "train": {"stop_on": "pet/log_loss"},
    }
    settings = settings_of(tmp_path, lake.root, examples={"split": "given", "valid_share": 0.3}, **changes)
    assert through(spark, settings)["labels"]["test"]["pet"] == 2
    vocabulary = lake.read("attributes_vocabulary").to_pylist()
    class_of = {row["value_index"]: row["value"] for row in vocabulary if row["attribute"] == "label pet"}
    assert sorted(class_of) == [1, 2, 3] and sorted(class_of.values()) == ["bird", "cat", "dog"]
    told = [(row["split"] == "test", dict(row["labels"]).get("pet")) for row in lake.read("examples").to_pylist()]
    named = sorted((held_out, class_of.get(number, "?")) for held_out, number in told)
    kinds = [(False, "?"), *[(False, "cat")] * 2, *[(False, "dog")] * 2]
    assert named == sorted([*kinds * 6, (True, "bird"), (True, "dog")])


def test_classes_by_name_are_for_tasks_of_several(tmp_path):
    tabular = {"categorical": ["job"], "labels": {"pet": {"column": "pet", "classes": True}}}
    changes = {"tabular": tabular, "train": {"stop_on": "pet/auc"}}
    with pytest.raises(ConfigError, match=r"tasks.pet.kind is binary and tabular.labels.pet has classes, expected mul"):
        settings_of(tmp_path, tmp_path, tasks=[{"name": "pet", "kind": "binary", "reads": ["row"]}], **changes)
