"""--help on every level; an error is one line and an exit code; a traceback only when asked for."""

import pytest

from tandemrec.cli import main
from tandemrec.cli.parser import build_parser
from tandemrec.pipeline import STAGES
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
