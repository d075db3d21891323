"""How each table of silver that has sources is cleaned, as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame

from tandemrec.clean.batches import Batch, event_batch, item_batch, relation_batch, review_batch
from tandemrec.clean.behaviour import OUTLIER, TOO_FAST, settle_events
from tandemrec.clean.events import judge_events
from tandemrec.clean.items import judge_items, settle_items
from tandemrec.clean.near_duplicates import NEAR_DUPLICATE
from tandemrec.clean.relations import judge_relations, settle_relations
from tandemrec.clean.reviews import ID_TAKEN, SUPERSEDED, judge_reviews, settle_reviews
from tandemrec.clean.rows import judge_rows
from tandemrec.config import Settings, TabularSettings
from tandemrec.config.preparing import CleanSettings
from tandemrec.config.sources import Source

Judge = Callable[[DataFrame, Sequence[Source], Settings, datetime, DataFrame | None], DataFrame]


@dataclass(frozen=True, kw_only=True)
class Cleaner:
    """The three steps of a table.

    Attributes:
        judge: bronze rows of its sources, each by itself; the moment after which a time lies in the future; item_id of
            the items that are known, or None where any item will do.
        batch: judged rows and the rows of the table `cleaned`: which of these are settled together.
        settle: the verdicts that rows of a batch give each other.
        cleaned: the table that holds every record that was cleaned before.
        revisable: reasons that the clock, the catalogue or other rows may lift.
    """

    judge: Judge
    batch: Callable[[DataFrame, DataFrame, CleanSettings], Batch]
    settle: Callable[[Batch, CleanSettings], DataFrame]
    cleaned: str
    revisable: tuple[str, ...] = ("item_unknown", "time_in_future")


def of_rows(settings: Settings) -> TabularSettings:
    """What the columns of tabular sources are; settings with such sources have it."""
    assert settings.tabular is not None
    return settings.tabular


CLEANERS = {  # items first: the others ask which are known
    "items": Cleaner(
        judge=lambda rows, sources, settings, now, items: judge_items(rows, sources, settings.clean, now=now),
        batch=lambda fresh, cleaned, clean: item_batch(fresh, cleaned),
        settle=lambda batch, clean: settle_items(batch.rows),
        cleaned="items_history",
        revisable=("time_in_future",),
    ),
    "events": Cleaner(
        judge=lambda rows, sources, settings, now, items: judge_events(
            rows, sources, settings.clean, now=now, items=items
        ),
        batch=lambda fresh, cleaned, clean: event_batch(fresh, cleaned, clean.behaviour),
        settle=lambda batch, clean: settle_events(
            batch.rows, clean.behaviour, since=batch.since, elsewhere=batch.elsewhere
        ),
        cleaned="events",
        revisable=("item_unknown", "time_in_future", OUTLIER, TOO_FAST),
    ),
    "reviews": Cleaner(
        judge=lambda rows, sources, settings, now, items: judge_reviews(
            rows, sources, settings.clean, now=now, items=items
        ),
        batch=lambda fresh, cleaned, clean: review_batch(
            fresh, cleaned, near_duplicates=clean.near_duplicates is not None
        ),
        settle=lambda batch, clean: settle_reviews(batch.rows, clean),
        cleaned="reviews",
        revisable=("item_unknown", "time_in_future", NEAR_DUPLICATE, ID_TAKEN, SUPERSEDED),
    ),
    "relations": Cleaner(
        judge=lambda rows, sources, settings, now, items: judge_relations(
            rows, sources, settings.clean, now=now, items=items
        ),
        batch=lambda fresh, cleaned, clean: relation_batch(fresh, cleaned),
        settle=lambda batch, clean: settle_relations(batch.rows),
        cleaned="relations",
    ),
    "rows": Cleaner(
        judge=lambda rows, sources, settings, now, items: judge_rows(rows, sources, of_rows(settings)),
        batch=lambda fresh, cleaned, clean: Batch(rows=fresh, held=cleaned.limit(0)),  # each is for itself
        settle=lambda batch, clean: batch.rows,
        cleaned="rows",
        revisable=(),
    ),
}
