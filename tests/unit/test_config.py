"""Settings fail when built, in one line that names the key."""

import re
from pathlib import Path

import pytest

from tandemrec.config import load_settings, parse_settings
from tandemrec.config.describe import markdown
from tandemrec.errors import ConfigError

PAIRS = {"name": "bought", "table": "events", "kind": "pairs", "path": "buy", "constants": {"event_type": "purchase"}}


ITEMS = {"name": "shop", "table": "items", "kind": "csv", "path": "x"}


def minimal(**more):
    return {"data": {"root": "in"}, "lake": {"root": "out"}, "sources": [PAIRS], **more}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"trainn": {}}, "trainn: unknown key"),
        ({"train": {"workers": "many"}}, "train.workers: found 'many'"),
        ({"train": {"workers": 3, "batch_size": 512}}, "train: batch_size is 512, expected a multiple of workers"),
        ({"train": {"stop_on": "click/ndcg@10"}}, "train.stop_on is 'click/ndcg@10', expected click/"),
        ({"train": {"stop_on": "next_item/ndcg"}}, "next_item/ and one of"),
        ({"train": {"stop_on": "next_item/ndcg@0"}}, "next_item/ and one of"),
        ({"train": {"stop_on": "rating/rmse@x"}}, "rating/ and one of"),
        ({"evaluate": {"cutoffs": [10, 0]}}, "evaluate.cutoffs.1: found 0, expected greater than or equal to 1"),
        ({"model": {"tower": [0]}}, "model.tower.0: found 0, expected greater than or equal to 1"),
        ({"tasks": [{"name": "click", "kind": "binary", "reads": ["user", "review"]}]}, "tasks.0: reads"),
        ({"sources": [PAIRS, PAIRS]}, "sources has the name 'bought' more than once"),
        ({"sources": [{**PAIRS, "columns": {"colour": "c"}}]}, "['colour'] are no columns of events"),
        ({"sources": [{**ITEMS, "columns": {"item_id": "i", "colour": "c"}}]}, "of an item is named in attributes"),
        ({"sources": [{**PAIRS, "attributes": {"colour": "c"}}]}, "attributes are of items, each a column"),
        (
            {"sources": [{**ITEMS, "columns": {"item_id": "i", "attributes": "a"}, "attributes": {"colour": "c"}}]},
            "found columns.attributes too",
        ),
        ({"sources": [{**PAIRS, "explode": ["lines"]}]}, "sources.0: explode is for json, found pairs"),
        ({"sources": [{**PAIRS, "header": ["a"]}]}, "sources.0: header is for csv, found pairs"),
        ({"sources": [{**PAIRS, "delimiter": ";"}]}, "sources.0: delimiter is for csv, found pairs"),
        ({"sources": [{**PAIRS, "format": "parquet"}]}, "sources.0: format is for tabular, found pairs"),
        (
            {"sources": [{**PAIRS, "relations": {"fan": "follow"}}]},
            "sources.0: relations is for relations, found events",
        ),
        (
            {"sources": [{**ITEMS, "columns": {"item_id": "i"}, "event_types": {"pv": "view"}}]},
            "sources.0: event_types is for events, found items",
        ),
        ({"sources": [{**PAIRS, "constants": {}}]}, "no column or constant for ['event_type']"),
        ({"sources": [{**PAIRS, "event_types": {"pv": "look"}}]}, "event_types leads to ['look']"),
        ({"examples": {"positives": ["click"], "targets": ["purchase"]}}, "targets has ['purchase']"),
        ({"clean": {"rating_min": 5}}, "expected below rating_max"),
        ({"lake": {"root": __file__}}, f"lake.root: found {__file__!r}, and {__file__} is no folder"),
        ({"lake": {"root": f"{__file__}/in/it"}}, f"it', and {__file__} is no folder, expected one"),
        ({"spark": {"conf": {"spark.x": None}}}, "spark.conf.spark.x: found None, expected a valid string"),
        ({"report": {"path": "reports/shop"}}, "report.path: found 'reports/shop', expected a file of this machine"),
        ({"report": {"path": f"{__file__}/in/x.html"}}, f"x.html', and {__file__} is no folder, expected one"),
        ({"encoders": {"path": "s3://bucket/page.html"}}, "encoders.path: found 's3://bucket/page.html', expected"),
    ],
)
def test_a_wrong_setting_names_its_key(change, says):
    with pytest.raises(ConfigError) as error:
        parse_settings(minimal(**change))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"data": {"roots": "in"}}, "settings: data.roots: unknown key, did you mean root?; data.root: missing"),
        ({"modle": {"width": 8}}, "settings: modle: unknown key, did you mean model?"),
        ({"sources": [{**PAIRS, "pth": "x"}]}, "settings: sources.0.pth: unknown key, did you mean path?"),
        ({"ray": {"zzz": 1}}, "settings: ray.zzz: unknown key, expected one of address, cpus, object_store_mb"),
        ({"profiles": {"summary": {"user": 9}}}, "settings: profiles.summary.user: unknown key, did you mean users?"),
        ({"train": {"workers": "abc"}}, "settings: train.workers: found 'abc', expected a valid integer"),
        ({"train": {"workers": 0}}, "settings: train.workers: found 0, expected greater than or equal to 1"),
        ({"embed": {"encoder": {"pooling": "max"}}}, "pooling: found 'max', expected 'mean', 'cls' or 'last'"),
        ({"sources": []}, "settings: sources: found [], expected at least 1 item"),
        ({"train": 3}, "settings: train: found 3, expected keys and values"),
        (
            {"ray": {"cpus": 0}, "seed": -1, "train": {"patience": 0, "learning_rate": 0, "patient": 1}},
            "settings: train.patient: unknown key, did you mean patience?; seed: found -1, expected greater than or "
            "equal to 0; ray.cpus: found 0, expected greater than or equal to 1 (and 2 more)",
        ),
    ],
)
def test_unknown_keys_come_first_and_say_which_key_was_meant(change, says):
    with pytest.raises(ConfigError) as error:
        parse_settings({**minimal(), **change})
    assert str(error.value).endswith(says)


def test_a_wrong_override_is_named_and_not_the_file(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text(
        "data: {root: in}\nlake: {root: out}\ntrain: {batch_size: 512, patience: 0}\n"
        "sources: [{name: bought, table: events, kind: pairs, path: buy, constants: {event_type: purchase}}]\n"
    )
    with pytest.raises(ConfigError) as error:
        load_settings(file, ["train.workers=two", "sources.bought.kind=pair"])
    first, second, third = str(error.value).split("; ")
    assert first.startswith("--set sources.bought.kind=pair: sources.0.kind: found 'pair', expected 'json', 'csv'")
    assert second == "--set train.workers=two: train.workers: found 'two', expected a valid integer"
    assert third == f"{file}: train.patience: found 0, expected greater than or equal to 1"
    for override, says in [
        ("modle.width=8", "with --set modle.width=8: modle: unknown key, did you mean model?"),
        ("train={workers: 3}", "--set train={workers: 3}: train: batch_size is 512, expected a multiple of workers"),
        ("train.stop_on=click/x", "with --set train.stop_on=click/x: train.stop_on is 'click/x', expected click/"),
    ]:
        with pytest.raises(ConfigError) as error:
            load_settings(file, ["train.patience=3", override])
        assert says in str(error.value)


def test_settings_that_do_not_fit_one_another_are_told_all_at_once():
    with pytest.raises(ConfigError) as error:
        parse_settings(
            minimal(
                sources=[{**PAIRS, "event_types": {"pv": "look"}}],
                tasks=[{"name": "rating", "kind": "regression"}, {"name": "buy", "kind": "binary", "given": "click"}],
            )
        )
    said = str(error.value)
    assert "tasks.buy.given is 'click'" in said
    assert "sources.bought.event_types leads to ['look']" in said
    assert "train.stop_on is 'next_item/ndcg@10', expected TASK/METRIC, TASK one of ['rating', 'buy']" in said
    assert "\n" not in said


def test_set_reaches_into_sections_and_named_elements(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text(
        "data: {root: in}\nlake: {root: out}\n"
        "sources: [{name: bought, table: events, kind: pairs, path: buy, constants: {event_type: purchase}}]\n"
    )
    settings = load_settings(file, ["lake.root=elsewhere", "sources.bought.path=other", "train.learning_rate=1e-2"])
    assert (settings.sources[0].path, settings.train.learning_rate) == ("other", 0.01)
    assert settings.lake.root == str(Path.cwd() / "elsewhere")  # Ray's workers have another working directory
    assert load_settings(file, ["lake.root=s3://bucket/lake"]).lake.root == "s3://bucket/lake"
    for override, says in [
        ("lake", "key.path=value"),
        ("sources.sold.path=x", "no element 'sold'"),
        ("lake.root.x=1", "holds a value"),
    ]:
        with pytest.raises(ConfigError, match=says):
            load_settings(file, [override])


def test_the_page_of_settings_is_current_and_describes_every_key():
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text(encoding="utf-8") == markdown(), "make docs writes it anew"
    assert [line for line in markdown().splitlines() if line.endswith("|  |")] == []
    heads = re.findall(r"^## (.+)$", markdown(), re.M)
    links = set(re.findall(r"\]\(#(.+?)\)", markdown()))
    assert links == {head.replace(".", "") for head in heads[1:]}
    assert "| **root** | text |  | folder or URL of the tables" in markdown()
    assert "| tower | list of whole number, 1 or more | `[64]` |" in markdown()
    assert "| cpus | whole number, 1 or more, or null | `null` |" in markdown()


def test_one_score_of_a_user_and_an_item_tells_none_of_several_classes():
    tasks = [{"name": "next_item", "kind": "next_item", "reads": ["user"]}, {"name": "stars", "kind": "multiclass"}]
    parse_settings(minimal(tasks=tasks))
    with pytest.raises(ConfigError, match=r"pairs is product, .* and tasks.stars is multiclass of a user and an item"):
        parse_settings(minimal(tasks=tasks, model={"pairs": "product"}))


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ({"kind": "binary", "label": "purchase", "reads": ["review"]}, "what the user did, and reads is ['review']"),
        ({"kind": "regression", "label": "rating", "reads": ["review"]}, "of reviews are stars, sentiment, category"),
        ({"kind": "binary", "label": "share", "reads": ["review"]}, "what the user did"),
        ({"kind": "regression", "label": "seconds", "reads": ["review"]}, "aspects as review.NAME"),
        (
            {"kind": "multiclass", "label": "category"},
            "known of the item, and reads is ['user', 'item'], expected ['rev",
        ),
        ({"kind": "multiclass", "label": "item.brand"}, "known of the item"),
        ({"kind": "next_item", "label": "purchase", "reads": ["user"]}, "expected label next_item of kind next_item"),
        ({"kind": "multiclass", "label": "next_item"}, "it is the item itself"),
        ({"kind": "multiclass", "label": "item.colour", "reads": ["review"]}, "expected one of ['item.brand'], which"),
    ],
)
def test_an_answer_is_no_input_of_its_own_task(task, says):
    """What the user did shows in whether there is a review, what an item is in the item."""
    columns = {name: name for name in ("user_id", "item_id", "event_type", "event_time")}
    played = {"name": "e", "table": "events", "kind": "csv", "path": "e", "columns": columns}
    played |= {"aspects": {"seconds": "s"}}
    own = minimal(
        clean={"behaviour": {"strengths": {"view": 0, "purchase": 3, "share": 2}}},
        sources=[played],
        examples={"positives": ["purchase"], "choices": {"share": 24}, "item_labels": ["brand"]},
    )
    told = {"kind": "multiclass", "label": "item.brand", "name": "told", "reads": ["review"]}
    parse_settings(own | {"tasks": [told], "train": {"stop_on": "told/accuracy"}})
    with pytest.raises(ConfigError) as error:
        parse_settings(own | {"tasks": [told, {**task, "name": "asked"}], "train": {"stop_on": "told/accuracy"}})
    assert f"tasks.asked.label is '{task['label']}'" in str(error.value) and says in str(error.value)


def test_labels_of_items_are_what_is_known_of_them():
    with pytest.raises(ConfigError, match=r"item_labels has \['colour'\], expected some of \['brand', 'price'\]"):
        parse_settings(minimal(examples={"item_labels": ["colour"]}))
    parse_settings(minimal(examples={"item_labels": ["colour"], "attributes": {"colour": "index"}}))


def test_choices_are_event_types_and_those_of_the_default_may_be_absent():
    own = minimal(clean={"behaviour": {"strengths": {"view": 0, "listen": 1, "share": 2}}})
    positives = {"positives": ["listen"]}
    assert parse_settings(own | {"examples": positives}).examples.choices.keys() == {"click", "purchase"}
    chosen = parse_settings(own | {"examples": positives | {"choices": {"share": 24}}})
    assert parse_settings(chosen.model_dump(mode="json")) == chosen
    with pytest.raises(ConfigError, match=r"examples.choices has \['view'\], expected some of \['listen', 'share'\]"):
        parse_settings(own | {"examples": positives | {"choices": {"view": 24}}})


def test_a_time_needs_no_quotes(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text(
        "data: {root: in}\nlake: {root: out}\nclean: {now: 2024-05-31, earliest: 2001-02-03T04:05:06Z}\n"
        "sources: [{name: bought, table: events, kind: pairs, path: buy, constants: {event_type: purchase}}]\n"
    )
    assert load_settings(file).clean.now == "2024-05-31"
    assert load_settings(file).clean.earliest == "2001-02-03T04:05:06Z"
    assert load_settings(file, ["clean.now=2024-06-01 12:00:00"]).clean.now == "2024-06-01 12:00:00"


def test_a_file_that_is_absent_or_no_yaml_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.yaml: cannot be read"):
        load_settings(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match=rf"of settings; relative paths count .* is {re.escape(str(Path.cwd()))}$"):
        load_settings("absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(ConfigError, match=r"broken\.yaml: is no YAML"):
        load_settings(broken)
    broken.write_bytes("data: {root: in}\n# Größe\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"broken\.yaml: line 2 has bytes that are no UTF-8, expected"):
        load_settings(broken)
    broken.write_text("just words")
    with pytest.raises(ConfigError, match="holds str, expected keys"):
        load_settings(broken)


def test_a_key_that_stands_twice_is_refused_where_yaml_would_drop_the_first(tmp_path):
    file = tmp_path / "conf.yaml"
    text = (
        "data: {root: in}\nlake: {root: out}\n"
        "sources:\n- &one {name: one, table: events, kind: pairs, path: buy, constants: {event_type: purchase}}\n"
        "- {<<: *one, name: two}\ntrain: {max_epochs: 3}\n"
    )
    file.write_text(text)
    assert [source.name for source in load_settings(file).sources] == ["one", "two"]  # a merged key is no second one
    for more, says in [
        ("train: {patience: 2}\n", "train stands in line 6 and in line 7, expected it once"),
        ("model: {width: 8, experts: 2, width: 16}\n", "width stands in line 7 and in line 7"),
    ]:
        file.write_text(text + more)
        with pytest.raises(ConfigError, match=rf"conf\.yaml: is no YAML: {says}"):
            load_settings(file)


@pytest.mark.parametrize("root", ["lake/shop", "lake/shop/", "s3://bucket/shop", "/srv/shop"])
def test_lakes_have_a_report_each_where_none_is_named(root):
    assert parse_settings(minimal(lake={"root": root})).report_path == Path("reports/shop/index.html")
    assert parse_settings(minimal(lake={"root": root})).encoders_path == Path("reports/shop/encoders.html")
    named = parse_settings(minimal(lake={"root": root}, report={"path": "page.html"}))
    assert named.report_path == Path("page.html")


def test_settings_of_spark_need_no_quotes(tmp_path):
    file = tmp_path / "conf.yaml"
    file.write_text(
        "data: {root: in}\nlake: {root: out}\nspark: {conf: {spark.a: true, spark.b: 200, spark.c: 0.6, spark.d: 4g}}\n"
        "sources: [{name: bought, table: events, kind: pairs, path: buy, constants: {event_type: purchase}}]\n"
    )
    conf = load_settings(file, ["spark.conf={spark.a: false, spark.b: 200, spark.c: 0.6, spark.d: 4g}"]).spark.conf
    assert conf == {"spark.a": "false", "spark.b": "200", "spark.c": "0.6", "spark.d": "4g"}
    assert load_settings(file).spark.conf["spark.a"] == "true"
    assert load_settings(file, ["spark.driver_memory=4G"]).spark.driver_memory == "4G"


def test_codes_of_files_need_no_quotes_and_stay_as_they_are_written(tmp_path):
    file = tmp_path / "conf.yaml"
    log = (
        "data: {root: in}\nlake: {root: out, model: 123456789012}\nsources:\n- {name: log, table: events, kind: csv, "
        "path: x, columns: {user_id: u, item_id: i, event_type: e}, constants: {event_time: 12:30}, "
        "event_types: {0: click, -1: view, 007: purchase}}\n"
    )
    file.write_text(log)
    settings = load_settings(file)
    assert settings.lake.model == "123456789012"  # a run's id of digits alone
    assert settings.sources[0].event_types == {"0": "click", "-1": "view", "007": "purchase"}
    assert settings.sources[0].constants == {"event_time": "12:30"}
    assert load_settings(file, ["train.max_epochs=007", "train.batch_size=1_024"]).train.batch_size == 1024
    with pytest.raises(ConfigError, match=r"event_types\.1\.\[key\]: found True, expected a valid string, in quotes"):
        load_settings(file, ["sources.log.event_types={yes: click}"])
    file.write_text("# nothing yet\n")
    with pytest.raises(ConfigError, match=r"conf\.yaml: holds nothing, expected keys and values"):
        load_settings(file)
