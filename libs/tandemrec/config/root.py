"""The whole of the settings: one YAML file a deployment."""

import os
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from tandemrec.config.base import Section
from tandemrec.config.learning import DEFAULT_TASKS, METRICS, ModelSettings, Task, TrainSettings
from tandemrec.config.preparing import CleanSettings, EmbedSettings, ExamplesSettings
from tandemrec.config.serving import EvaluateSettings, PredictSettings, ReportSettings
from tandemrec.config.sources import Source, StreamSettings


def _absolute(root: str) -> str:
    """A folder as seen from everywhere: Ray's workers have a working directory of their own."""
    return root if "://" in root else os.path.abspath(os.path.expanduser(root))


Root = Annotated[str, AfterValidator(_absolute)]


class DataSettings(Section):
    root: Root = Field(description="folder or URL below which the sources lie")


class LakeSettings(Section):
    root: Root = Field(description="folder or URL of the tables")


class SparkSettings(Section):
    master: str | None = Field(default="local[2]", description="null: what spark-submit or the cluster says")
    driver_memory: str = Field(default="1g", pattern=r"^\d+[mg]$")
    shuffle_partitions: int = Field(default=4, ge=1)
    conf: dict[str, str] = Field(default_factory=dict, description="any Spark setting, as is")


class RaySettings(Section):
    address: str | None = Field(default=None, description="of a running cluster; null: one of our own on this machine")
    cpus: int | None = Field(default=None, ge=1, description="of our own; default: all")
    object_store_mb: int = Field(default=300, ge=80)


class Settings(Section):
    seed: int = Field(default=42, ge=0)
    data: DataSettings
    lake: LakeSettings
    spark: SparkSettings = SparkSettings()
    ray: RaySettings = RaySettings()
    sources: list[Source] = Field(min_length=1)
    stream: StreamSettings = StreamSettings()
    clean: CleanSettings = CleanSettings()
    embed: EmbedSettings = EmbedSettings()
    examples: ExamplesSettings = ExamplesSettings()
    tasks: list[Task] = Field(default=list(DEFAULT_TASKS), min_length=1)
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    predict: PredictSettings = PredictSettings()
    report: ReportSettings = ReportSettings()

    @model_validator(mode="after")
    def _parts_fit(self) -> "Settings":
        for what, names in (("sources", [s.name for s in self.sources]), ("tasks", [t.name for t in self.tasks])):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} has the name {twice[0]!r} more than once")
        task_name, _, metric = self.train.stop_on.partition("/")
        task = next((task for task in self.tasks if task.name == task_name), None)
        if task is None:
            raise ValueError(
                f"train.stop_on is {self.train.stop_on!r}, expected TASK/METRIC, TASK one of "
                f"{[t.name for t in self.tasks]}"
            )
        base, _, cutoff = metric.partition("@")
        if base not in METRICS[task.kind] or (task.kind == "next_item") != cutoff.isdigit():
            at = "@K" if task.kind == "next_item" else ""
            raise ValueError(
                f"train.stop_on is {self.train.stop_on!r}, expected {task_name}/ and one of "
                f"{[name + at for name in METRICS[task.kind]]}"
            )
        return self
