"""Tags, follows and friendships: each record is kept, merged or rejected for the first rule that it breaks."""

import json
from datetime import UTC, datetime

import pytest

from jobs import clean, ingest
from tandemrec.clean.batches import new_rows
from tandemrec.clean.relations import judge_relations, settle_relations
from tandemrec.clean.verdicts import unmapped
from tandemrec.config import CleanSettings, Source, parse_settings
from tandemrec.lake import Lake

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = {
    "user_id": "u",
    "relation": "r",
    "target_kind": "k",
    "target_id": "t",
    "since": "at",
    "weight": "w",
}
AT = "2025-03-01T12:34:56Z"
FRIENDS = {"r": "friend", "k": "user"}


def source(**changes):
    return Source(**{"name": "net", "table": "relations", "kind": "json", "path": "x", "columns": COLUMNS} | changes)


def judged(spark, lines, asked, items):
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    rows = [("net", "f", number, text) for number, text in enumerate(texts, 1)]
    bronze = spark.createDataFrame(rows, "source string, file string, line long, raw string").repartition(3)
    return settle_relations(judge_relations(bronze, [asked], CleanSettings(), now=NOW, items=items))


def test_relations_are_rejected_for_the_first_rule_they_break_and_merged_by_key(spark):
    good = {"u": "a", "r": "follow", "k": "user", "t": "b", "at": AT}
    lines = {
        "kept": [
            good,
            good | {"u": "b", "t": "a", "w": "0.5"},  # to follow has a direction
            good | {"k": "topic"},
            good | {"k": "topic", "t": "a"},  # a topic that is named as the user is
            {"u": "c", "r": "FOLLOWS ", "k": "Group", "t": "g"},
            good | {"r": "tag", "k": "item", "t": "1"},
            good | {"r": "member", "k": "group"},
            FRIENDS | {"u": "b", "t": "a", "at": "2024-01-01"},
        ],
        "merged": [
            good,
            good | {"u": " a ", "at": "2025-03-02"},
            good | {"at": None},
            FRIENDS | {"u": "a", "t": "b", "at": "2025-01-01"},
        ],
        "broken_json": ['{"u": "a"'],
        "user_id_missing": [good | {"u": " "}],
        "relation_unknown": [good | {"r": "likes"}, good | {"r": None}],
        "target_kind_unknown": [good | {"k": "planet"}, good | {"k": ""}],
        "target_kind_unfit": [FRIENDS | {"u": "a", "k": "topic", "t": "b"}, good | {"r": "member"}],
        "target_id_missing": [good | {"t": None}],
        "self_relation": [good | {"t": "a "}, FRIENDS | {"u": "a", "t": "a"}],
        "time_unreadable": [good | {"at": "soon"}],
        "time_in_future": [good | {"at": "2031-01-01"}],
        "time_too_early": [good | {"at": "1970-01-01"}],
        "weight_unreadable": [good | {"w": "much"}, good | {"w": "NaN"}, good | {"w": "-Infinity"}],
        "item_unknown": [good | {"k": "item", "t": "zzz"}],
    }
    flat = [(verdict, line) for verdict, some in lines.items() for line in some]
    items = spark.createDataFrame([("1",)], "item_id string")
    asked = source(relations={"follows": "follow"})
    rows = {row.line: row for row in judged(spark, [line for _, line in flat], asked, items).collect()}
    assert [rows[line].verdict for line in range(1, len(flat) + 1)] == [verdict for verdict, _ in flat]
    assert (rows[5].relation, rows[5].target_kind, rows[5].since) == ("follow", "group", None)
    assert (rows[8].user_id, rows[8].target_id, rows[8].since.year) == ("a", "b", 2024)
    assert rows[2].weight == 0.5
    unknown = unmapped(new_rows(judged(spark, [line for _, line in flat], asked, items)), "relation_unknown")
    assert [tuple(row) for row in unknown.collect()] == [(asked.name, "likes", 1)]
    assert all((row.raw is None) == (row.verdict in ("kept", "merged")) for row in rows.values())
    anything = judged(spark, [good | {"k": "item", "t": "zzz"}], asked, None).first()
    assert anything.verdict == "kept"


def test_pairs_through_the_stages(spark, tmp_path):
    (tmp_path / "trust.txt").write_text("1 2\n2 1\n3 3\n1 2\n4 5 6\n")
    settings = parse_settings(
        {
            "data": {"root": str(tmp_path)},
            "lake": {"root": str(tmp_path / "lake")},
            "sources": [
                {
                    "name": "trust",
                    "table": "relations",
                    "kind": "pairs",
                    "path": "trust.txt",
                    "constants": {"relation": "friend", "target_kind": "user"},
                }
            ],
        }
    )
    ingest.run(spark, settings)
    figures = clean.run(spark, settings)
    rejected = {"broken_json": 1, "self_relation": 1}
    assert figures == {"relations": {"in": 5, "kept": 1, "merged": 2, "rejected": rejected}}
    lake = Lake(settings.lake.root)
    (row,) = lake.read("relations").to_pylist()
    expected = {"user_id": "1", "relation": "friend", "target_kind": "user", "target_id": "2", "since": None}
    assert row == expected | {"weight": None, "source": "trust", "file": "trust.txt", "line": 1, "part": 0}
    assert {row["table_name"] for row in lake.read("quarantine").to_pylist()} == {"relations"}
    assert lake.read("items").num_rows == 0  # whom people know says nothing of what there is


def test_a_relation_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"relations leads to \['likes'\], expected some of \['follow', 'friend'"):
        source(relations={"likes": "likes"})
    with pytest.raises(ValueError, match=r"no column or constant for \['target_kind'\]"):
        source(columns={name: field for name, field in COLUMNS.items() if name != "target_kind"})
    with pytest.raises(ValueError, match=r"kind pairs is for \['events', 'relations'\], found table items"):
        source(table="items", kind="pairs", columns={})
