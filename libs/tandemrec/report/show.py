"""What one user gets: recommendations with titles, scores and reasons, under the user's last items. And what the user
is interested in.
"""

import json
from dataclasses import asdict
from datetime import datetime

from rich.table import Table as Grid
from rich.text import Text

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.errors import TandemRecError
from tandemrec.lake import Lake
from tandemrec.report import words
from tandemrec.report.interest import Profile
from tandemrec.report.people import Person, people
from tandemrec.report.picks import recommendations, recommended

CONTACTS = 10


def print_recommendations(settings: Settings, user: str, k: int) -> None:
    """Print the history and the `k` best items of a user.

    Raises:
        TableError: the lake holds no table.
        TandemRecError: as `recommendations`.
    """
    run_id, person = recommended(settings, user, k, contacts=CONTACTS)
    _print(person, run_id)
    if len(person.picks) < k:
        console.line(f"\nno more than these {len(person.picks)} were predicted (setting predict.k)")


def print_picks_as_json(settings: Settings, user: str, k: int) -> None:
    """Print what `recommendations` returns as a JSON list of objects, for other programs.

    Raises:
        TandemRecError: as `recommendations`.
    """
    console.line(
        json.dumps([asdict(pick) for pick in recommendations(settings, user, k)], ensure_ascii=False, indent=2)
    )


def print_user(
    lake: Lake, settings: Settings, user: str, profile: Profile | None, before: datetime | None = None
) -> None:
    """Print the history of a user, what the user is interested in, and a summary where one was written.

    Args:
        profile: None of one who wrote no review.
        before: the moment as of which it is, and where the history ends; default: now.

    Raises:
        TableError: the lake holds no table.
        TandemRecError: the lake knows nothing of the user, or not at that moment.
    """
    positives = settings.examples.positives
    person = people(lake, [user], None, positives=positives, contacts=CONTACTS, picks=0, before=before)[0]
    if not person.items and profile is None:
        lake.refuse_empty()
        when = f" before {words.moment(before)}" if before else ""
        known = _known(lake)
        others = f"; users it knows are for example {', '.join(known)}" if known else ""
        raise TandemRecError(f"the lake at {lake.root} knows nothing of a user {user!r}{when}{others}")
    _print_history(person)
    if profile is None:
        there = lake.exists("user_profiles") or before
        console.line("\nno review, so no profile" if there else "\nno profiles yet: run stage profiles")
        return
    then = f" as of {words.moment(profile.as_of)}" if profile.as_of else ""
    reviews = words.count(profile.reviews)
    console.line(f"\ninterests{then}, from {reviews} reviews, most in language {profile.language}")
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for heading in ("keyword", "weight", "reviews", "last", "sentiment"):
        grid.add_column(heading, justify="right" if heading in ("weight", "reviews") else "left", no_wrap=True)
    colours = {"good": "green", "bad": "red", "faint": "dim"}
    for one in profile.keywords:
        cells = _cells(one.term, words.share(one.weight, 1), words.count(one.count), words.day(one.last))
        told = "" if one.sentiment is None else f"{one.bar} {one.sentiment:+.2f}"
        grid.add_row(*cells, Text(told, style=colours[one.mood]))
    console.table(grid)
    if profile.summary:
        console.line(f"\nsummary: {words.visible(profile.summary, 2000)}")


def _known(lake: Lake) -> list[str]:
    """A few users whom `show user` can tell of, those with a profile first."""
    tables = [name for name in ("user_profiles", "reviews", "events") if lake.exists(name)]
    found = [user for name in tables for user in lake.read(name, ["user_id"], limit=3)["user_id"].to_pylist()]
    return sorted([*dict.fromkeys(found)][:3])


def _print_history(person: Person) -> None:
    shown = len(person.contacts)
    of = f", the last {shown} of {words.count(person.items)}" if shown < person.items else ""
    console.line(f"user {person.user_id}: history{of}, newest first" if shown else f"user {person.user_id}: no history")
    if shown:
        history = Grid(box=None, pad_edge=False, header_style="bold")
        for heading in ("date", "what", "item", "title"):
            history.add_column(heading)
        for contact in person.contacts:
            history.add_row(*_cells(words.day(contact.last), contact.did, contact.item_id, contact.title))
        console.table(history)


def _print(person: Person, run_id: str) -> None:
    _print_history(person)
    console.line(f"\nrecommended by the model of run {run_id}")
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    for heading in ("rank", "item", "title", "category", "score", "reason"):
        grid.add_column(heading, justify="right" if heading in ("rank", "score") else "left")
    for pick in person.picks:
        score = words.figure(pick.score)
        grid.add_row(*_cells(str(pick.rank), pick.item_id, pick.title, pick.category, score, pick.reason))
    console.table(grid)


def _cells(*texts: str) -> list[Text]:
    """Texts of users as they are: neither rich's markup nor control characters act."""
    return [Text(words.visible(text)) for text in texts]
