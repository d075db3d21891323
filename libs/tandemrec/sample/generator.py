"""Generate a sample: draw the world, let it behave for a year, write what its logs say."""

from pathlib import Path

import numpy as np

from tandemrec.errors import ConfigError
from tandemrec.sample.behaviour import make_events
from tandemrec.sample.catalogue import make_catalogue
from tandemrec.sample.event_log import write_events
from tandemrec.sample.files import MARKER, whole_or_nothing, write_text
from tandemrec.sample.item_list import write_items
from tandemrec.sample.opinions import make_reviews
from tandemrec.sample.planted import Planted
from tandemrec.sample.review_log import write_reviews
from tandemrec.sample.tastes import make_tastes

SMALLEST = {"users": 10, "items": 30, "events": 500, "reviews": 30}


def generate(
    out: str | Path, *, users: int = 2000, items: int = 1000, events: int = 60_000, reviews: int = 5_000, seed: int = 42
) -> Planted:
    """Write raw files as a company's logs would look, and planted.json with the numbers of what is wrong in them.

    out/events/events-2025-MM.jsonl[.gz], out/items/items.csv, out/reviews/reviews-en.jsonl and reviews-zh.jsonl. All
    happens in 2025. The same arguments give the same bytes. `events` is an upper bound that is nearly reached; there
    are at most as many reviews as pairs of a user and an item that the user clicked. A sample that lies in `out`
    already is replaced; a run that is killed leaves nothing half in `out`.

    Raises:
        ConfigError: a size is too small to hold every kind of dirt, or `out` holds something else than a sample.
    """
    for name, size in (("users", users), ("items", items), ("events", events), ("reviews", reviews)):
        if size < SMALLEST[name]:
            raise ConfigError(f"{name} is {size}, expected at least {SMALLEST[name]}")
    # One stream a part, so that more reviews, say, leave the events as they are.
    streams = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(7))
    of_items, of_users, of_events, of_reviews, *of_files = streams
    catalogue = make_catalogue(of_items, items)
    tastes = make_tastes(of_users, users)
    happened = make_events(of_events, tastes, catalogue, events)
    opinions = make_reviews(of_reviews, tastes, catalogue, happened, reviews)
    with whole_or_nothing(Path(out)) as folder:
        event_counts, time_formats = write_events(of_files[0], folder / "events", happened)
        item_counts, item_marks, prices_unreadable = write_items(of_files[1], folder / "items", catalogue)
        review_counts, review_marks = write_reviews(of_files[2], folder / "reviews", opinions, tastes, catalogue)
        planted = Planted(
            events=event_counts,
            items=item_counts,
            reviews=review_counts,
            time_formats=time_formats,
            html=item_marks.html + review_marks.html,
            control_characters=item_marks.control_characters + review_marks.control_characters,
            prices_unreadable=prices_unreadable,
            brands=len(np.unique(catalogue.brand)),
        )
        write_text(folder / MARKER, planted.to_json())
    return planted
