"""The whole of the settings: one YAML file a deployment."""

import os
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from tandemrec.config.base import Cell, Section
from tandemrec.config.interest import ProfileSettings
from tandemrec.config.learning import DEFAULT_TASKS, METRICS, ModelSettings, Task, TrainSettings, check_given
from tandemrec.config.places import in_the_way
from tandemrec.config.preparing import Choice, CleanSettings, ExamplesSettings
from tandemrec.config.quality import Expectation
from tandemrec.config.serving import EvaluateSettings, PredictSettings, ReportSettings
from tandemrec.config.sources import Source, StreamSettings
from tandemrec.config.tabular import TabularSettings
from tandemrec.config.text import AugmentSettings, CompareEncodersSettings, EmbedSettings


def _absolute(root: str) -> str:
    """A folder as seen from everywhere: Ray's workers have a working directory of their own."""
    return root if "://" in root else os.path.abspath(os.path.expanduser(root))


def counted_from(root: str) -> str:
    """What is said beside a folder where nothing was: the settings may have named it from another working directory."""
    return "" if "://" in root else f"; relative paths count from the working directory, which is {os.getcwd()}"


def _folder(root: str) -> str:
    if "://" not in root and (file := in_the_way(root)) is not None:
        raise ValueError(f"found {root!r}, and {file} is no folder, expected one")
    return root


Root = Annotated[str, AfterValidator(_absolute)]


class PseudonymSettings(Section):
    """Ids of people are replaced at ingest by a keyed hash; the key itself never stands in settings."""

    key_env: str = Field(
        default="TANDEMREC_PSEUDONYM_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the key",
    )
    also: list[str] = Field(
        default=[],
        description="fields of the files that hold ids of people beside those mapped to user_id and, of relations to "
        "people, to target_id",
    )


class DataSettings(Section):
    """Where the raw files are, and whether ids of people stay plain."""

    root: Root = Field(
        description="folder or URL below which the sources lie; a relative one counts from the working directory"
    )
    pseudonymise: PseudonymSettings | None = Field(default=None, description="null: ids stay as they are")


class LakeSettings(Section):
    """Where the tables are, and what is read of them."""

    root: Annotated[Root, AfterValidator(_folder)] = Field(
        description="folder or URL of the tables; a relative one counts from the working directory"
    )
    versions: dict[str, Annotated[int, Field(ge=0)] | None] = Field(
        default_factory=dict,
        description="tables read at a version of the past, null: as if not there; a stage sets its own, see --as-of",
    )
    wait_s: float = Field(default=60.0, ge=0, description="seconds to wait for another run of the same stage")
    model: Cell | None = Field(default=None, description="training run whose model is read; default: the newest")


class SparkSettings(Section):
    """The engine of ingest, clean, examples, profiles and publish."""

    master: str | None = Field(default="local[2]", description="null: what spark-submit or the cluster says")
    driver_memory: str = Field(
        default="1g", pattern=r"^\d+[mgMG]$", description="of the Java process, where master is local: 800m, 4g"
    )
    shuffle_partitions: int = Field(
        default=4, ge=1, description="parts that joins and groups are cut into; on a cluster some per core"
    )
    conf: dict[str, str] = Field(default_factory=dict, description="any Spark setting, as is")

    @field_validator("conf", mode="before")
    @classmethod
    def _as_spark_writes(cls, conf: Any) -> Any:
        """`true` and `200` in YAML are no texts, and Spark's settings nothing else."""
        if not isinstance(conf, dict):
            return conf
        return {
            key: str(value).lower() if isinstance(value, bool | int | float) else value for key, value in conf.items()
        }


class RaySettings(Section):
    """The engine of embed, summarise, train, evaluate and predict."""

    address: str | None = Field(default=None, description="of a running cluster; null: one of our own on this machine")
    cpus: int | None = Field(default=None, ge=1, description="of our own; default: all")
    object_store_mb: int = Field(
        default=300, ge=80, description="of our own: memory for what travels between its processes, in MiB"
    )


class Settings(Section):
    """All settings of a deployment."""

    seed: int = Field(default=42, ge=0, description="of everything that is drawn: random splits, training, samples")
    data: DataSettings
    lake: LakeSettings
    spark: SparkSettings = SparkSettings()
    ray: RaySettings = RaySettings()
    sources: list[Source] = Field(min_length=1, description="which files there are, and what stands where in them")
    stream: StreamSettings = StreamSettings()
    clean: CleanSettings = CleanSettings()
    quality: list[Expectation] = Field(default=[], description="of tables that stages of Spark write")
    embed: EmbedSettings = EmbedSettings()
    encoders: CompareEncodersSettings = CompareEncodersSettings()
    examples: ExamplesSettings = ExamplesSettings()
    profiles: ProfileSettings = ProfileSettings()
    augment: AugmentSettings | None = Field(default=None, description="null: nothing is made, and none is learned from")
    tabular: TabularSettings | None = Field(default=None, description="the columns of sources of kind tabular")
    tasks: list[Task] = Field(
        default=list(DEFAULT_TASKS),
        min_length=1,
        description="what is learned together; default: next_item, click, purchase, rating, sentiment, category",
    )
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    predict: PredictSettings = PredictSettings()
    report: ReportSettings = ReportSettings()

    @property
    def report_path(self) -> Path:
        """Where the report lies: lakes whose settings do not say so have each a folder of their own."""
        return Path(self.report.path or f"reports/{self.lake.root.rstrip('/').rpartition('/')[2]}/index.html")

    @property
    def encoders_path(self) -> Path:
        """Where the comparison of encoders lies: beside the report, unless the settings say otherwise."""
        return Path(self.encoders.path) if self.encoders.path else self.report_path.with_name("encoders.html")

    @model_validator(mode="after")
    def _parts_fit(self) -> "Settings":
        """What does not fit is told all at once, and not one after the other as it is mended."""
        said = []
        for check in (
            self._names_differ,
            self._tasks_fit,
            self._event_types_fit,
            self._tabular_fits,
            self._labels_fit,
            self._stop_on_fits,
        ):
            try:
                check()
            except ValueError as error:
                said.append(str(error))
        if said:
            raise ValueError("; ".join(said))
        return self

    def _names_differ(self) -> None:
        for what, names in (
            ("sources", [s.name for s in self.sources]),
            ("tasks", [t.name for t in self.tasks]),
            ("quality", [f"{e.table}: {e.metric}" for e in self.quality]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} has the name {twice[0]!r} more than once")

    def _tasks_fit(self) -> None:
        check_given(self.tasks)
        several = [task.name for task in self.tasks if task.kind == "multiclass" and "item" in task.reads]
        if several and self.model.pairs == "product":
            raise ValueError(
                f"model.pairs is product, whose one score tells none of several classes, and tasks.{several[0]} is "
                "multiclass of a user and an item, expected network"
            )
        if self.train.history == "around" and self.examples.targets:
            raise ValueError(
                f"train.history is around and examples.targets is {self.examples.targets}, expected none: histories "
                "would lose what is no target"
            )

    def _stop_on_fits(self) -> None:
        task_name, _, metric = self.train.stop_on.partition("/")
        task = next((task for task in self.tasks if task.name == task_name), None)
        if task is None:
            raise ValueError(
                f"train.stop_on is {self.train.stop_on!r}, expected TASK/METRIC, TASK one of "
                f"{[t.name for t in self.tasks]}"
            )
        base, at, cutoff = metric.partition("@")
        ranked = task.kind == "next_item"
        fits = cutoff.isdecimal() and int(cutoff) > 0 if ranked else not at
        if base not in METRICS[task.kind] or not fits:
            known = [name + "@K" * ranked for name in METRICS[task.kind]]
            raise ValueError(f"train.stop_on is {self.train.stop_on!r}, expected {task_name}/ and one of {known}")

    def _tabular_fits(self) -> None:
        tabular = [source.kind == "tabular" for source in self.sources]
        if any(tabular) != all(tabular):
            raise ValueError("sources are tabular and others, expected the one or the other: they share no examples")
        if all(tabular) != (self.tabular is not None):
            raise ValueError("tabular and sources of kind tabular go together: one says what the other's columns are")
        for task in self.tasks:
            if all(tabular) != (task.reads == ["row"]):
                asked = "['row'], as the sources are tabular" if all(tabular) else "no row, as no source is tabular"
                raise ValueError(f"tasks.{task.name}.reads is {task.reads}, expected {asked}")
            if self.tabular is not None and task.column not in self.tabular.labels:
                raise ValueError(
                    f"tasks.{task.name}.label is {task.column!r}, expected one of {[*self.tabular.labels]}"
                )
            if self.tabular is not None and self.tabular.labels[task.column].classes and task.kind != "multiclass":
                raise ValueError(
                    f"tasks.{task.name}.kind is {task.kind} and tabular.labels.{task.column} has classes, expected "
                    "multiclass"
                )
        if all(tabular) and self.examples.split not in ("random", "given"):
            raise ValueError(f"examples.split is {self.examples.split}, expected random or given for tabular sources")

    def _labels_fit(self) -> None:
        """What a user does is never told from the review that says it, nor what an item is from the item."""
        done = {"next_item", "rating", *get_args(Choice), *self.examples.choices}
        done |= {name for source in self.sources for name in source.aspects}
        of_items = [f"item.{name}" for name in self.examples.item_labels]
        for task in self.tasks:
            asked = f"tasks.{task.name}.label is {task.column!r}"
            if (task.kind == "next_item") != (task.column == "next_item"):
                raise ValueError(
                    f"{asked} and kind {task.kind}, expected label next_item of kind next_item and of no other: it is "
                    "the item itself, of the types that examples.targets or positives names"
                )
            if task.reads == ["review"] and task.column in done:
                raise ValueError(
                    f"{asked}, which is what the user did, and reads is {task.reads}: that gives the answer; of "
                    "reviews are stars, sentiment, category, and aspects as review.NAME"
                )
            if "item" in task.reads and task.column in ("category", *of_items):
                raise ValueError(f"{asked}, which is known of the item, and reads is {task.reads}, expected ['review']")
            if task.column.startswith("item.") and task.column not in of_items:
                raise ValueError(f"{asked}, expected one of {of_items}, which examples.item_labels names")

    def _event_types_fit(self) -> None:
        ours = list(self.clean.behaviour.strengths)
        for source in self.sources:
            if unknown := sorted(set(source.event_types.values()) - set(ours)):
                raise ValueError(f"sources.{source.name}.event_types leads to {unknown}, expected some of {ours}")
        answers = [name for name in ours if name not in ("view", "rating")]
        # Those with a column of labels are there by default, whatever the log has.
        if unknown := sorted(set(self.examples.choices) - {*answers, *get_args(Choice)}):
            raise ValueError(f"examples.choices has {unknown}, expected some of {answers}")
        for key in ("positives", "targets"):
            if unknown := sorted(set(getattr(self.examples, key)) - {*ours, "review"}):
                raise ValueError(f"examples.{key} has {unknown}, expected some of {[*ours, 'review']}")
