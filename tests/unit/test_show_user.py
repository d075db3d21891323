"""What a user is interested in, on the terminal and on the page."""

import io
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from rich.console import Console

from tandemrec import console
from tandemrec.cli import main
from tandemrec.config import parse_settings
from tandemrec.errors import TandemRecError
from tandemrec.lake import runs
from tandemrec.lake.types import arrow_schema
from tandemrec.report import render
from tandemrec.report.interest import Keyword, profiles
from tandemrec.report.show import print_user

START = datetime(2024, 1, 1, tzinfo=UTC)
HOSTILE = "<b>strings</b> \x1b[31m"


def keyword(term, weight, sentiment, count=1):
    return {"term": term, "weight": weight, "sentiment": sentiment, "count": count, "last_time": START}


@pytest.fixture
def settings(lake, tmp_path):
    source = {"name": "b", "table": "events", "kind": "pairs", "path": "x", "constants": {"event_type": "click"}}
    raw = {"data": {"root": "x"}, "lake": {"root": lake.root}, "sources": [source], "report": {"users": 2}}
    settings = parse_settings(raw)

    def fill(name, rows):
        schema = arrow_schema(lake.table(name))
        lake.overwrite(name, pa.Table.from_pylist([{f: row.get(f) for f in schema.names} for row in rows], schema))

    written = {"source": "s", "file": "f", "line": 1, "part": 0, "event_type": "click", "strength": 1.0, "count": 1}
    days = [START + timedelta(days=n) for n in range(3)]
    fill("events", [
        written | {"user_id": "u1", "item_id": f"i{n}", "event_time": day, "last_time": day}
        for n, day in enumerate(days)
    ] + [written | {"user_id": "u2", "item_id": "i0", "event_time": START, "last_time": START}])  # fmt: skip
    keywords = [keyword(HOSTILE, 0.5, 0.8, 3), keyword("battery", 0.3, -0.62), keyword("price", 0.2, None)]
    fill("user_profiles", [{"user_id": "u1", "reviews": 4, "language": "en", "keywords": keywords}])
    fill("user_summaries", [{"user_id": "u1", "summary_key": "k", "model": "m", "summary": "Wants <i>strings</i>."}])
    inputs = {"user_profiles": lake.data_version("user_profiles")}
    of = {"started_at": START, "seconds": 1.0, "outputs": {}, "config_hash": "c", "code_version": "v"}
    runs.record(lake, runs.Run(run_id="s", stage="summarise", status="done", inputs=inputs, **of))
    fill("users_vocabulary", [{"user_id": f"u{n}", "user_index": n} for n in (1, 2)])
    fill("user_features", [{"user_index": n, "history": [], "reviews": [], "seen": [1] * n} for n in (1, 2)])
    best = {"run_id": "r", "rank": 1, "item_id": "i5", "score": 1.0, "reason": "popular", "model_version": "r/1"}
    fill("recommendations", [best | {"user_id": u} for u in ("u1", "u2")])
    return settings


@pytest.fixture
def said(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=out, width=200, highlight=False, soft_wrap=True))
    return out


def test_a_bar_grows_from_the_middle():
    bars = {s: Keyword(term="t", weight=1, sentiment=s, count=1, last=START) for s in (None, -1.0, -0.3, 0.05, 0.6)}
    assert {s: one.bar for s, one in bars.items()} == {
        None: "", -1.0: "█████│     ", -0.3: "   ██│     ", 0.05: "     │     ", 0.6: "     │███  ",
    }  # fmt: skip
    assert [one.mood for one in bars.values()] == ["faint", "bad", "bad", "faint", "good"]


def test_a_summary_of_other_profiles_is_not_shown_beside_these(lake, settings):
    assert profiles(lake, ["u1"])["u1"].summary == "Wants <i>strings</i>."
    lake.overwrite("user_profiles", lake.read("user_profiles"))  # a lone run of profiles
    assert profiles(lake, ["u1"])["u1"].summary is None


def test_interests_of_an_earlier_moment_are_said_to_be_so(lake, settings, said):
    rows = [row | {"as_of": START + timedelta(days=1)} for row in lake.read("user_profiles").to_pylist()]
    lake.overwrite("user_profiles", pa.Table.from_pylist(rows, arrow_schema(lake.table("user_profiles"))))
    print_user(lake, settings, "u1", profiles(lake, ["u1"])["u1"])
    assert "interests as of 2024-01-02 00:00, from 4 reviews, most in language en" in said.getvalue()
    assert "Interests as of 2024-01-02 00:00, told by 4 reviews" in render(lake, settings)


def test_the_terminal_shows_history_keywords_and_summary(lake, settings, said):
    print_user(lake, settings, "u1", profiles(lake, ["u1"])["u1"])
    text = said.getvalue()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "interests, from 4 reviews, most in language en" in lines
    assert "<b>strings</b> □[31m 50% 3 2024-01-01 │████ +0.80" in lines
    assert "battery 30% 1 2024-01-01 ███│ -0.62" in lines
    assert "price 20% 1 2024-01-01" in lines
    assert lines[-1] == "summary: Wants <i>strings</i>."
    assert all(item in text for item in ("i0", "i1", "i2"))
    said.truncate(0)
    print_user(lake, settings, "u1", None, START + timedelta(days=1))  # as of a moment: what was done before it
    assert "i0" in said.getvalue() and "i1" not in said.getvalue()
    assert "no review, so no profile" in said.getvalue()
    with pytest.raises(TandemRecError, match="knows nothing of a user 'u1' before 2024-01-01 00:00"):
        print_user(lake, settings, "u1", None, START)


def test_the_command_names_a_user_that_nobody_knows(lake, settings, tmp_path, capsys):
    config = tmp_path / "conf.yaml"
    config.write_text(settings.model_dump_json())
    assert main(["show", "user", "--config", str(config), "--user", "u1"]) == 0
    assert main(["show", "user", "--config", str(config), "--user", "u9"]) == 1
    assert "knows nothing of a user 'u9'; users it knows are for example u1\n" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["show", "user", "--config", str(config), "--user", "u1", "--as-of", "yesterday"])
    assert stop.value.code == 2
    assert "found 'yesterday', expected an ISO time" in capsys.readouterr().err


def test_the_page_shows_interests_and_nothing_acts(lake, settings):
    page = render(lake, settings)
    assert "&lt;b&gt;strings&lt;/b&gt; □[31m" in page and HOSTILE not in page
    assert "Wants &lt;i&gt;strings&lt;/i&gt;." in page
    assert '<span class="good">+0.8</span>' in page and '<span class="bad">-0.6</span>' in page
    assert page.count('<ul class="interests">') == 1  # the other user wrote nothing
    assert 'style="width: 60.0%"' in page
