"""--help on every level; an error is one line and an exit code; a traceback only when asked for."""

import re

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
        "begin": ["sample", "run"],
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
