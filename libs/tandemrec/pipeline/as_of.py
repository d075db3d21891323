"""Which versions a stage reads: looked up once for all of its tables, at their newest or as `--as-of` says.

What is read is then what is recorded, whatever is committed to the tables while the stage runs. Of a stage that reads a
model this holds for the settings of the training too.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from tandemrec.config import Settings, parse_settings
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake, runs
from tandemrec.pipeline.stages import Stage, stage

Versions = Mapping[str, int | None]

_RUN_ID = re.compile(r"[0-9a-f]{12}")
_OF_TABLE = re.compile(r"(\w+)=(\d+)")


def pinned(settings: Settings, chosen: Stage, as_of: Sequence[str] = ()) -> Settings:
    """The settings with `lake.versions` of every table that the stage reads and, where it reads a model, `lake.model`
    and what this model was trained with.

    Args:
        as_of: TABLE=VERSION, RUN_ID (what that run read or wrote of the stage's tables; of a stage that reads a model,
            the training run), an ISO time (UTC where it names no zone), or VERSION of the only table there is to read.
            Later ones go before earlier ones; tables that none of them names are read at their newest version.

    Raises:
        ConfigError: `as_of` is none of these or names what the stage does not read, or the settings of the training do
            not fit the others.
        TableError: a version never was, was vacuumed, or there is no such run.
    """
    lake = Lake.of(settings.lake)
    if chosen.reads_model:
        run = _trained(lake, chosen, as_of)
        asked: Versions = {} if run is None else {name: run.inputs.get(name) for name in chosen.reads}
        model = None if run is None else run.run_id
        settings = settings if run is None else _as_trained(settings, run)
    else:
        asked, model = _asked(lake, chosen, as_of), lake.model
    newest = {name: lake.data_version(name) for name in chosen.reads}
    # Versions that maintenance made since hold the rows of the newest one, and are that one to whoever reads them.
    asked = {name: _first_alike(lake, name, version, newest[name]) for name, version in asked.items()}
    for name, version in asked.items():
        if version is not None and version != newest[name]:
            lake.refuse_vacuumed(name, version)
    if as_of and all(version is None for version in asked.values()):
        raise ConfigError(f"--as-of {' '.join(as_of)}: none of {_names(chosen)} was there, expected one at least")
    versions = {**settings.lake.versions, **newest, **asked}
    where = settings.lake.model_copy(update={"versions": versions, "model": model})
    return settings.model_copy(update={"lake": where})


def _first_alike(lake: Lake, name: str, version: int | None, newest: int | None) -> int | None:
    if version is None or newest is None:
        return version
    return newest if newest <= version <= (lake.version(name) or 0) else version


def _asked(lake: Lake, chosen: Stage, as_of: Sequence[str]) -> Versions:
    asked: dict[str, int | None] = {}
    for text in as_of:
        if not chosen.reads:
            raise ConfigError(f"--as-of {text}: stage {chosen.name} reads no table")
        if match := _OF_TABLE.fullmatch(text):
            asked[_read(chosen, text, match[1])] = int(match[2])
        elif _RUN_ID.fullmatch(text):
            asked |= _of_run(runs.with_id(lake, text), chosen)
        elif text.isdigit():
            there = [name for name in chosen.reads if lake.exists(name)]
            if len(there) != 1:
                raise ConfigError(f"--as-of {text}: stage {chosen.name} reads {_names(chosen)}, expected TABLE={text}")
            asked[there[0]] = int(text)
        else:
            asked |= {name: lake.version_at(name, _moment(text)) for name in chosen.reads}
    return asked


def _of_run(run: runs.Run, chosen: Stage) -> Versions:
    """What a run read or wrote of the tables of a stage; of the stage itself: all that it read, and nothing else."""
    known = {**run.inputs, **run.outputs}
    if run.stage == chosen.name:
        return {name: known.get(name) for name in chosen.reads}
    found = {name: known[name] for name in chosen.reads if name in known}
    if not found:
        raise ConfigError(
            f"--as-of {run.run_id}: a run of {run.stage}, which neither reads nor writes what {chosen.name} reads"
        )
    return found


def _trained(lake: Lake, chosen: Stage, as_of: Sequence[str]) -> runs.Run | None:
    """The training run that everything in `as_of` is true of, the newest where there are several."""
    if not as_of:
        return runs.of_model(lake)
    found = runs.finished(lake, "train")
    for text in as_of:
        if match := _OF_TABLE.fullmatch(text):
            table, version = _read(chosen, text, match[1]), int(match[2])
            found = [run for run in found if run.inputs.get(table) == version]
        elif _RUN_ID.fullmatch(text):
            found = [run for run in found if run.run_id == text]
        else:
            moment = _moment(text)
            found = [run for run in found if run.started_at + timedelta(seconds=run.seconds) <= moment]
        if not found:
            raise ConfigError(
                f"--as-of {text}: stage {chosen.name} reads a model and what it was trained on, and no finished "
                "training run is of that; expected the run_id of one, a TABLE=VERSION it read, or a later time"
            )
    return found[0]


def _as_trained(settings: Settings, run: runs.Run) -> Settings:
    """With the settings that a training run recorded: what is said of its model, and of baselines beside it, is said of
    these.
    """
    recorded = {name: run.settings[name] for name in stage("train").settings if name in run.settings}
    return parse_settings(settings.model_dump(mode="json") | recorded, where=f"settings, and those of run {run.run_id}")


def _read(chosen: Stage, text: str, table: str) -> str:
    if table not in chosen.reads:
        raise ConfigError(f"--as-of {text}: stage {chosen.name} reads no {table}, expected one of {_names(chosen)}")
    return table


def _names(chosen: Stage) -> str:
    return ", ".join(chosen.reads)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--as-of {text}: expected TABLE=VERSION, a RUN_ID of twelve hex digits, or an ISO time such as "
            "2026-01-31T12:00:00Z"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
