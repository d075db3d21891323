"""What is done to a lake beside the stages: streams, maintenance, forgetting somebody, migration.

An operation is data. Its job has `run(spark, settings, ...)` or, without Spark, `run(settings, ...)`, which takes
the options by their names, and may have `refuse(settings, ...)`, which takes the same: what is wrong and can be told
without an engine is told before one starts.
"""

import argparse
import importlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from tandemrec.config import Settings, load_settings
from tandemrec.engines.ray import ray_cluster
from tandemrec.engines.spark import spark_session
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.lake.lock import locked
from tandemrec.pipeline.arguments import add_config_arguments, count, sentence
from tandemrec.pipeline.harness import guarded
from tandemrec.pipeline.stages import STAGES


@dataclass(frozen=True, kw_only=True)
class Operation:
    """An operation. Its name is the words of its command; `options` are what argparse's add_argument takes, by their
    names.

    `group` is where its command is listed. `instead_of` is the stage whose command does this, and not the stage, where
    the option --NAME is given. `alone`: it changes tables of any stage, so it waits until none runs, and none begins
    meanwhile (--dry-run changes nothing). `of_empty`: it has something to do where there is no table yet.
    """

    name: str
    group: Literal["compare", "look after"]
    module: str
    engine: Literal["spark", "ray", "none"]
    does: str
    options: dict[str, dict[str, Any]]
    instead_of: str | None = None
    alone: bool = False
    of_empty: bool = False


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        name="stream",
        group="look after",
        module="jobs.stream",
        engine="spark",
        does="what arrives in the sources, files and changes of Delta tables, into bronze tables, exactly once",
        of_empty=True,
        options={
            "--follow": {"action": "store_true", "help": "go on until interrupted"},
            "--clean": {"action": "store_true", "help": "clean what is in bronze and not clean yet"},
        },
    ),
    Operation(
        name="maintain",
        group="look after",
        module="jobs.maintain",
        engine="spark",
        does="pack small files, remove files that no recent version needs; a report of files before and after",
        alone=True,
        options={
            "--retain-hours": {
                "type": count,
                "default": 168,
                "metavar": "N",
                "help": "files of versions younger than this stay; default: %(default)s",
            },
            "--unsafe-retention": {
                "action": "store_true",
                "help": "allow less than 168 hours: breaks readers of older versions, and writers at work lose files",
            },
            "--dry-run": {"action": "store_true", "help": "report only"},
        },
    ),
    Operation(
        name="reproduce",
        group="compare",
        module="jobs.reproduce",
        engine="spark",
        does="rebuild the examples of a run from the versions and settings it recorded, and compare row by row",
        options={
            "run_id": {
                "metavar": "RUN_ID",
                "help": "of examples, or of train, evaluate or predict: the examples they read",
            },
        },
    ),
    Operation(
        name="forget-user",
        group="look after",
        module="jobs.forget_user",
        engine="spark",
        does="remove a person from every table and from the files below the lake, and prove it by reading them",
        alone=True,
        options={
            "--user": {
                "required": True,
                "metavar": "USER",
                "help": "user_id; with pseudonyms the plain id or its pseudonym",
            },
            "--yes": {"action": "store_true", "help": "do not ask"},
        },
    ),
    Operation(
        name="encoders compare",
        group="compare",
        module="jobs.compare_encoders",
        engine="none",
        does="speed, memory and worth of text encoders on the lake's own reviews, and which to use",
        options={
            "--model": {
                "action": "append",
                "metavar": "MODEL",
                "help": "a candidate, as in embed.encoder.model; may be repeated; default: encoders.candidates",
            },
        },
    ),
    Operation(
        name="gc",
        group="look after",
        module="jobs.drop_vectors",
        engine="none",
        does="drop the vectors of encoders that neither a model, the newest run nor the settings refer to",
        alone=True,
        options={"--yes": {"action": "store_true", "help": "with --gc: do not ask"}},
        instead_of="embed",
    ),
    Operation(
        name="transfer",
        group="compare",
        module="ray_train.transfer",
        engine="ray",
        does="train each task alone, all together and by pairs at an equal budget; what each gains or loses",
        options={
            "--seeds": {
                "type": count,
                "default": 3,
                "metavar": "N",
                "help": "trainings of each set of tasks; default: %(default)s",
            },
            "--tasks": {"default": "", "metavar": "TASK,...", "help": "some of the tasks; default: all"},
            "--pareto": {"default": "", "metavar": "TASK,TASK", "help": "draw the trade-off of two over their weights"},
        },
    ),
    Operation(
        name="compare",
        group="compare",
        module="ray_train.compare",
        engine="ray",
        does="train the model on ids alone, on text and attributes alone, on both; what each is worth, warm and cold",
        options={
            "--cold": {
                "type": count,
                "default": 5,
                "metavar": "N",
                "help": "training interactions that a cold user or item has at most; default: %(default)s",
            },
        },
    ),
    Operation(
        name="migrate",
        group="look after",
        module="jobs.migrate",
        engine="none",
        does="bring tables up to the contract of this version of the library where no row must change for it",
        alone=True,
        options={"--dry-run": {"action": "store_true", "help": "say what would change"}},
    ),
)


def operation(name: str) -> Operation:
    for candidate in OPERATIONS:
        if candidate.name == name:
            return candidate
    raise ConfigError(f"no operation {name!r}, expected one of {[o.name for o in OPERATIONS]}")


def add_operation_arguments(parser: argparse.ArgumentParser, chosen: Operation) -> None:
    """The arguments of an operation's own command."""
    add_config_arguments(parser)
    add_options(parser, chosen)


def add_options(parser: argparse.ArgumentParser, chosen: Operation) -> None:
    for name, how in chosen.options.items():
        parser.add_argument(name, **how)


def run_operation(settings: Settings, chosen: Operation, arguments: argparse.Namespace) -> Any:
    """Run an operation with the options that stand in the arguments."""
    names = [name.removeprefix("--").replace("-", "_") for name in chosen.options]
    options = {name: getattr(arguments, name) for name in names}
    module, lake = importlib.import_module(chosen.module), Lake.of(settings.lake)
    if not chosen.of_empty:
        Lake(lake.root).refuse_empty()  # before its locks make a folder of a mistyped one
    if hasattr(module, "refuse"):
        module.refuse(settings, **options)
    with ExitStack() as stack:
        if chosen.alone and not options.get("dry_run"):
            for stage in STAGES:
                stack.enter_context(locked(lake, stage.name, wait_s=settings.lake.wait_s))
        if chosen.engine == "spark":
            return module.run(stack.enter_context(spark_session(settings.spark)), settings, **options)
        if chosen.engine == "ray":
            stack.enter_context(ray_cluster(settings.ray))
        return module.run(settings, **options)


def operation_main(name: str, argv: Sequence[str] | None = None) -> int:
    """The command line of one operation's job file. Returns the exit code."""
    chosen = operation(name)
    parser = argparse.ArgumentParser(prog=f"python -m {chosen.module}", description=sentence(chosen.does))
    add_operation_arguments(parser, chosen)
    arguments = parser.parse_args(argv)
    return guarded(
        lambda: run_operation(load_settings(arguments.config, arguments.set), chosen, arguments),
        debug=arguments.debug,
    )
