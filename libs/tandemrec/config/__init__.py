"""Typed settings, checked when built: a wrong value fails here with the key's path, never an hour later."""

from tandemrec.config.base import Section
from tandemrec.config.interest import InterestSettings, ProfileSettings, SummarySettings
from tandemrec.config.learning import (
    BalanceSettings,
    FinetuneSettings,
    MixupSettings,
    ModelSettings,
    RowSettings,
    Task,
    TrainSettings,
    WordSettings,
    without_labels,
)
from tandemrec.config.load import load_settings, parse_settings
from tandemrec.config.preparing import CleanSettings, ExamplesSettings
from tandemrec.config.quality import Expectation
from tandemrec.config.root import Settings
from tandemrec.config.serving import EvaluateSettings, PredictSettings, ReportSettings
from tandemrec.config.sources import Source
from tandemrec.config.tabular import TabularSettings
from tandemrec.config.text import AugmentSettings, EmbedSettings, EncoderSettings, GeneratorSettings

__all__ = [
    "AugmentSettings",
    "BalanceSettings",
    "CleanSettings",
    "EmbedSettings",
    "EncoderSettings",
    "EvaluateSettings",
    "ExamplesSettings",
    "Expectation",
    "FinetuneSettings",
    "GeneratorSettings",
    "InterestSettings",
    "MixupSettings",
    "ModelSettings",
    "PredictSettings",
    "ProfileSettings",
    "ReportSettings",
    "RowSettings",
    "Section",
    "Settings",
    "Source",
    "SummarySettings",
    "TabularSettings",
    "Task",
    "TrainSettings",
    "WordSettings",
    "load_settings",
    "parse_settings",
    "without_labels",
]
