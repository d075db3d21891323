"""Stage embed on a real Ray and a real lake: each text once, restart, poison, encoders side by side."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from ray.data import DataContext

from ray_train import embed_text
from tandemrec.config import Settings, parse_settings
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import Lake
from tandemrec.text.encoder import Encoder
from tandemrec.text.sources import model_folder

pytestmark = pytest.mark.usefixtures("ray_local")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(lake: Lake, table: str, rows: list[dict]) -> None:
    names = lake.table(table).column_names
    lake.merge(table, pa.table({name: [row.get(name) for row in rows] for name in names}))


def _reviews(lake: Lake, texts: list[str], start: int = 0) -> None:
    same = {"user_id": "u", "item_id": "i", "language": "en", "source": "s", "file": "f", "part": 0}
    same["review_time"] = datetime(2024, 1, 1, tzinfo=UTC)
    rows = [
        {**same, "review_id": str(n), "line": n, "text": text, "clean_text": text, "text_hash": _hash(text)}
        for n, text in enumerate(texts, start)
    ]
    _rows(lake, "reviews", rows)


def _items(lake: Lake, texts: list[str | None]) -> None:
    _rows(lake, "items", [{"item_id": str(n), "text": t, "text_hash": t and _hash(t)} for n, t in enumerate(texts)])


def _settings(lake: Lake, model: str = "tiny:0", **embed: object) -> Settings:
    source = {"name": "r", "table": "reviews", "kind": "json", "path": "x", "columns": dict.fromkeys(
        ("user_id", "item_id", "text", "review_time"), "x")}  # fmt: skip
    embed = {"encoder": {"model": model, "max_length": 64}, "threads_per_actor": 1, **embed}
    return parse_settings({"data": {"root": "."}, "lake": {"root": lake.root}, "sources": [source], "embed": embed})


def _stored(lake: Lake, encoder: str) -> dict[str, list[float]]:
    rows = lake.read("text_vectors").to_pylist()
    return {row["text_hash"]: row["vector"] for row in rows if row["encoder"] == encoder}


def test_each_text_is_encoded_once_and_only_once(lake):
    texts = [f"good guitar {n}" for n in range(30)]
    _reviews(lake, [*texts, *texts[:9], ""])
    _items(lake, ["a cable", texts[3], None])
    settings = _settings(lake)
    figures = embed_text.run(settings)
    assert {key: figures[key] for key in ("texts", "encoded", "failed", "dimension")} == {
        "texts": 32, "encoded": 32, "failed": 0, "dimension": 32}  # fmt: skip
    stored = _stored(lake, figures["encoder"])
    expected = [*texts, "", "a cable"]
    np.testing.assert_allclose(
        [stored[_hash(text)] for text in expected], Encoder(settings.embed.encoder).encode(expected), atol=1e-5
    )

    again = embed_text.run(settings)
    assert (again["texts"], again["encoded"], again["encoder"]) == (32, 0, figures["encoder"])

    _reviews(lake, ["a new one", texts[0]], start=100)
    other = embed_text.run(_settings(lake, model="tiny:1", items=False))
    assert (other["texts"], other["encoded"]) == (32, 32)
    assert other["encoder"] != figures["encoder"]
    assert len(_stored(lake, figures["encoder"])) == 32


@pytest.mark.slow
def test_texts_too_many_for_a_block_or_a_round_have_the_same_outcome(lake, monkeypatch):
    texts = [f"good guitar {n}" for n in range(30)]
    _reviews(lake, [*texts, *texts[:9], ""])
    _items(lake, ["a cable", texts[3], None])
    monkeypatch.setattr(embed_text, "ROWS_IN_ONE_BLOCK", 5)  # they are sorted across the cluster
    sorted_ = embed_text.run(_settings(lake))
    assert (sorted_["texts"], sorted_["encoded"]) == (32, 32)
    monkeypatch.setattr(embed_text, "ROWS_IN_ONE_BLOCK", 25)
    monkeypatch.setattr(embed_text, "ROWS_IN_A_ROUND", 25)
    _reviews(lake, ["a new one", texts[0]], start=100)
    in_rounds = embed_text.run(_settings(lake))
    assert (in_rounds["texts"], in_rounds["encoded"]) == (33, 1)
    assert len(_stored(lake, in_rounds["encoder"])) == 33


@pytest.mark.slow
def test_rows_of_one_text_that_ray_parts_are_one_text(lake, monkeypatch):
    """What it sorts comes in blocks of at most so many bytes, cut wherever they are full."""
    monkeypatch.setattr(embed_text, "ROWS_IN_ONE_BLOCK", 5)
    monkeypatch.setattr(DataContext.get_current(), "target_max_block_size", 2_000)
    _reviews(lake, [*(f"good guitar {n}" for n in range(20)), *["Great!"] * 100])
    figures = embed_text.run(_settings(lake))
    assert (figures["texts"], figures["encoded"]) == (21, 21)


@pytest.mark.parametrize(("rows", "rounds"), [(0, 1), (5, 1), (6, 2), (20, 4), (80, 16), (10**9, 16)])
def test_each_text_has_its_round(rows, rounds, monkeypatch):
    monkeypatch.setattr(embed_text, "ROWS_IN_A_ROUND", 5)
    hashes = [*(f"{digit:x}{rest}" for digit in range(16) for rest in ("", "0", "f")), "", "~ no hash"]
    table = pa.table({"text_hash": hashes})
    parts = embed_text._rounds(rows)
    told = [table if part is None else table.filter(part) for part in parts]
    assert len(told) == rounds
    assert sorted(text for part in told for text in part["text_hash"].to_pylist()) == sorted(hashes)
    assert max(part.num_rows for part in told) <= 48 // rounds + 2


def test_rounds_read_in_small_pieces_hold_every_row_once(lake, monkeypatch):
    monkeypatch.setattr(embed_text, "READ_ROWS", 3)
    texts = [f"good guitar {n}" for n in range(50)]
    _reviews(lake, texts)
    files = [(file, "clean_text") for file in lake.dataset("reviews").get_fragments()]
    parts = [embed_text._rows_of(files, hashes).to_pylist() for hashes in embed_text._rounds(8 * 100_000)]
    assert len(parts) == 8 and sum(map(bool, parts)) > 1
    found = sorted((row["text_hash"], row["text"]) for part in parts for row in part)
    assert found == sorted((_hash(text), text) for text in texts)


@pytest.mark.slow
def test_a_killed_run_loses_what_it_had_not_committed_and_no_more(lake, monkeypatch):
    monkeypatch.setattr(embed_text, "TEXTS_A_BLOCK", 10)
    _reviews(lake, [f"bad cable {n}" for n in range(50)])
    settings = _settings(lake, commit_every=20)
    commits = []

    def merge(self: Lake, name: str, rows: pa.Table, **options: bool) -> object:
        commits.append(rows.num_rows)
        if len(commits) == 2:
            raise KeyboardInterrupt
        return original(self, name, rows, **options)

    original = Lake.merge
    with monkeypatch.context() as patched:
        patched.setattr(Lake, "merge", merge)
        with pytest.raises(KeyboardInterrupt):
            embed_text.run(settings)
    assert commits[0] in range(20, 30)
    done = embed_text.run(settings)
    assert (done["texts"], done["encoded"]) == (50, 50 - commits[0])
    assert len(_stored(lake, done["encoder"])) == 50


def test_an_actor_that_is_killed_loses_no_text(lake, tmp_path, monkeypatch):
    died = tmp_path / "died"

    class Mortal(embed_text.TextEncoder):  # of this function: Ray carries it to the actor whole
        def __call__(self, block: pa.Table) -> pa.Table:
            if "bad cable 25" in block["text"].to_pylist() and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return embed_text.TextEncoder.__call__(self, block)

    monkeypatch.setattr(embed_text, "TextEncoder", Mortal)
    monkeypatch.setattr(embed_text, "TEXTS_A_BLOCK", 10)
    texts = [f"bad cable {n}" for n in range(50)]
    _reviews(lake, texts)
    settings = _settings(lake, commit_every=20)
    figures = embed_text.run(settings)
    assert died.exists()
    assert (figures["texts"], figures["encoded"], figures["failed"]) == (50, 50, 0)
    stored = _stored(lake, figures["encoder"])
    expected = Encoder(settings.embed.encoder).encode(texts)
    np.testing.assert_allclose([stored[_hash(text)] for text in texts], expected, atol=1e-5)


@pytest.mark.slow
def test_a_driver_that_is_killed_leaves_vectors_that_are_not_made_again(lake, tmp_path):
    texts = [f"bad cable {n}" for n in range(4000)]
    _reviews(lake, texts)
    settings = _settings(lake, commit_every=100)
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json", exclude_defaults=True)))
    command = [sys.executable, "-m", "ray_train.embed_text", "--config", str(path)]
    log = Path(lake.path("text_vectors")) / "_delta_log"
    with (tmp_path / "output.txt").open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            while not (log / f"{1:020}.json").exists():  # version 0 is the empty table
                assert process.poll() is None, (tmp_path / "output.txt").read_text()
                time.sleep(0.002)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    committed = lake.info("text_vectors").rows
    assert 100 <= committed < len(texts)
    figures = embed_text.run(settings)
    assert (figures["texts"], figures["encoded"]) == (len(texts), len(texts) - committed)
    assert set(_stored(lake, figures["encoder"])) == {_hash(text) for text in texts}


def _with_a_word_too_many(folder: Path) -> str:
    """The tiny model, whose tokeniser knows a word that its embeddings lack."""
    folder.mkdir()
    for file in model_folder("tiny:0").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["poison"] = 100_000
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return str(folder)


def test_a_text_that_breaks_the_encoder_is_left_out_alone(lake, tmp_path, capsys):
    model = _with_a_word_too_many(tmp_path / "model")
    _reviews(lake, [f"good {n}" for n in range(20)] + ["a poison text"])
    figures = embed_text.run(_settings(lake, model=model))
    assert (figures["texts"], figures["encoded"], figures["failed"]) == (21, 20, 1)
    kept = lake.read("texts_failed").to_pylist()
    assert [(row["text_hash"], row["encoder"]) for row in kept] == [(_hash("a poison text"), figures["encoder"])]
    assert "IndexError" in kept[0]["error"]
    assert set(_stored(lake, figures["encoder"])) == {_hash(f"good {n}") for n in range(20)}
    assert _hash("a poison text") in capsys.readouterr().err
    # Another run tries it again: where it is no longer there, nor is its failure.
    lake.overwrite("reviews", lake.read("reviews").slice(0, 0))
    _reviews(lake, ["good 1", "good 100"])
    again = embed_text.run(_settings(lake, model=model))
    assert (again["encoded"], again["failed"], lake.read("texts_failed").num_rows) == (1, 0, 0)


def test_an_encoder_that_fails_on_every_text_fails_the_stage(lake, tmp_path):
    model = _with_a_word_too_many(tmp_path / "model")
    _reviews(lake, ["poison", "poison good"])
    with pytest.raises(ModelError, match="fails on every text"):
        embed_text.run(_settings(lake, model=model))


def test_an_encoder_that_cannot_be_used_is_told_in_a_line(lake):
    _reviews(lake, ["good"])
    with pytest.raises(ModelError, match=r"^encoder\.max_length is 1024, expected at most 512, the pos"):
        embed_text.run(_settings(lake, encoder={"model": "tiny:0", "max_length": 1024}))


def test_actors_that_could_never_start_are_refused(lake):
    _reviews(lake, ["good"])
    with pytest.raises(ConfigError, match="expected at most the 2 cores"):
        embed_text.run(_settings(lake, actors=3))
    with pytest.raises(ConfigError, match="expected at most 0 in all"):
        embed_text.run(_settings(lake, gpus_per_actor=1))
