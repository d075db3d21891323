"""What the report says of leads over baselines, and of items and reasons, on lakes of a few rows."""

import re
from functools import partial

import pytest
from html_page import Page
from reported_lake import START, fill, metric, origin, record, settings_for, write_behaviour, write_results
from tabular_data import settings_of as tabular_settings

from tandemrec.config.learning import DEFAULT_TASKS
from tandemrec.config.root import counted_from
from tandemrec.errors import SourceError, TableError, TandemRecError
from tandemrec.lake import Lake
from tandemrec.lake.sources import list_files
from tandemrec.report import recommendations, render
from tandemrec.report.interest import terms_of_items
from tandemrec.report.model_plots import task_metrics
from tandemrec.report.people import people
from tandemrec.report.scores import Comparison, Score, comparisons, distinct, expectations
from tandemrec.report.show import print_recommendations, print_user
from tandemrec.report.summary import print_summary, summary_lines
from tandemrec.report.tables import print_tables


def test_a_model_that_is_beaten_is_told_so(lake, tmp_path):
    record(lake, "train", 1, {}, run_id="model-2")
    fill(lake, "metrics", metric("next_item", "ndcg@10", tandemrec=0.05, popularity=0.06, matrix_factorisation=0.05)
         + metric("sentiment", "f1", tandemrec=0.8))  # fmt: skip
    settings = settings_for(lake, tmp_path)
    because = "NDCG@10 0.0500 against 0.0600, a lead of -0.0100 (-0.0130 to -0.0070)"
    assert f"beats popularity: no ({because})" in summary_lines(settings)
    answers = [e.answer for e in expectations(comparisons(lake, "model-2", settings.tasks), settings.tasks)]
    assert answers == ["no", "no", "no"]  # as good as is not better
    assert f"beats popularity no {because}" in Page(render(lake, settings)).text


def test_a_lead_within_its_interval_is_not_shown_to_be_one(lake, tmp_path):
    record(lake, "train", 1, {}, run_id="model-2")
    nothing = {"lead_low": None, "lead_high": None}  # of too few people
    few = [row | nothing for row in metric("rating", "rmse", tandemrec=0.9, bias=0.95)]
    fill(lake, "metrics", metric("next_item", "ndcg@10", tandemrec=0.052, popularity=0.05) + few)
    settings = settings_for(lake, tmp_path)
    found = comparisons(lake, "model-2", settings.tasks)
    assert expectations(found, settings.tasks)[0].answer == "not shown"
    page = Page(render(lake, settings)).text
    assert "the model is ahead in 0, level in 1 and behind in 0" in page and "level with popularity 0.0500" in page
    assert "For 1 there is no interval of the difference" in page


def test_a_lead_without_an_interval_is_not_taken_for_one():
    """Of too few people none is drawn, and of no resamples: nothing says that such a lead is more than chance."""
    told = {}
    for ours in (0.06, 0.04):
        baseline = Score(value=0.05, rows=3, lead=ours - 0.05)
        scores = {"tandemrec": Score(value=ours, rows=3), "popularity": baseline}
        found = [Comparison(task="next_item", metric="ndcg@10", scores=scores)]
        assert not any(found[0].baselines(standing) for standing in ("ahead", "level", "behind"))
        told[ours] = expectations(found, DEFAULT_TASKS)[0].answer
    assert told == {0.06: "not shown", 0.04: "no"}


def test_only_what_can_be_asked_of_the_model_is_expected_of_it(lake, tmp_path):
    """A lake of events without a sentiment, and an evaluation without the lone factorisation."""
    record(lake, "train", 1, {}, run_id="model-2")
    settings = settings_for(lake, tmp_path)
    fill(lake, "metrics", metric("rating", "rmse", tandemrec=0.9))
    assert "What is expected of the model" not in render(lake, settings)
    fill(lake, "metrics", metric("next_item", "ndcg@10", tandemrec=0.07, popularity=0.05))
    told = [line.partition(":")[0] for line in summary_lines(settings)]
    assert told == ["lake", "next item NDCG@10", "rating RMSE", "beats popularity", "stages", "report"]


def test_a_lake_that_is_not_there_is_told_with_the_folder_that_relative_paths_count_from(lake, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = settings_for(Lake("elsewhere"), tmp_path)
    shown = [
        print_summary,
        print_tables,
        partial(print_recommendations, user="u1", k=3),
        lambda settings: print_user(Lake.of(settings.lake), settings, "u1", None),
    ]
    for told in shown:
        with pytest.raises(TableError, match=rf"the lake at {tmp_path}/elsewhere holds no table: .* {tmp_path}$"):
            told(settings)
    with pytest.raises(
        SourceError, match=rf"below data.root, which is {tmp_path}/raw; .* directory, which is {tmp_path}$"
    ):
        list_files(settings.sources[0], settings.data.root)
    assert counted_from("s3://bucket/lake") == ""


def test_what_is_shown_is_of_the_model_and_the_versions_that_the_settings_read(lake, tmp_path, capsys):
    for number, (run, value) in enumerate({"model-1": 0.11, "model-2": 0.22}.items()):
        record(lake, "train", number, {}, run_id=run)
        rows = metric("next_item", "ndcg@10", tandemrec=value)
        fill(lake, "metrics", [row | {"run_id": run} for row in rows])
    best = {"rank": 1, "score": 1.0, "reason": "popular", "model_version": "1", "user_id": "u1"}
    fill(lake, "recommendations", [best | {"run_id": f"model-{n}", "item_id": f"i{n}"} for n in (1, 2)])
    pins = {"versions": {"recommendations": lake.version("recommendations")}, "model": "model-1"}
    fill(lake, "recommendations", [best | {"run_id": "model-1", "item_id": "i3", "rank": 2}])
    now = settings_for(lake, tmp_path)
    then = settings_for(lake, tmp_path, lake={"root": lake.root, **pins})
    assert "next item NDCG@10: TandemRec 0.2200" in summary_lines(now)
    assert "next item NDCG@10: TandemRec 0.1100" in summary_lines(then)
    for settings, shown, rows in ((now, {"i2"}, "3"), (then, {"i1"}, "2")):
        print_recommendations(settings, "u1", 5)
        assert set(re.findall(r"\bi\d\b", capsys.readouterr().out)) == shown
        print_tables(settings)
        assert re.search(rf"gold/recommendations +{rows} ", capsys.readouterr().out)


def test_recall_that_is_the_hit_rate_is_told_once():
    def one(name: str, **values: float) -> Comparison:
        return Comparison(task="next", metric=name, scores={m: Score(value=v) for m, v in values.items()})

    same = [one("hr@5", a=0.1, b=0.2), one("recall@5", a=0.1, b=0.2)]
    other = [one("hr@10", a=0.1, b=0.2), one("recall@10", a=0.1, b=0.1)]
    assert distinct(same + other) == [same[0], *other]


def test_an_item_without_a_title_is_told_by_what_its_reviews_name(lake):
    """Of item a both reviews name `pedal`, which few users do, and `good`, which all do; one names `amp`."""
    fill(lake, "items", [{"item_id": item, "title": None} for item in "abc"])
    fill(lake, "users_vocabulary", [{"user_id": f"u{n}", "user_index": n + 1} for n in range(9)])
    vocabulary = {"good": 9, "pedal": 2, "amp": 2, "rare": 1}
    fill(lake, "terms_vocabulary", [
        {"term": term, "term_index": n + 1, "users": users} for n, (term, users) in enumerate(vocabulary.items())
    ])  # fmt: skip
    said = {"h1": [1, 2, 3], "h2": [1, 2], "h3": [4], "h4": None}
    fill(lake, "texts_vocabulary", [{"text_hash": h, "text_index": n + 1} for n, h in enumerate(said)])
    fill(lake, "text_terms", [
        {"text_index": n + 1, "terms": terms} for n, terms in enumerate(said.values()) if terms
    ])  # fmt: skip
    fill(lake, "reviews", [
        {"review_id": h, "user_id": "u1", "item_id": item, "rating": 2.0, "review_time": START, "text": h,
         "clean_text": h, "text_hash": h, "language": "en", "tokens": []} | origin(n)
        for n, (h, item) in enumerate({"h1": "a", "h2": "a", "h3": "b", "h4": "c"}.items())
    ])  # fmt: skip
    reasons = {"b": "because:a", "a": "because:a", "c": "because:gone"}
    fill(lake, "recommendations", [
        {"run_id": "r", "user_id": "u1", "rank": n + 1, "item_id": item, "score": 1.0, "reason": why,
         "model_version": "1"} for n, (item, why) in enumerate(reasons.items())
    ])  # fmt: skip
    empty = Lake(f"{lake.root}-empty")
    fill(empty, "items", [{"item_id": "a", "title": None}])
    for name in ("reviews", "texts_vocabulary", "text_terms", "terms_vocabulary", "users_vocabulary"):
        empty.ensure(name)
    assert terms_of_items(empty, ["a"]) == terms_of_items(empty, []) == {}
    (person,) = people(lake, ["u1"], "r", positives=["review"], contacts=3, picks=3)
    assert {c.item_id: c.title for c in person.contacts} == {"a": "a (pedal, amp, good)", "b": "b (rare)", "c": "c"}
    assert [pick.reason for pick in person.picks] == [
        "close to a (pedal, amp, good): review 2★", "known already: review 2★", "close to gone"
    ]  # fmt: skip


def test_a_title_that_names_many_metrics_stays_within_its_plot():
    names = ("accuracy", "auc", "f1", "f1_macro", "log_loss", "precision", "recall")
    behind = {"tandemrec": Score(value=0.5), "tfidf": Score(value=0.6, lead=-0.1, lead_low=-0.2, lead_high=-0.05)}
    found = [Comparison(task="sentiment", metric=name, scores=behind) for name in names]
    svg = task_metrics("sentiment", found, ["tandemrec", "tfidf"])
    width = float(re.search(r'viewBox="0 0 ([0-9.]+)', svg)[1])
    lines = re.findall(
        r'<text style="[^"]*font-weight: 700[^"]*" (?:x="|transform="translate\()([0-9.]+)[^>]*>([^<]+)<', svg
    )
    assert (
        " ".join(line for _, line in lines)
        == "sentiment: behind in accuracy, AUC, F1, F1 macro, log loss, precision, recall"
    )
    assert all(float(x) + 4.5 * len(line) < width for x, line in lines)  # points of a letter, at the least


def test_a_model_that_nothing_is_recommended_by_is_told_with_those_that_there_are(lake, tmp_path):
    write_behaviour(lake)
    write_results(lake)
    settings = settings_for(lake, tmp_path, lake={"root": lake.root, "model": "model-3"})
    with pytest.raises(
        TandemRecError, match=r"no recommendations of run model-3, which lake.model names, expected one"
    ):
        recommendations(settings, "u1")


def test_a_plain_table_is_told_by_its_rows_and_figures(lake, tmp_path):
    settings = tabular_settings(tmp_path, lake.root)
    record(lake, "clean", 0, {"rows": {"in": 1500, "kept": 1480, "merged": 0, "rejected": {"too_few_cells": 20}}})
    record(
        lake,
        "train",
        1,
        {"curve": [{"epoch": 1, "losses": {"rich": 0.5}, "valid": {}, "seconds": 1.0}]},
        run_id="model-2",
    )
    fill(lake, "metrics", metric("rich", "auc", tandemrec=0.91, majority=0.5))
    assert {
        "rows: 1,500 rows in, 1,480 kept, 0 merged, 20 rejected", "rich AUC: TandemRec 0.9100, majority 0.5000"
    } <= set(summary_lines(settings))  # fmt: skip
    page = Page(render(lake, settings)).text
    assert "rows 1,500 1,480 0 0 20 yes" in page and "too few cells" in page
    assert "A plain table: there are neither events" in page and "A plain table has no users" in page
    for untrue in ("has recorded no counts", "There are no events", "predict and publish", "1 epochs"):
        assert untrue not in page
