"""What a user is recommended, as it was published last: for Python, and for `show recommendations`."""

from pathlib import Path

import pyarrow.compute as pc

from tandemrec.config import Settings, load_settings
from tandemrec.errors import TandemRecError
from tandemrec.lake import Lake
from tandemrec.lake.pseudonyms import known_as
from tandemrec.report.people import Person, Pick, people, recommending_run
from tandemrec.report.scan import count_by


def recommendations(settings: Settings | str | Path, user: str, k: int = 10) -> list[Pick]:
    """The `k` best items of a user, best first, with titles, scores and reasons; fewer where fewer were predicted.

    Args:
        settings: of the lake, or the YAML file that holds them.
        user: user_id, as the files have it.
        k: how many.

    Raises:
        TableError: the lake holds no table.
        TandemRecError: nothing is published yet, or the user is not among those who have recommendations.
    """
    settings = settings if isinstance(settings, Settings) else load_settings(settings)
    return list(recommended(settings, user, k, contacts=0)[1].picks)


def recommended(settings: Settings, user: str, k: int, *, contacts: int) -> tuple[str, Person]:
    """The training run whose recommendations are shown, and the user with the `k` best of them.

    Args:
        contacts: items of the user's history to tell beside them.

    Raises:
        TandemRecError: as `recommendations`.
    """
    if k < 1:
        raise TandemRecError(f"k is {k}, expected 1 or more")
    lake, user = Lake.of(settings.lake), known_as(user, settings)
    lake.refuse_empty()
    run_id = recommending_run(lake)
    if run_id is None:
        raise TandemRecError(f"the lake at {settings.lake.root} holds no recommendations {_why_none(lake)}")
    person = people(lake, [user], run_id, positives=settings.examples.positives, contacts=contacts, picks=k)[0]
    if not person.picks:
        known = lake.exists("users_vocabulary") and lake.read("users_vocabulary", where=pc.field("user_id") == user)
        what = f"user {user!r} has no recommendations in run {run_id}" if known else f"no user {user!r} in the lake"
        raise TandemRecError(f"{what}; users who have recommendations are for example {_others(lake, run_id)}")
    return run_id, person


def _why_none(lake: Lake) -> str:
    if lake.model is not None and lake.exists("recommendations"):
        there = sorted(count_by(lake, "recommendations", {"run_id": pc.field("run_id")})["run_id"].to_pylist())
        return f"of run {lake.model}, which lake.model names, expected one of {there}"
    staged = lake.exists("recommendations_staging") and lake.info("recommendations_staging").rows > 0
    return f"yet: run {'stage publish' if staged else 'stages predict and publish (or all: `tandemrec run`)'}"


def _others(lake: Lake, run_id: str) -> str:
    where = (pc.field("run_id") == run_id) & (pc.field("rank") == 1)
    names = lake.read("recommendations", ["user_id"], where=where, limit=3)["user_id"].to_pylist()
    return ", ".join(sorted(names))
