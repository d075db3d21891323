import pyarrow as pa
import pytest

from jobs.publish import run
from tandemrec.config import parse_settings
from tandemrec.errors import TableError
from tandemrec.lake.types import arrow_schema


@pytest.fixture
def settings(lake):
    source = {"name": "s", "table": "events", "kind": "pairs", "path": "p", "constants": {"event_type": "click"}}
    return parse_settings({"data": {"root": "data"}, "lake": {"root": lake.root}, "sources": [source]})


def stage(lake, run_id, *, users=("u1", "u2"), k=3, score=1.0):
    """What predict leaves: k recommendations a user and one scored pair each."""
    common = {"run_id": run_id, "model_version": f"{run_id}/1"}
    pairs = [{**common, "user_id": u, "item_id": "i1", "scores": [("click", score), ("rating", 4.0)]} for u in users]
    best = [
        {**common, "user_id": u, "rank": r, "item_id": f"i{r}", "score": score / r, "reason": "popular"}
        for u in users
        for r in range(1, k + 1)
    ]
    for name, rows in (("predictions", pairs), ("recommendations", best)):
        contract = lake.table(f"{name}_staging")
        lake.overwrite(contract.name, pa.Table.from_pylist(rows, arrow_schema(contract)))


def published(lake, name, run_id):
    rows = [row for row in lake.read(name).to_pylist() if row["run_id"] == run_id]
    return sorted(rows, key=lambda row: (row["user_id"], row.get("rank", 0)))


def test_publish_merges_by_run_and_a_rerun_changes_nothing(spark, lake, settings):
    stage(lake, "a")
    assert run(spark, settings) == {
        "predictions": {"inserted": 2, "updated": 0, "deleted": 0},
        "recommendations": {"inserted": 6, "updated": 0, "deleted": 0},
    }
    versions = {name: lake.version(name) for name in ("predictions", "recommendations")}
    nothing = {"inserted": 0, "updated": 0, "deleted": 0}
    assert run(spark, settings) == {"predictions": nothing, "recommendations": nothing}
    assert versions == {name: lake.version(name) for name in versions}
    files_of_a = set(lake.open("recommendations").file_uris())

    of_a = published(lake, "recommendations", "a")
    stage(lake, "b", k=4)  # another model version adds its own rows
    assert run(spark, settings)["recommendations"] == {"inserted": 8, "updated": 0, "deleted": 0}
    assert published(lake, "recommendations", "a") == of_a
    assert files_of_a < set(lake.open("recommendations").file_uris())  # nor are they written again

    stage(lake, "b", users=("u1",), k=2, score=2.0)  # fewer places and users: the rest of b leaves, a stays
    assert run(spark, settings) == {
        "predictions": {"inserted": 0, "updated": 1, "deleted": 1},
        "recommendations": {"inserted": 0, "updated": 2, "deleted": 6},
    }
    assert published(lake, "recommendations", "a") == of_a
    assert [(r["user_id"], r["rank"], r["score"]) for r in published(lake, "recommendations", "b")] == [
        ("u1", 1, 2.0),
        ("u1", 2, 1.0),
    ]
    assert dict(published(lake, "predictions", "b")[0]["scores"]) == {"click": 2.0, "rating": 4.0}


def test_without_staged_tables_it_says_which_stage_is_missing(spark, lake, settings):
    with pytest.raises(TableError, match="predictions_staging does not exist"):
        run(spark, settings)
