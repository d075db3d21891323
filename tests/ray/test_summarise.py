"""Stage summarise on a real Ray and a real lake, with a tiny decoder: asked once, written once."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from tiny_decoder import tiny_decoder

from ray_train import summarise
from tandemrec.config import SummarySettings, parse_settings
from tandemrec.lake.types import arrow_schema
from tandemrec.report.interest import profiles
from tandemrec.text.generator import Generator
from tandemrec.text.identity import writer_identity

pytestmark = pytest.mark.usefixtures("ray_local")

START = datetime(2024, 1, 1, tzinfo=UTC)
TEMPLATE = "customer likes {keywords} . {reviews} ( {language} )"


def fill(lake, name, rows):
    schema = arrow_schema(lake.table(name))
    lake.overwrite(name, pa.Table.from_pylist([{f: row.get(f) for f in schema.names} for row in rows], schema))


def profile(user, reviews, *terms):
    keywords = [{"term": t, "weight": 0.5, "sentiment": 0.1, "count": 1, "last_time": START} for t in terms]
    return {"user_id": user, "reviews": reviews, "language": "en", "keywords": keywords}


def review(user, number, text):
    same = {"item_id": "i", "text": text, "clean_text": text, "text_hash": text, "language": "en"}
    origin = {"source": "s", "file": "f", "line": number, "part": 0}
    return same | origin | {"review_id": f"{user}{number}", "user_id": user, "review_time": START + timedelta(number)}


def settings_of(lake, summary=None):
    source = {"name": "b", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
    raw = {"data": {"root": "x"}, "lake": {"root": lake.root}, "sources": [source]}
    return parse_settings(raw | {"profiles": {"summary": summary}})


def test_no_summary_stays_beside_a_profile_that_it_was_not_written_from(lake, tmp_path, monkeypatch):
    """Of 2024, while the profile is of before: neither while others are written nor where none are asked for."""
    summary = {"model": str(tiny_decoder(tmp_path / "decoder"))}
    fill(lake, "user_profiles", [profile("a", 1) | {"as_of": START - timedelta(1000)}])
    fill(lake, "reviews", [review("a", 1, "bad")])
    former = [{"user_id": "a", "summary_key": "of 2024", "model": "m", "summary": "written from reviews of 2024"}]

    def killed(*_):
        raise KeyboardInterrupt

    fill(lake, "user_summaries", former)
    monkeypatch.setattr(summarise, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        summarise.run(settings_of(lake, summary))
    assert profiles(lake, ["a"])["a"].summary is None
    fill(lake, "user_summaries", former)
    assert summarise.run(settings_of(lake)) == {"users": 0, "written": 0}
    assert profiles(lake, ["a"])["a"].summary is None


@pytest.mark.slow
def test_each_summary_is_written_once(lake, tmp_path):
    model = str(tiny_decoder(tmp_path / "decoder"))

    def run(**summary):
        asked = {"model": model, "template": TEMPLATE, "max_tokens": 4, "reviews": 1, "characters": 12, **summary}
        return summarise.run(settings_of(lake, asked))

    assert summarise.run(settings_of(lake)) == {"users": 0, "written": 0}
    assert not lake.exists("user_summaries")
    fill(lake, "user_profiles", [profile("a", 2, "guitar", "price"), profile("b", 1), profile("c", 1)])
    fill(lake, "reviews", [review("a", 1, "bad"), review("a", 2, "good strings always"), review("b", 3, "nice {x}")])
    assert run(commit_every=1) == {"users": 3, "written": 3}
    rows = {row["user_id"]: row for row in lake.read("user_summaries").to_pylist()}
    writer = Generator(model, max_tokens=4)
    prompts = {
        "a": "customer likes guitar, price . - good strings ( en )",
        "b": "customer likes  . - nice {x} ( en )",
        "c": "customer likes  .  ( en )",
    }
    assert {user: row["summary"] for user, row in rows.items()} == {u: writer.write(p) for u, p in prompts.items()}
    assert len({row["summary_key"] for row in rows.values()}) == 3

    version = lake.version("user_summaries")
    assert run() == {"users": 3, "written": 0}
    assert lake.version("user_summaries") == version
    fill(lake, "user_profiles", [profile("a", 2, "guitar", "price"), profile("b", 1, "battery"), profile("c", 1)])
    assert run() == {"users": 3, "written": 1}  # the one whose prompt is another
    again = {row["user_id"]: row for row in lake.read("user_summaries").to_pylist()}
    assert {user for user in rows if again[user] != rows[user]} == {"b"}
    assert run(users=2) == {"users": 2, "written": 0}
    assert set(lake.read("user_summaries")["user_id"].to_pylist()) == {"a", "b"}
    assert run(users=2, max_tokens=3) == {"users": 2, "written": 2}


def test_another_model_is_another_identity(tmp_path):
    folders = [str(tiny_decoder(tmp_path / str(seed), seed)) for seed in (1, 2)]
    assert len({writer_identity(folder) for folder in folders}) == 2
    assert SummarySettings(model=folders[0]).model == folders[0]
