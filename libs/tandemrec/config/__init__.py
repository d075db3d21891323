"""Typed settings, checked when built: a wrong value fails here with the key's path, never an hour later."""

from tandemrec.config.base import Section
from tandemrec.config.learning import BalanceSettings, ModelSettings, Task, TrainSettings
from tandemrec.config.load import load_settings, parse_settings
from tandemrec.config.preparing import CleanSettings, EmbedSettings, EncoderSettings, ExamplesSettings
from tandemrec.config.quality import Expectation
from tandemrec.config.root import Settings
from tandemrec.config.serving import EvaluateSettings, PredictSettings, ReportSettings
from tandemrec.config.sources import Source

__all__ = [
    "BalanceSettings",
    "CleanSettings",
    "EmbedSettings",
    "EncoderSettings",
    "EvaluateSettings",
    "ExamplesSettings",
    "Expectation",
    "ModelSettings",
    "PredictSettings",
    "ReportSettings",
    "Section",
    "Settings",
    "Source",
    "Task",
    "TrainSettings",
    "load_settings",
    "parse_settings",
]
