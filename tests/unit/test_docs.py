"""Commands and settings that the pages show are those of today."""

import re
import shlex
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from reported_lake import record, write_results

from tandemrec.cli.parser import build_parser
from tandemrec.config import Settings, parse_settings
from tandemrec.config.load import read_yaml
from tandemrec.lake import Lake

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "log.md")]
DEMO = read_yaml((ROOT / "conf" / "local.yaml").read_text(encoding="utf-8"))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?:^ {4}.*\n)+", re.MULTILINE)
INLINE = re.compile(r"`(tandemrec [^`]+)`")


def blocks(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    indented = (re.sub(r"^ {4}", "", found, flags=re.MULTILINE) for found in INDENTED.findall(FENCED.sub("", text)))
    return [body for _, body in FENCED.findall(text)] + list(indented)


def commands(text: str) -> list[list[str]]:
    """Words of the lines that call tandemrec, with what stands in brackets and values for what wants some."""
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.startswith("tandemrec ")]
    values = {"N": "7", "NAME": "local", "TIME": "2026-01-31", "...": "conf/local.yaml"}
    words = (shlex.split(re.sub(r"\[(-.*?)\]", r"\1", line), comments=True) for line in lines)
    return [[values.get(word, word) for word in line][1:] for line in words]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_blocks_can_be_typed(page, monkeypatch):
    monkeypatch.delenv("TANDEMREC_CONFIG", raising=False)
    for block in blocks(page):
        for words in commands(block):
            build_parser().parse_args(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_sentences_exist_with_their_options(page, monkeypatch, capsys):
    """They may leave out what every command needs."""
    monkeypatch.setenv("TANDEMREC_CONFIG", "conf/local.yaml")
    for told in INLINE.findall(page.read_text(encoding="utf-8")):
        (words,) = commands(told)
        with suppress(SystemExit):
            build_parser().parse_args(words)
        said = capsys.readouterr().err
        assert not said or "the following arguments are required" in said, told


def shown_settings(page: Path) -> list[dict]:
    """Blocks whose first key is one of the settings'."""
    first = re.compile(rf"({'|'.join(Settings.model_fields)}):")
    return [read_yaml(block) for block in blocks(page) if first.match(block)]


@pytest.mark.parametrize("page", [page for page in PAGES if shown_settings(page)], ids=lambda page: page.name)
def test_settings_that_are_shown_are_settings(page):
    for shown in shown_settings(page):
        sources = shown.get("sources", [])
        if sources and not any("..." in source for source in sources):  # a whole deployment but for its folders
            parse_settings({"data": {"root": "in"}, "lake": {"root": "out"}, **shown})
            continue
        for source in sources:  # what is left out of it is as in the demo
            if "..." in source:
                source |= next(one for one in DEMO["sources"] if one["name"] == source["name"])
                del source["..."]
        for key, value in shown.items():
            TypeAdapter(Settings.model_fields[key].annotation).validate_python(value)


def test_something_is_shown():
    assert len([words for page in PAGES for block in blocks(page) for words in commands(block)]) >= 12
    assert len([shown for page in PAGES for shown in shown_settings(page)]) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_extras_are_installed_from_the_tree(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for command in re.findall(r"pip install ([^`\n]*)", page.read_text(encoding="utf-8")):
        found = re.fullmatch(r"-c constraints/default\.txt -e '\.\[(\w+)\]'", command)
        assert found and found[1] in extras, command


def test_another_program_reads_what_was_recommended_last_as_the_page_says(tmp_path, monkeypatch):
    lake = Lake(str(tmp_path / "lake" / "demo"))
    write_results(lake)
    lake.overwrite("recommendations", lake.read("recommendations"))  # plain strings, as Spark writes them
    for minute, run_id in enumerate(("model-1", "model-2", "model-3")):  # of the last one nothing is published
        record(lake, "train", minute, {}, run_id=run_id)
    monkeypatch.chdir(tmp_path)
    (block,) = (body for body in blocks(ROOT / "docs" / "operations.md") if "DeltaTable" in body)
    found: dict = {}
    exec(block.replace("u000001", "u3"), found)
    rows = found["rows"]
    assert (rows["run_id"].unique().tolist(), rows["user_id"].unique().tolist()) == (["model-2"], ["u3"])
    assert rows["rank"].tolist() == list(range(1, 8))
