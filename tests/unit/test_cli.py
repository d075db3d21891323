"""--help on every level; an error is one line and an exit code; a traceback only when asked for."""

import re
from pathlib import Path

import pytest

from tandemrec.cli import main
from tandemrec.cli.parser import build_parser
from tandemrec.pipeline import STAGES
from tandemrec.pipeline.harness import stage_main
from tandemrec.pipeline.operations import OPERATIONS

INSTEAD = [operation for operation in OPERATIONS if operation.instead_of]  # options of a stage's command


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["sample"],
        ["settings"],
        ["run"],
        ["tables"],
        ["show"],
        ["encoders"],
        ["show", "recommendations"],
        *[s.name.split() for s in (*STAGES, *OPERATIONS) if s not in INSTEAD],
    ],
)
def test_help_on_every_level(words, capsys):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args([*words, "--help"])
    assert stop.value.code == 0
    assert "usage: tandemrec" in capsys.readouterr().out


def test_commands_are_listed_by_groups_and_all_of_them(capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args(["--help"])
    _, *groups = capsys.readouterr().out.split("options:")[1].split("\n\n")
    listed = {title: re.findall(r"^  (\S+)", body, re.M) for title, _, body in (g.partition(":\n") for g in groups)}
    assert listed == {
        "begin": ["sample", "settings", "run"],
        "stages": [s.name for s in STAGES],
        "look": ["tables", "show", "summary"],
        "compare": ["reproduce", "encoders", "transfer", "compare"],
        "look after": ["stream", "maintain", "forget-user", "migrate"],
    }
    told = {o.name.split()[0] for o in OPERATIONS if o not in INSTEAD}
    assert told == {*listed["compare"], *listed["look after"]}


@pytest.mark.parametrize("words", [["stream"], ["clean"], ["encoders", "compare"]])
def test_help_of_a_command_does_not_begin_with_its_name(words, capsys):
    with pytest.raises(SystemExit):
        build_parser().parse_args([*words, "--help"])
    description = capsys.readouterr().out.split("\n\n")[1]
    assert description[0].isupper() and not description.lower().startswith((words[0], "stage"))


def test_older_versions_are_offered_where_a_stage_reads_tables(capsys):
    for chosen in STAGES:
        with pytest.raises(SystemExit):
            build_parser().parse_args([chosen.name, "--help"])
        assert ("--as-of" in capsys.readouterr().out) == bool(chosen.reads)
        assert build_parser().parse_args([chosen.name, "--config", "x"]).as_of == []
        with pytest.raises(SystemExit):
            stage_main(chosen.name, ["--help"])
        assert ("--as-of" in capsys.readouterr().out) == bool(chosen.reads)


@pytest.mark.parametrize("words", [["compare", "--cold"], ["transfer", "--seeds"], ["maintain", "--retain-hours"]])
def test_a_number_below_0_is_refused_before_anything_runs(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*words, "-1", "--config", "x"])
    assert stop.value.code == 2
    assert "found -1, expected 0 or more" in capsys.readouterr().err


def test_the_environment_may_name_the_settings(monkeypatch, capsys):
    monkeypatch.setenv("TANDEMREC_CONFIG", "shop.yaml")
    assert build_parser().parse_args(["reproduce", "0123456789ab"]).config == "shop.yaml"
    assert build_parser().parse_args(["run", "--config", "other.yaml"]).config == "other.yaml"
    monkeypatch.delenv("TANDEMREC_CONFIG")
    with pytest.raises(SystemExit) as stop:
        main(["run", "shop.yaml"])  # without the option
    assert stop.value.code == 2
    assert "--config: found none, expected --config and a YAML file of settings, or one in" in capsys.readouterr().err


def test_an_error_is_one_line_and_code_1(tmp_path, capsys):
    assert main(["clean", "--config", str(tmp_path / "absent.yaml")]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("error: ")
    assert "absent.yaml" in said
    assert "\n" not in said


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(Exception, match=r"absent\.yaml"):
        main(["clean", "--config", str(tmp_path / "absent.yaml"), "--debug"])


def test_sample_refuses_a_folder_of_other_files(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("years of work")
    assert main(["sample", "--out", str(tmp_path)]) == 1
    assert "holds files that are no sample" in capsys.readouterr().err


def test_wrong_usage_is_code_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["sample", "--out", "x", "--users", "many"])
    assert stop.value.code == 2
    assert "found 'many', expected a whole number" in capsys.readouterr().err


def test_a_sample_takes_the_place_of_no_file_and_of_no_folder_that_somebody_is_in(tmp_path, monkeypatch, capsys):
    (tmp_path / "notes").write_text("x")
    monkeypatch.chdir(tmp_path)
    for out, says in [
        ("notes", "notes: " + str(tmp_path / "notes") + " is no folder"),
        ("notes/in", "notes/in: " + str(tmp_path / "notes") + " is no folder"),
        (".", ".: is the working directory"),
        ("..", "..: is the working directory or above it"),
    ]:
        assert main(["sample", "--out", out]) == 1
        assert f"error: {says}" in capsys.readouterr().err
    assert main(["sample", "--out", "new/in", "--users", "20", "--items", "30", "--events", "500"]) == 0
    said = capsys.readouterr().out
    assert re.fullmatch(r"  new/in: [\d,]+ lines of events, [\d,]+ of items, [\d,]+ of reviews; .*\n", said), said


def test_settings_to_start_from_are_written_and_nothing_is_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shown = {path.stem: path for path in (Path(__file__).parents[2] / "conf").glob("*.yaml")}
    for name, path in shown.items():
        assert main(["settings", name]) == 0
        assert capsys.readouterr().out == f"  conf/{name}.yaml\n"
        assert (tmp_path / "conf" / f"{name}.yaml").read_text() == path.read_text()
    assert main(["settings", "local"]) == 1
    assert "error: conf/local.yaml: is there already, expected a new file" in capsys.readouterr().err
    assert main(["settings", "jd", "--out", "conf/jd.yaml/shop.yaml"]) == 1
    assert "conf/jd.yaml is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        main(["settings", "shop"])
    assert stop.value.code == 2
