"""Run a stage: open its engine, skip it when it is up to date, record what it read, wrote and found."""

import argparse
import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from tandemrec import console
from tandemrec.config import Settings, load_settings
from tandemrec.config.secrets import without_secrets
from tandemrec.engines.ray import ray_cluster
from tandemrec.engines.spark import refuse_lost, spark_session
from tandemrec.errors import TableError, TandemRecError
from tandemrec.lake import Lake, runs
from tandemrec.lake.lock import locked
from tandemrec.pipeline import gate
from tandemrec.pipeline.arguments import add_stage_arguments, sentence
from tandemrec.pipeline.as_of import pinned
from tandemrec.pipeline.stages import STAGES, Stage, stage

_FULL = "No space left on device"


def run_stage(
    settings: Settings,
    chosen: Stage,
    *,
    force: bool = False,
    as_of: Sequence[str] = (),
    spark: Any = None,
    engines: ExitStack | None = None,
) -> runs.Figures | None:
    """Run one stage, or skip it and return None where nothing it depends on has changed, or tabular data has no use
    for it.

    Args:
        as_of: what to read in place of the newest versions, as of --as-of.
        spark: a session to use (a notebook's); default: the stage's own.
        engines: where an engine that the stage starts is left open for the next one; default: it ends with the stage.
    """
    if settings.tabular is not None and not chosen.of_rows:
        console.line(f"{chosen.name}: nothing to do for tabular data")
        return None
    lake = Lake.of(settings.lake)
    if chosen.reads and chosen.engine != "none" and not any(map(lake.exists, chosen.reads)):
        Lake(lake.root).refuse_empty()  # before an engine starts, and a mistyped lake becomes a folder
    with locked(lake, chosen.name, wait_s=settings.lake.wait_s):
        read = pinned(settings, chosen, as_of)
        if chosen.reads_model and not as_of and settings.lake.model is None:
            _warn_of_other_settings(settings, read)
        return _run_stage(read, chosen, force, spark, engines)


def _run_stage(
    settings: Settings, chosen: Stage, force: bool, spark: Any, engines: ExitStack | None
) -> runs.Figures | None:
    lake = Lake.of(settings.lake)
    module = importlib.import_module(chosen.module)
    identity, config_hash, inputs = _identity(settings, chosen, lake, module)
    judged_only = not force and _up_to_date(settings, lake, chosen, module, identity)
    if judged_only and not gate.ages(settings, chosen):
        console.line(f"{chosen.name}: up to date")
        return None
    if not judged_only:
        gate.refuse_unfit(lake, chosen)
        console.line(f"{chosen.name}: {chosen.does}")
    started, clock = runs.now(), time.monotonic()

    def log(status: str, figures: runs.Figures) -> None:
        run = runs.Run(
            # The record of what the stage did stays, if only what is expected of its tables holds no longer.
            run_id=runs.fingerprint(identity, "judged") if judged_only else identity,
            stage=chosen.name,
            status=status,
            started_at=started,
            seconds=round(time.monotonic() - clock, 3),
            inputs=inputs,
            outputs=_versions(lake, chosen.writes),
            config_hash=config_hash,
            settings=without_secrets(sections(settings, chosen)),
            code_version=chosen.code,
            figures=figures,
        )
        runs.record(lake, run)

    told: runs.Figures = {}
    with ExitStack() as own:
        opened = own if engines is None else engines
        try:
            if chosen.engine == "spark":
                session = spark or opened.enter_context(spark_session(settings.spark))
                figures = {} if judged_only else module.run(session, settings)
                if gate.expectations_of(settings, chosen):
                    judged = gate.judge(session, settings, chosen, identity)
                    told = {"quality": gate.figures(judged)}
                    gate.refuse_failed(judged)
            elif chosen.engine == "ray":
                opened.enter_context(ray_cluster(settings.ray))
                figures = module.run(settings)
            else:
                figures = module.run(settings)
        except Exception as error:
            with suppress(Exception):  # what failed is what is to be told
                if lake.exists("runs"):
                    log("failed", {"error": str(error).splitlines()[0] if str(error) else type(error).__name__, **told})
            if _FULL in str(error):
                raise TableError(
                    f"{chosen.name}: {_FULL.lower()}, which is that of {lake.root} or of Spark's temporary files; no "
                    "table is half written: free some space and run the stage again"
                ) from error
            if chosen.engine == "spark":
                refuse_lost(error, settings.spark)
            raise
    if judged_only:
        console.line(f"{chosen.name}: up to date")
        return None
    log("done", {**figures, **told})
    return {**figures, **told}


def run_all(settings: Settings, *, force: bool = False) -> None:
    """All stages in order; each engine is started once, when the first stage that is not up to date needs it."""
    with ExitStack() as engines:
        for chosen in STAGES:
            run_stage(settings, chosen, force=force, engines=engines)


def stage_main(name: str, argv: Sequence[str] | None = None) -> int:
    """The command line of one stage's job file: --config, --set, --as-of, --force, --debug. Returns the exit code."""
    chosen = stage(name)
    parser = argparse.ArgumentParser(prog=f"python -m {chosen.module}", description=sentence(chosen.does))
    add_stage_arguments(parser, chosen)
    arguments = parser.parse_args(argv)
    return guarded(
        lambda: run_stage(
            load_settings(arguments.config, arguments.set), chosen, force=arguments.force, as_of=arguments.as_of
        ),
        debug=arguments.debug,
    )


def guarded(action: Callable[[], object], *, debug: bool) -> int:
    """Run an action; an error becomes one line on standard error and exit code 1 (130 when interrupted)."""
    try:
        action()
    except KeyboardInterrupt:
        console.err.print("interrupted; a rerun goes on from what is finished", markup=False)
        return 130
    except TandemRecError as error:
        if debug:
            raise
        console.err.print(f"error: {' '.join(str(error).split())}", style="red", markup=False)
        return 1
    except Exception as error:
        if debug:
            raise
        first = next(iter(str(error).strip().splitlines()), "")
        console.err.print(f"error: {type(error).__name__}: {first} (--debug shows where)", style="red", markup=False)
        return 1
    return 0


def run_identity(settings: Settings, name: str) -> str:
    """The identity under which a stage would run now; that of `train` is the model's and stands in predictions."""
    chosen = stage(name)
    settings = pinned(settings, chosen)
    return _identity(settings, chosen, Lake.of(settings.lake), importlib.import_module(chosen.module))[0]


def settings_hash(settings: Settings, name: str) -> str:
    """Of the settings that a stage depends on, as gold.runs records it."""
    return runs.fingerprint(sections(settings, stage(name)))


def sections(settings: Settings, chosen: Stage) -> dict[str, Any]:
    """The settings that a stage depends on, as plain values."""
    every = settings.model_dump(mode="json")
    return {section: every[section] for section in chosen.settings}


def _warn_of_other_settings(settings: Settings, read: Settings) -> None:
    """Say that the newest model, which nobody has named, is not that of the settings."""
    ours, its = (dict(_leaves(without_secrets(sections(one, stage("train"))))) for one in (settings, read))
    other = [key for key in sorted(ours.keys() | its.keys()) if ours.get(key) != its.get(key)]
    if other:
        console.warn(
            f"the newest model, run {read.lake.model}, was trained with other settings ({', '.join(other)}), and "
            f"is read with its own: run train first, or name it: lake.model={read.lake.model}"
        )


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path with dots and value of what is no mapping, at any depth."""
    if not isinstance(value, dict):
        yield path, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{path}.{key}" if path else key)


def _identity(settings: Settings, chosen: Stage, lake: Lake, module: Any) -> tuple[str, str, dict[str, int]]:
    """What a stage depends on: its settings, its inputs' versions, its code, what is expected of its tables
    and, where the module says so with `depends_on(settings)`, things outside the lake (files).
    """
    outside = module.depends_on(settings) if hasattr(module, "depends_on") else None
    config_hash = settings_hash(settings, chosen.name)
    inputs = _versions(lake, chosen.reads)
    expected = [one.model_dump(mode="json") for one in gate.expectations_of(settings, chosen)]
    run_id = runs.fingerprint(chosen.name, config_hash, inputs, outside, chosen.code, *expected)
    return run_id, config_hash, inputs


def _up_to_date(settings: Settings, lake: Lake, chosen: Stage, module: Any, identity: str) -> bool:
    """The newest finished run of the stage has this identity and what it wrote is still there: its tables, and
    outside the lake's tables what the module's `still_there(settings, run)` looks for.
    """
    last = runs.latest(lake, chosen.name)
    if last is None or last.run_id != identity:
        return False
    if hasattr(module, "still_there") and not module.still_there(settings, last):
        return False
    now = _versions(lake, chosen.writes)
    return all(now.get(table, -1) >= version for table, version in last.outputs.items())


def _versions(lake: Lake, names: tuple[str, ...]) -> dict[str, int]:
    """The versions that tell tables' rows apart: maintenance makes newer ones of the same rows."""
    return {name: version for name in names if (version := lake.data_version(name)) is not None}
