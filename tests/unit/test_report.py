"""The report on a small lake made by hand: what was put in stands on the page, and nothing else acts."""

import io
import json
import re
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from html_page import Page
from reported_lake import (
    HOSTILE,
    ITEMS,
    REJECTED,
    START,
    USERS,
    event,
    fill,
    record,
    settings_for,
    write_behaviour,
    write_results,
)
from rich.console import Console

from jobs import report as job
from tandemrec import console
from tandemrec.cli import main
from tandemrec.config import Settings
from tandemrec.errors import TandemRecError
from tandemrec.lake import TABLES, Lake, runs
from tandemrec.report import recommendations, render
from tandemrec.report.people import people, recommending_run, spread
from tandemrec.report.scores import comparisons, curves, expectations
from tandemrec.report.show import print_picks_as_json, print_recommendations
from tandemrec.report.summary import summary_lines
from tandemrec.report.tables import listed, print_tables
from tandemrec.report.traffic import traffic


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> tuple[Lake, Settings]:
    folder = tmp_path_factory.mktemp("report")
    lake = Lake(str(folder / "lake"))
    write_behaviour(lake)
    write_results(lake)
    counts = {"in": 61_243, "kept": 59_900, "merged": 104, "rejected": REJECTED}
    items = {"in": 30, "kept": 29, "merged": 0, "rejected": {}, "from_behaviour": 4_321}
    judged = {"table": "events", "metric": "null_share brand <b>", "found": "0.4", "expected": "at most 0.2"}
    quality = [judged | {"verdict": verdict} for verdict in ("warn", "holds")]
    figures = {"events": counts, "items": items, "quality": quality}
    record(lake, "clean", 1, figures, outputs=("events", "items"))
    losses = ("next_item", "rating", "sentiment")
    curve = [
        {"epoch": n, "seconds": 2.0, "losses": dict.fromkeys(losses, 3 / n),
         "valid": {"next_item/ndcg@10": 0.08 - 0.002 * (n - 5) ** 2, "rating/rmse": 1 + 1 / n}}
        for n in range(1, 9)
    ]  # fmt: skip
    beside = {"penalty": 30.0, "strength": 20.0, "without": 0.0613, "reciprocal_rank": 0.0702}
    new = {"offset": 2.0, "described": 1_042, "without": 0.0702, "reciprocal_rank": 0.0711}
    told = {"curve": curve, "refit": True, "yes_from": {"purchase": 0.3342, "sentiment": 0.5}}
    record(lake, "train", 5, told | {"neighbours": beside, "new_items": new}, run_id="model-2")
    record(lake, "train", 2, {}, run_id="model-1")
    record(lake, "report", 9, {})
    return lake, settings_for(lake, folder)


@pytest.fixture(scope="module")
def text(full) -> str:
    return render(*full)


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


def test_what_is_expected_of_tables_is_told_with_what_was_found(page):
    assert "events null_share brand <b> 0.4 at most 0.2 no events null_share brand <b> 0.4 at most 0.2 yes" in page.text


def test_the_page_is_whole_and_asks_no_host(text, page):
    references = [v for k, v in page.attributes if k in ("src", "href", "xlink:href", "srcset", "action", "data")]
    assert references and all(value.startswith("#") for value in references)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "@import" not in style and not re.search(r"url\((?!#)", text)
    identifiers = Counter(value for key, value in page.attributes if key == "id")
    assert set(identifiers.values()) == {1}
    assert all(v[1:] in identifiers for v in references + re.findall(r"url\((#[^)]+)\)", text))
    assert len(text.encode()) < 2_000_000


def test_every_plot_says_in_words_what_it_shows(page):
    labels = [value for key, value in page.attributes if key == "aria-label"]
    assert page.tags["svg"] >= 12 and len(labels) == page.tags["svg"] + 1  # and the navigation
    assert page.tags["caption"] == page.tags["table"]


def test_texts_of_strangers_do_not_act(text, page):
    assert HOSTILE in page.text  # shown as text ...
    assert HOSTILE not in text and "<img" not in text  # ... and never as markup
    assert "\x1b" not in text and "□[31m" in text
    assert max(len(line) for line in re.findall(r"<code>([^<]*)</code>", text)) < 600


def test_what_was_counted_stands_on_the_page(page):
    for count in ("61,243", "59,900", "104", "1,234", "1,239", "4,321 items are described by no source"):
        assert count in page.text
    assert "user id missing" in page.text
    assert "items 30 29 0 0 0 no: 1 rows unaccounted for" in page.text
    for value in ("0.0812", "0.0568", "0.0780", "0.0772 to 0.0852", "0.8734", "1.0200", "0.9700"):
        assert value in page.text
    assert "Epoch 5 was kept" in page.text
    assert "learned anew from training and validation rows together" in page.text
    assert (
        "with a strength of 20: in validation the mean reciprocal rank was 0.0613 without and 0.0702 with it"
        in page.text
    )
    assert (
        "1,042 items that training has not seen can be told by description or attributes and are ranked with the "
        "others: in validation the mean reciprocal rank was 0.0702 without and 0.0711 with them"
    ) in page.text
    assert "by baselines that learn as well; yes from 0.33 (purchase), 0.50 (sentiment)." in page.text


def test_losses_are_told(full, page):
    lake, settings = full
    """Of 15 figures of baselines: MRR of the factorisation, 4% to either side, is level, so is its NDCG@5."""
    assert "the model is ahead in 10, level in 3 and behind in 2." in page.text
    assert "Without a figure here: ease (left out above 16,000 items), tfidf." in page.text
    assert "Behind: next item HR@5 (matrix factorisation), rating RMSE (bias)." in page.text
    assert "lead +0.0002 to +0.0062" in page.text and "lead -0.0079 to -0.0019" in page.text
    found = comparisons(lake, "model-2", settings.tasks)
    assert {(c.task, c.metric): sorted(c.best) for c in found}[("rating", "rmse")] == ["bias"]
    answers = {e.text: (e.answer, e.because) for e in expectations(found, settings.tasks)}
    assert answers["beats popularity"] == (
        "yes", "NDCG@10 0.0812 against 0.0568, a lead of +0.0244 (+0.0214 to +0.0274)"
    )  # fmt: skip
    assert answers["beats lone matrix factorisation"][0] == "yes"
    assert answers["sentiment F1 above 0.8"] == ("yes", "0.8734")


def test_the_way_from_cold_to_warm_is_drawn(full, page):
    lake, settings = full
    assert "From cold to warm" in page.text
    (curve,) = curves(lake, "model-2", settings.tasks)
    assert (curve.task, curve.who, curve.bands) == ("next_item", "item", ["0", "1-2", "11-20"])
    labels = [value for name, value in page.attributes if name == "aria-label" and "interactions of the item" in value]
    assert labels == [
        "Lines: NDCG@10 by interactions of the item. TandemRec 0 0.0100, 1-2 0.0500, 11-20 0.1200; "
        "popularity 0 0.0050, 1-2 0.0250, 11-20 0.0600."
    ]


def test_an_empty_lake_gives_a_page_of_plain_sentences(lake, tmp_path):
    nothing = Page(render(lake, settings_for(lake, tmp_path))).text
    for name in TABLES:
        lake.ensure(name)
    empty = Page(render(lake, settings_for(lake, tmp_path))).text
    assert "The lake holds no table yet." in nothing
    for said in (
        "No stage has finished", "has recorded no counts", "There are no events", "There are no reviews",
        "no curve to show", "No model has been trained yet", "No recommendations are published yet",
    ):  # fmt: skip
        assert said in nothing and said in empty


def test_partial_figures_do_not_break_the_page(lake, tmp_path):
    record(lake, "clean", 0, {"reviews": {"in": 0}, "seconds": 3})
    record(lake, "train", 1, {"curve": [{"epoch": 1}, {"epoch": 2, "losses": {"rating": float("nan")}}]})
    fill(lake, "events", [event("u", "i", "click", datetime(1970, 1, 1, tzinfo=UTC), 0)])
    said = Page(render(lake, settings_for(lake, tmp_path))).text
    assert "1 events carry no time" in said and "None of the tasks of the settings stands in the curve" in said
    assert "has not been evaluated yet" in said
    assert "learned anew" not in said and "EASE" not in said


def test_traffic_equals_a_count_by_hand(full):
    lake, settings = full
    found = traffic(lake, settings.examples.positives)
    events, reviews = lake.read("events").to_pylist(), lake.read("reviews").to_pylist()
    assert found.events == Counter(row["event_type"] for row in events)
    by_week = Counter(
        (row["event_type"], (row["event_time"] - timedelta(days=row["event_time"].weekday())).date()) for row in events
    )
    assert {(kind, week): n for kind, weeks in found.weeks.items() for week, n in weeks.items()} == by_week
    per_item = Counter(row["item_id"] for row in events if row["event_type"] != "view")
    per_item.update(row["item_id"] for row in reviews)
    assert found.per_item.tolist() == sorted(per_item.values(), reverse=True)
    assert found.lengths == Counter(len(row["clean_text"]) for row in reviews)


def test_users_shown_exist_and_range_from_the_shortest_history_to_the_longest(full, page):
    lake, settings = full
    chosen = spread(lake, 5)
    assert chosen == spread(lake, 5) and chosen[0] == "u0" and chosen[-1] == f"u{USERS - 1}" and len(set(chosen)) == 5
    assert spread(lake, 10_000) == [f"u{n}" for n in range(USERS)]
    for user in chosen:
        assert f"User {user} ," in page.text
    assert recommending_run(lake) == "model-2"  # trained last, though its row was written first
    person = people(lake, ["u9"], "model-2", positives=settings.examples.positives, contacts=4, picks=3)[0]
    own = [r for r in lake.read("events").to_pylist() if r["user_id"] == "u9" and r["event_type"] != "view"]
    assert person.items == len({row["item_id"] for row in own}) == 9
    times = [contact.last for contact in person.contacts]
    assert times == sorted(times, reverse=True) and len(times) == 4
    assert [pick.rank for pick in person.picks] == [1, 2, 3]
    assert [pick.reason for pick in person.picks] == [
        f"close to {HOSTILE}", "popular with everybody", f"close to {HOSTILE}"
    ]  # fmt: skip
    assert person.picks[0].category == "Music › 蓝牙耳机"


def test_secrets_stay_out_of_the_page(lake, tmp_path):
    changes = {
        "data": {"root": "https://someone:hunter2@host/raw?sig=abcdef&x=1"},
        "spark": {"conf": {"spark.hadoop.fs.s3a.secret.key": "hunter2", "spark.ui.port": "4050"}},
    }
    text = render(lake, settings_for(lake, tmp_path, **changes))
    assert "hunter2" not in text and "abcdef" not in text and "4050" in text


@pytest.fixture
def printed(monkeypatch) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=written, highlight=False, soft_wrap=True, width=80))
    return written


def test_show_prints_history_and_recommendations(full, printed):
    print_recommendations(full[1], "u9", 3)
    lines = printed.getvalue().splitlines()
    assert any(re.search(r"purchase.*\bi\d+ .*Item \[bold\]number", line) for line in lines)
    first = next(line for line in lines if line.split()[:1] == ["1"])
    assert "i10" in first and "Item [bold]number 10[/bold]" in first and "Music › 蓝牙耳机" in first
    assert "2.8571" in first and first.endswith(f"close to {HOSTILE}")  # a pipe cuts nothing


def test_recommendations_in_python_and_as_json(full, tmp_path, printed):
    picks = recommendations(full[1], "u9", k=3)
    assert [(pick.rank, pick.item_id) for pick in picks] == [(1, "i10"), (2, "i11"), (3, "i12")]
    assert (picks[0].title, picks[0].category) == ("Item [bold]number 10[/bold]", "Music › 蓝牙耳机")
    assert picks[0].score == pytest.approx(3 - 1 / 7) and picks[0].reason == f"close to {HOSTILE}"
    assert len(recommendations(full[1], "u9")) == 7  # of 10 asked for
    path = tmp_path / "settings.yaml"
    path.write_text(full[1].model_dump_json())  # JSON is YAML
    assert recommendations(path, "u9", k=3) == picks
    assert main(["show", "recommendations", "--config", str(path), "--user", "u9", "--k", "3", "--json"]) == 0
    assert json.loads(printed.getvalue()) == [asdict(pick) for pick in picks]


def test_show_says_who_is_unknown_and_what_to_run(full, lake, tmp_path):
    for ask in (print_recommendations, print_picks_as_json, recommendations):
        with pytest.raises(TandemRecError, match=r"no user 'nobody' in the lake; .* for example u\d+, u\d+, u\d+$"):
            ask(full[1], "nobody", 3)
    lake.ensure("items")
    with pytest.raises(TandemRecError, match="run stages predict and publish"):
        print_recommendations(settings_for(lake, tmp_path), "u1", 3)
    staged = {"run_id": "m", "user_id": "u", "rank": 1, "item_id": "i", "score": 1.0, "reason": "popular"}
    fill(lake, "recommendations_staging", [staged | {"model_version": "1"}])
    with pytest.raises(TandemRecError, match=r"run stage publish$"):
        print_recommendations(settings_for(lake, tmp_path), "u1", 3)


def test_tables_are_listed_with_the_run_that_wrote_them(full, printed):
    lake, settings = full
    found = {table.layer_name: table for table in listed(lake)}
    assert found["silver/items"].info.rows == ITEMS and found["silver/items"].run.stage == "clean"
    assert found["gold/metrics"].run is None
    print_tables(settings)
    line = next(line for line in printed.getvalue().splitlines() if line.startswith("silver/items"))
    assert line.split()[1] == "30" and line.endswith("clean, 2025-02-04 00:01, 11 s")


def test_the_summary_tells_the_main_figures(full):
    lines = "\n".join(summary_lines(full[1]))
    assert "events: 61,243 rows in, 59,900 kept, 104 merged, 1,239 rejected\n" in lines
    assert "items: 30 rows in, 29 kept, 0 merged, 0 rejected; THE COUNTS DO NOT ADD UP" in lines
    assert "rating RMSE: TandemRec 1.0200, bias 0.9700" in lines and "beats popularity: yes" in lines


def test_the_job_writes_the_file_and_is_due_again_when_a_stage_ran(full):
    lake, settings = full
    before = job.depends_on(settings)
    figures = job.run(settings)
    path = tuple((folder := Path(figures["path"]).parent).iterdir())
    assert [p.name for p in path] == ["index.html"] and path[0].stat().st_size == figures["bytes"] and folder.is_dir()
    done = runs.Run(run_id="r", stage="report", status="done", started_at=START, seconds=1, inputs={}, outputs={},
                    config_hash="", code_version="", figures=figures)  # fmt: skip
    assert job.still_there(settings, done)
    path[0].write_text("another lake's report")
    assert not job.still_there(settings, done)
    record(lake, "report", 20, figures)
    assert job.depends_on(settings) == before
    record(lake, "publish", 21, {})
    assert job.depends_on(settings) != before
