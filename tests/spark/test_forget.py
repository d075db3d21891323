"""Somebody is forgotten: nothing of theirs is in any file, everything of others is as it was."""

import io
import json
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from jobs import clean, forget_user, ingest
from tandemrec.clean.people import Place, names, without
from tandemrec.cli import main
from tandemrec.config import parse_settings
from tandemrec.config.root import PseudonymSettings
from tandemrec.errors import ConfigError, TableError
from tandemrec.forget.proof import Person, scan
from tandemrec.lake import TABLES, Lake, runs
from tandemrec.lake.types import arrow_schema
from tandemrec.lake.upkeep import shorten_log, vacuum
from tandemrec.pipeline import run_stage, stage

GONE, STAYS = "user-7", "user-77"
OWN, SHARED, OTHER = "Quite an unusual lamp, I say", "Works as it should, thank you", "Nothing to say about it really"


@pytest.fixture
def settings(tmp_path):
    event = {"user_id": "uid", "item_id": "sku", "event_type": "what", "event_time": "at"}
    nested = {"user_id": "^uid", "item_id": "sku", "text": "said", "review_time": "at"}
    inside = {"user_id": "by.id", "item_id": "^sku", "text": "said", "review_time": "at"}
    sources = [
        {"name": "logs", "table": "events", "kind": "json", "path": "logs", "columns": event},
        {"name": "people", "table": "reviews", "kind": "json", "path": "people", "columns": nested,
         "explode": ["past"]},
        {"name": "things", "table": "items", "kind": "json", "path": "people", "columns": {"item_id": "sku"},
         "explode": ["past"]},
        {"name": "products", "table": "reviews", "kind": "json", "path": "products", "columns": inside,
         "explode": ["opinions"]},
    ]  # fmt: skip
    root = {"data": {"root": str(tmp_path / "data")}, "lake": {"root": str(tmp_path / "lake")}}
    more = {"clean": {"unknown_items": "keep"}, "report": {"path": str(tmp_path / "report.html")}}
    return parse_settings({**root, **more, "sources": sources})


def write(settings, name, *lines):
    path = Path(settings.data.root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))


def fill(spark, settings):
    """Raw files through ingest and clean, and gold as the stages after them leave it."""
    at = "2024-05-01T00:00:00Z"
    seen = {"sku": "lamp", "what": "click", "at": at}
    write(
        settings, "logs/day",
        {"uid": f" {GONE} ", **seen}, {"uid": STAYS, **seen}, {"uid": GONE, **seen, "what": "dance"},
        f'{{"uid": "{GONE}", "sku": ', f'{{"uid": "{STAYS}", "sku": ',
    )  # fmt: skip
    said = [{"sku": "lamp", "said": OWN, "at": at}, {"sku": "desk", "said": SHARED, "at": at}, {"sku": "x", "at": at}]
    write(settings, "people/all", {"uid": GONE, "past": said}, {"uid": STAYS, "past": said[1:2]})
    opinions = [{"by": {"id": GONE}, "said": OWN + "!", "at": at}, {"by": {"id": STAYS}, "said": OTHER, "at": at}]
    write(settings, "products/all", {"sku": "sofa", "opinions": [*opinions, {"by": {"id": STAYS}, "at": at}]})
    ingest.run(spark, settings)
    clean.run(spark, settings)
    lake = Lake(settings.lake.root)
    text = {row["text"]: row["text_hash"] for row in lake.read("reviews").to_pylist()}
    made = {"theirs": "what somebody made of it", "others": "what was made of another one"}
    text |= {f"made {name}": sha256(one.encode()).hexdigest() for name, one in made.items()}
    order = [text[OWN], text[SHARED], text[OTHER], text[OWN + "!"], text["made theirs"], text["made others"]]
    written = {row["text"]: row["review_id"] for row in lake.read("reviews").to_pylist() if row["text"] in (OWN, OTHER)}
    served = {"run_id": "r", "item_id": "lamp", "model_version": "r/1"}
    best = [served | {"user_id": u, "rank": 1, "score": 1.0, "reason": "popular"} for u in (GONE, STAYS)]
    pairs = [served | {"user_id": u, "scores": [("click", 0.5)]} for u in (GONE, STAYS)]
    example = {"kind": "review", "split": "train", "event_time": lake.read("reviews")["review_time"][0].as_py()}
    example |= {"item": 1, "history": [], "user_reviews": [], "review": 0, "seen": []}
    gold = {
        "users_vocabulary": [{"user_id": u, "user_index": n} for n, u in enumerate(("user-1", GONE, STAYS), 1)],
        "texts_vocabulary": [{"text_hash": h, "text_index": n} for n, h in enumerate(order, 1)],
        "text_vectors": [{"text_hash": h, "encoder": "e", "vector": [1.0]} for h in order],
        "text_terms": [{"text_index": n, "terms": [1]} for n in (1, 2, 3, 4)],
        "user_profiles": [{"user_id": u, "reviews": 1, "language": "en", "keywords": []} for u in (GONE, STAYS)],
        "user_summaries": [
            {"user_id": u, "summary_key": "k", "model": "m", "summary": f"likes: {t}"}
            for u, t in ((GONE, OWN), (STAYS, "lamps"))
        ],
        "texts_failed": [{"text_hash": text[t], "encoder": "f", "error": f"no: {t}"} for t in (OWN, OTHER)],
        "synthetic_texts": [
            {"synthetic_id": name, "review_id": written[own], "text": made[name], "text_hash": text[f"made {name}"],
             "text_index": n, "method": "crop_shuffle", "similarity": 0.9, "recipe": "r", "run_id": "x"}
            for n, (name, own) in enumerate((("theirs", OWN), ("others", OTHER)), 5)
        ],
        "synthetic_tried": [{"review_id": written[own], "recipe": "r"} for own in (OWN, OTHER)],
        "user_features": [{"user_index": n, "history": [], "reviews": [], "seen": []} for n in (1, 2, 3)],
        "item_features": [
            {"item_index": 1, "category": 0, "brand": 0, "price": 0, "text": 0, "reviews": [4, 3, 1], "interactions": 2,
             "attributes": []}
        ],
        "examples": [
            example | {"example_id": str(n), "user": n, "item_reviews": [1, 2, 3]} for n in (1, 2, 3)
        ],
        "recommendations": best, "recommendations_staging": best, "predictions": pairs, "predictions_staging": pairs,
    }  # fmt: skip
    for name, rows in gold.items():
        schema = arrow_schema(lake.table(name))
        lake.overwrite(name, pa.Table.from_pylist([{f: row.get(f) for f in schema.names} for row in rows], schema))
    common = {"status": "failed", "started_at": runs.now(), "seconds": 1.0, "inputs": {}, "outputs": {}}
    told = {"error": f"the first is {{'user_id': '{GONE}'}}"}
    run = runs.Run(run_id="x", stage="embed", config_hash="", code_version="", figures=told, **common)
    runs.record(lake, run)
    model = Path(lake.root) / "models" / "m"
    (model / "checkpoint_1").mkdir(parents=True)
    (model / "best").mkdir()
    tensors = {"user.id.own.weight": np.ones((4, 2), np.float32), "towers.weight": np.ones(3, np.float32)}
    save_file(tensors, model / "best" / "model.safetensors")
    settings.report_path.write_text(f"<td>{GONE}</td>")
    left = Path(lake.root) / "_scratch" / "clean"  # by a killed run
    left.mkdir(parents=True)
    (left / "part-00000").write_text(GONE)
    return lake, text


def everything(root):
    """The content of every file below the lake as text, read without Delta and without the library."""
    for path in sorted(Path(root).rglob("*")):
        if path.is_file() and path.suffix == ".parquet":
            yield path, repr(pq.ParquetFile(path).read().to_pylist())
        elif path.is_file():
            yield path, path.read_bytes().decode(errors="replace")


def mentions(root, *needles):
    others = {text.replace(STAYS, "") for _, text in everything(root)}
    return [needle for needle in needles if any(needle in text for text in others)]


@pytest.mark.slow
def test_nothing_of_a_person_stays_and_nothing_of_others_goes(spark, settings, monkeypatch, capsys):
    lake, text = fill(spark, settings)
    own = (GONE, OWN, text[OWN], text[OWN + "!"], text["made theirs"], "what somebody made of it")
    assert mentions(lake.root, *own) == list(own)
    before = {name: lake.read(name).to_pylist() for name in lake.names()}
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(ConfigError, match="no terminal to ask at, expected --yes"):
        forget_user.run(spark, settings, user=GONE)
    assert {name: lake.read(name).to_pylist() for name in lake.names()} == before

    figures = forget_user.run(spark, settings, user=GONE, yes=True)
    assert mentions(lake.root, *own) == []
    assert f"user '{GONE}' is in none of them" in capsys.readouterr().out
    assert figures["rows"] == {
        "events_raw": 3, "items_raw": 1, "reviews_raw": 2, "events": 1, "reviews": 3, "quarantine": 4,
        "users_vocabulary": 1, "texts_vocabulary": 3, "text_vectors": 3, "texts_failed": 1, "text_terms": 2,
        "user_profiles": 1, "user_summaries": 1, "item_features": 1, "synthetic_texts": 1,
        "synthetic_tried": 1, "user_features": 1, "examples": 3, "predictions": 1, "recommendations": 1, "runs": 1,
        "predictions_staging": 1, "recommendations_staging": 1,
    }  # fmt: skip
    assert [row["text_index"] for row in lake.read("text_terms").sort_by("text_index").to_pylist()] == [2, 3]
    served = ("user_profiles", "user_summaries", "predictions", "recommendations", "recommendations_staging")
    for name in ("events", "reviews", "user_features", *served):
        others = [row for row in before[name] if GONE not in row.values() and row.get("user_index") != 2]
        assert sorted(map(str, lake.read(name).to_pylist())) == sorted(map(str, others))
        assert spark.read.format("delta").load(lake.path(name)).count() == len(others)
    assert lake.read("events_raw").num_rows == len(before["events_raw"])
    raw = [row["raw"] for row in lake.read("events_raw").to_pylist() if row["raw"]]
    assert sorted(raw) == sorted(r["raw"] for r in before["events_raw"] if STAYS in r["raw"])
    product = next(row for row in lake.read("reviews_raw").to_pylist() if row["source"] == "products")
    opinions = json.loads(product["raw"])["opinions"]
    assert [one["by"]["id"] for one in opinions] == [STAYS, STAYS]
    left = {(row["source"], row["part"], row["reason"]) for row in lake.read("quarantine").to_pylist()}
    assert left == {("logs", 0, "broken_json"), ("products", 2, "text_empty")}

    users = {row["user_index"]: row["user_id"] for row in lake.read("users_vocabulary").to_pylist()}
    assert users == {1: "user-1", 2: "[forgotten 2]", 3: STAYS}
    hashes = {row["text_index"]: row["text_hash"] for row in lake.read("texts_vocabulary").to_pylist()}
    stay = {2: text[SHARED], 3: text[OTHER], 6: text["made others"]}
    assert hashes == {1: "[forgotten 1]", 4: "[forgotten 4]", 5: "[forgotten 5]"} | stay
    assert set(lake.read("text_vectors")["text_hash"].to_pylist()) == set(stay.values())
    assert lake.read("synthetic_texts")["synthetic_id"].to_pylist() == ["others"]
    assert lake.info("synthetic_tried").rows == 1
    assert {row["user"]: row["item_reviews"] for row in lake.read("examples").to_pylist()} == {1: [2, 3], 3: [2, 3]}
    assert lake.read("item_features")["reviews"].to_pylist() == [[3]]
    told = json.loads(lake.read("runs")["figures"][0].as_py())
    assert told["error"] == "the first is {'user_id': '[forgotten]'}"
    assert lake.read("texts_failed")["text_hash"].to_pylist() == [text[OTHER]]
    model = Path(lake.root) / "models" / "m"
    own_vectors = load_file(model / "best" / "model.safetensors")["user.id.own.weight"]
    assert own_vectors.tolist() == [[1, 1], [1, 1], [0, 0], [1, 1]]
    assert not (model / "checkpoint_1").exists()
    assert not settings.report_path.exists()

    with pytest.raises(TableError, match=f"knows user '{GONE}', and no file either"):
        forget_user.run(spark, settings, user=GONE, yes=True)
    clean.run(spark, settings)  # they do not come back
    assert GONE not in lake.read("events")["user_id"].to_pylist()


def test_a_person_leaves_both_ends_of_relations(spark, tmp_path):
    columns = {"user_id": "u", "relation": "r", "target_kind": "k", "target_id": "t"}
    sources = [
        {"name": "net", "table": "relations", "kind": "json", "path": "net", "columns": columns},
        {"name": "lists", "table": "relations", "kind": "json", "path": "lists", "explode": ["friends"],
         "columns": {"user_id": "^u", "target_id": "t"}, "constants": {"relation": "friend", "target_kind": "user"}},
    ]  # fmt: skip
    data, root = tmp_path / "data", tmp_path / "lake"
    report = {"path": str(tmp_path / "report.html")}
    raw = {"data": {"root": str(data)}, "lake": {"root": str(root)}, "report": report, "sources": sources}
    settings = parse_settings(raw)
    stay = [
        {"u": STAYS, "r": "follow", "k": "topic", "t": GONE},  # a topic that is named as the person is
        {"u": STAYS, "r": "follow", "k": "user", "t": "user-1"},
    ]
    go = [
        {"u": GONE, "r": "friend", "k": "user", "t": STAYS},
        {"u": STAYS, "r": "follow", "k": "User", "t": f" {GONE}"},
        {"u": GONE, "r": "tag", "k": "topic", "t": "jazz"},
        {"u": STAYS, "r": "dance", "k": "user", "t": GONE},  # quarantined
    ]
    write(settings, "net/a", *go, *stay)
    listed = {"u": STAYS, "friends": [{"t": GONE}, {"t": "user-1"}]}
    write(settings, "lists/a", listed, {"u": "user-1", "friends": GONE})  # the second is unreadable
    ingest.run(spark, settings)
    clean.run(spark, settings)
    figures = forget_user.run(spark, settings, user=GONE, yes=True)
    assert figures["rows"] == {"relations_raw": 6, "relations": 3, "quarantine": 2}
    lake = Lake(settings.lake.root)
    left = {(r["user_id"], r["relation"], r["target_id"]) for r in lake.read("relations").to_pylist()}
    assert left == {(STAYS, "follow", GONE), (STAYS, "follow", "user-1"), ("user-1", "friend", STAYS)}
    lines = [json.loads(one) for one in lake.read("relations_raw")["raw"].drop_null().to_pylist()]
    assert sorted(lines, key=str) == sorted([*stay, listed | {"friends": listed["friends"][1:]}], key=str)
    assert lake.read("quarantine").num_rows == 0
    assert scan(lake.root, Person(user="user-1"), settings.sources).found != []


def test_a_file_that_is_empty_without_the_person_is_not_read_again(spark, settings):
    settings = settings.model_copy(update={"sources": settings.sources[:1]})
    line = {"sku": "lamp", "what": "click", "at": "2024-05-01"}
    write(settings, "logs/1", {"uid": GONE, **line}, f'{{"uid": "{GONE}", ')
    write(settings, "logs/2", {"uid": STAYS, **line})

    def ingest_and_clean():
        run_stage(settings, stage("ingest"), spark=spark)
        run_stage(settings, stage("clean"), spark=spark)
        ingested, cleaned = (runs.latest(lake, name).figures for name in ("ingest", "clean"))
        return ingested["logs"], cleaned["events"], set(lake.read("events")["user_id"].to_pylist())

    lake = Lake(settings.lake.root)
    ingest_and_clean()
    forget_user.run(spark, settings, user=GONE, yes=True)
    for number, new in ((3, False), (4, True)):  # everything anew, and going on
        write(settings, f"logs/{number}", {"uid": f"user-{number}", **line})
        ingested, cleaned, users = ingest_and_clean()
        assert ingested == {"files": 1, "rows": 1, "known_files": number - 1}
        assert (cleaned["in"], cleaned["kept"], cleaned["rejected"]) == (number - 1, number - 1, {})
        assert ("new" in cleaned) == new
        assert GONE not in users


def test_what_gold_keeps_of_former_texts_goes_too(spark, settings, monkeypatch):
    lake, names = Lake(settings.lake.root), ("own", "other", "described", "made", "former", "made of none")
    text = {name: sha256(name.encode()).hexdigest() for name in (*names, "in an older file")}

    def hold(name, *rows):
        schema = arrow_schema(lake.table(name))
        lake.overwrite(name, pa.Table.from_pylist([{f: row.get(f) for f in schema.names} for row in rows], schema))

    at = {"source": "s", "file": "f", "line": 1, "part": 0}
    review = at | {"item_id": "lamp", "review_time": runs.now(), "text": "x", "clean_text": "x", "language": "en"}
    wrote = {GONE: "own", STAYS: "other"}
    hold("reviews", *[review | {"review_id": u, "user_id": u, "text_hash": text[t]} for u, t in wrote.items()])
    version = at | {"item_id": "lamp", "confirmed": [], "valid_from": runs.now()}
    hold("items_history", version | {"text_hash": text["described"]})
    made = {"text": "x", "method": "crop_shuffle", "similarity": 0.9, "recipe": "r", "run_id": "x", "text_index": 4}
    sources = {"made": STAYS, "made of none": "an id of before"}
    hold("synthetic_texts", *[
        made | {"synthetic_id": t, "review_id": r, "text_hash": text[t]} for t, r in sources.items()
    ])  # fmt: skip
    for known in (text, names):
        hold("text_vectors", *[{"text_hash": text[t], "encoder": e, "vector": [1.0]} for t in known for e in "ef"])
    hold("texts_failed", *[{"text_hash": text[t], "encoder": "g", "error": "no"} for t in names])
    hold("texts_vocabulary", *[{"text_hash": text[t], "text_index": n} for n, t in enumerate(names, 1)])
    hold("text_terms", *[{"text_index": n, "terms": [1]} for n in range(1, 7)])
    with pytest.raises(TableError, match="knows user 'user-5', and no file either"):
        forget_user.run(spark, settings, user="user-5", yes=True)
    monkeypatch.setenv("TANDEMREC_PSEUDONYM_KEY", "a key of the tests, 16 or more")  # since these rows came
    data = settings.data.model_copy(update={"pseudonymise": PseudonymSettings()})
    figures = forget_user.run(spark, settings.model_copy(update={"data": data}), user=GONE, yes=True)
    assert figures["rows"] == {
        "reviews": 1, "texts_vocabulary": 3, "text_terms": 3, "text_vectors": 6, "texts_failed": 3,
        "synthetic_texts": 1,
    }  # fmt: skip
    stay = [text[name] for name in ("other", "described", "made")]
    assert sorted(lake.read("text_vectors")["text_hash"].to_pylist()) == sorted(2 * stay)
    assert sorted(lake.read("texts_failed")["text_hash"].to_pylist()) == sorted(stay)
    hashes = {row["text_index"]: row["text_hash"] for row in lake.read("texts_vocabulary").to_pylist()}
    assert hashes == {n: f"[forgotten {n}]" for n in (1, 5, 6)} | dict(enumerate(stay, 2))
    assert sorted(lake.read("text_terms")["text_index"].to_pylist()) == [2, 3, 4]
    assert lake.read("synthetic_texts")["synthetic_id"].to_pylist() == ["made"]
    assert mentions(lake.root, *text.values()) == [text[name] for name in names if text[name] in stay]


def test_the_scan_finds_what_delta_no_longer_shows(lake):
    contract = TABLES["recommendations"]
    row = {"run_id": "r", "rank": 1, "item_id": "i", "score": 1.0, "reason": "popular", "model_version": "m"}

    def hold(user):
        lake.overwrite("recommendations", pa.Table.from_pylist([row | {"user_id": user}], arrow_schema(contract)))

    hold(GONE)
    hold(STAYS)
    found = scan(lake.root, Person(user=GONE), []).found
    assert any(place.endswith(": user_id") for place in found)  # the file of the older version
    assert any(place.endswith(".json") for place in found)  # its minimum and maximum in the log
    assert all(STAYS not in place for place in found)
    assert scan(lake.root, Person(user="user-1"), []).found == []
    assert scan(lake.root, Person(user=STAYS), []).found != []
    vacuum(lake, "recommendations", retain_hours=0)
    logs = scan(lake.root, Person(user=GONE), []).found
    assert logs != []
    assert all("/_delta_log/" in place for place in logs)
    shorten_log(lake, "recommendations")
    assert scan(lake.root, Person(user=GONE), []).found == []
    assert mentions(lake.root, GONE) == []
    hold("user-1")  # the table is whole: it is written and read on
    assert lake.read("recommendations")["user_id"].to_pylist() == ["user-1"]


def test_lines_lose_one_persons_records_only():
    inside = [Place(records=("list",), path=("by", "id"))]
    line = json.dumps({"a": 1, "list": [{"by": {"id": 7}}, None, {"by": {"id": "77"}}, {"by": "7"}, {}]})
    assert names(line, inside, "7")
    assert not names(line, inside, "1")
    assert json.loads(without(line, inside, "7")) == {"a": 1, "list": [None, {"by": {"id": "77"}}, {"by": "7"}, {}]}
    whole = [Place(path=("u",))]
    assert without('{"u": " 7 "}', whole, "7") is None
    assert json.loads(without('{"u": "8"}', whole, "7")) == {"u": "8"}
    assert names('{"u": "7"', whole, "7")  # unreadable, and the id stands in it
    assert not names('{"u": "77"', whole, "7")


def test_the_command_line_asks_for_a_user(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["forget-user", "--config", "x.yaml"])
    assert stop.value.code == 2
    assert "--user" in capsys.readouterr().err
