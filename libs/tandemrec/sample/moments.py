"""The year of the sample and the ways in which logs write a moment: whole seconds, UTC."""

import random
from datetime import UTC, datetime, timedelta

START = datetime(2025, 1, 1, tzinfo=UTC)
FUTURE = datetime(2031, 1, 1, tzinfo=UTC)
NEVER_SET = datetime(1970, 1, 1, tzinfo=UTC)
FORMATS = ("iso", "epoch_ms", "slash")
FORMAT_SHARES = (0.6, 0.25, 0.15)
UNREADABLE = (None, "", "yesterday", "31/02/2025 08:15:00", "2025-06-31T08:15:00Z", "2025-13-01T00:00:00Z")


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def written(moment: datetime, style: str) -> str | int:
    """A moment in one of `FORMATS`: 2025-03-01T12:34:56Z, 1740832496000 or 01/03/2025 12:34:56."""
    if style == "iso":
        return iso(moment)
    if style == "epoch_ms":
        return int(moment.timestamp()) * 1000
    return moment.strftime("%d/%m/%Y %H:%M:%S")


def format_of(moment: str | int) -> str:
    """Which of `FORMATS` a moment is written in."""
    if isinstance(moment, int):
        return "epoch_ms"
    return "slash" if "/" in moment else "iso"


def other_format(rng: random.Random, style: str) -> str:
    return rng.choice([other for other in FORMATS if other != style])


def unreadable(rng: random.Random) -> str | None:
    """No moment: nothing, words, or a day or hour that the calendar lacks."""
    return rng.choice(UNREADABLE)


def in_future(rng: random.Random, style: str) -> str | int:
    """A moment in 2031."""
    return written(FUTURE + timedelta(seconds=rng.randrange(31_000_000)), style)


def too_early(rng: random.Random, style: str) -> str | int:
    """What a clock that was never set says."""
    return written(NEVER_SET + timedelta(seconds=rng.randrange(86_400)), style)
