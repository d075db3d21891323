"""Which rows of the lake a batch of new ones may change: these are judged with it, all others stay untouched.

Every row has a column `was`: null for a new row, else its verdict before this run.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.behaviour import TOO_FAST, occurrences
from tandemrec.clean.history import records
from tandemrec.clean.near_duplicates import NEAR_DUPLICATE
from tandemrec.clean.reviews import ID_TAKEN, SUPERSEDED
from tandemrec.clean.verdicts import ACCEPTED, KEPT, ORIGIN, REPEATED
from tandemrec.config.behaviour import BehaviourSettings
from tandemrec.lake.contracts import TABLES

DORMANT = (TOO_FAST, NEAR_DUPLICATE, ID_TAKEN, SUPERSEDED)  # lifted only together with new rows close by


@dataclass(frozen=True, kw_only=True)
class Batch:
    """New rows and those of the lake that are settled with them.

    Attributes:
        rows: as a table's settle function takes them, and `was`.
        held: the rows of silver that are among them; null: all of its table.
        since: see settle_events.
        elsewhere: see settle_events.
    """

    rows: DataFrame
    held: DataFrame | None = None
    since: datetime | None = None
    elsewhere: int = 0


def new_rows(judged: DataFrame) -> DataFrame:
    return judged.withColumn("was", F.lit(None).cast("string"))


def again(judged: DataFrame, quarantine: DataFrame) -> DataFrame:
    """Lines of quarantined rows judged anew: the records among them that were rejected.

    Args:
        quarantine: the rows of the table that are judged anew.
    """
    return judged.join(quarantine.select(*ORIGIN, F.col("reason").alias("was")), list(ORIGIN))


def event_batch(fresh: DataFrame, silver: DataFrame, rules: BehaviourSettings) -> Batch:
    """With the events of the users who did something new, back to where a session or a minute may reach them; with all
    of these where shares are asked for, or where repeats may be further apart than what ends a session.

    Args:
        fresh: new rows and those judged again.
        silver: the table.
    """
    asleep = _asleep()
    moving = fresh.where((F.col("verdict") == KEPT) & ~asleep)
    users = moving.select("user_id").distinct()
    since: datetime | None = None
    elsewhere = 0
    gap = rules.session_gap_minutes * 60
    if rules.max_user_share is not None:
        # Shares are of all events, those of minutes that hold too many among them.
        too_fast = fresh.where((F.col("verdict") == KEPT) & asleep).select("user_id", F.lit(1).alias("count"))
        events = silver.select("user_id", "count").union(too_fast)
        others = events.join(users, "user_id", "left_anti").agg(F.sum("count")).first()
        elsewhere = int(others[0] or 0) if others else 0
    elif max(rules.repeat_seconds.values(), default=0) <= gap:
        # An event and its repeats lie in one session, so what is held from before `since` leaves no pauses that were
        # not there. Repeats that are further apart than the gap would: their users come with all their events.
        # From the start of a minute: of one that held too many, all events are asked again or none. As a number, for
        # Spark hands out times by the clock of the machine, which has one hour twice.
        reach = F.min("event_time") - F.make_dt_interval(secs=F.lit(gap + 120))
        first = moving.agg(F.unix_micros(F.date_trunc("minute", reach))).first()
        if first is not None and first[0] is not None:  # else nothing moves, and no user is among those who do
            since = datetime.fromtimestamp(first[0] // 10**6, UTC)
        silver = silver.where(F.col("last_time") >= F.lit(since))
    held = silver.join(users, "user_id", "left_semi")
    near = F.lit(True) if since is None else F.col("event_time") >= F.lit(since)
    woken = fresh.where(asleep & near).join(users, "user_id", "left_semi")
    was = F.when(F.col("is_repeat"), F.lit(REPEATED)).otherwise(F.lit(KEPT))
    held_rows = as_judged(occurrences(held), was).drop("is_repeat")
    return Batch(
        rows=fresh.where(~asleep).unionByName(woken).unionByName(held_rows), held=held, since=since, elsewhere=elsewhere
    )


def review_batch(fresh: DataFrame, silver: DataFrame, *, near_duplicates: bool = False) -> Batch:
    """With the reviews of the items that were reviewed anew, those that have an id of the new ones, and all others of
    the ids that these have.

    Args:
        near_duplicates: a review may be rejected for what others of its item say. Where an id of these may be lost, or
            come back, the copies of that item and what they may be copies of are asked again too.
    """
    asleep = _asleep()
    moving, dormant = fresh.where((F.col("verdict") == KEPT) & ~asleep), fresh.where(asleep)
    ids = _each("review_id", moving, *(_with("item_id", moving, rows) for rows in (silver, dormant)))
    woken, held = _with("review_id", ids, dormant), _with("review_id", ids, silver)
    if near_duplicates:
        items = _each("item_id", moving, woken, held)
        copies = _with("item_id", items, dormant.where(F.col("was") == NEAR_DUPLICATE))
        woken = woken.unionByName(copies.join(ids, "review_id", "left_anti").select(woken.columns))
        held = _with("item_id", items, silver)
    rows = fresh.where(~asleep).unionByName(woken).unionByName(as_judged(held, F.lit(KEPT)))
    return Batch(rows=rows, held=held)


def _each(name: str, *frames: DataFrame) -> DataFrame:
    """The values of a column in these, each once."""
    return reduce(DataFrame.union, [rows.select(name) for rows in frames]).distinct()


def _with(name: str, values: DataFrame, rows: DataFrame) -> DataFrame:
    """The rows that have one of the values of a column."""
    return rows.join(values.select(name).distinct(), name, "left_semi").select(rows.columns)


def relation_batch(fresh: DataFrame, silver: DataFrame) -> Batch:
    """With the relations of the same keys."""
    key = list(TABLES["relations"].key)
    held = silver.join(fresh.where(F.col("verdict") == KEPT).select(key).distinct(), key, "left_semi")
    return Batch(rows=fresh.unionByName(as_judged(held, F.lit(KEPT))), held=held)


def item_batch(fresh: DataFrame, history: DataFrame) -> Batch:
    """With all records of all items: a catalogue is bounded, and spellings are chosen over all of it.

    Args:
        history: silver.items_history.
    """
    return Batch(rows=fresh.unionByName(records(history)))


def _asleep() -> Column:
    return F.coalesce(F.col("was").isin(*DORMANT), F.lit(False))


def as_judged(rows: DataFrame, was: Column) -> DataFrame:
    """Rows of silver as rows that were judged: kept, until other rows say otherwise."""
    return rows.withColumns({"raw": F.lit(None).cast("string"), "verdict": F.lit(KEPT), "was": was})


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Rows of a batch by (was, verdict), how many lines of files the new ones come from, and how many rejected rows
    have no line with them, because each by itself was good.
    """

    counts: dict[tuple[str | None, str], int]
    lines: int
    without_line: int


def count_moves(settled: DataFrame) -> Moves:
    """One action."""
    is_line = F.col("was").isNull() & (F.col("part") == 0)
    counted = settled.groupBy("was", "verdict").agg(
        F.count("*").alias("rows"),
        F.count_if(is_line).alias("lines"),
        F.count_if(~F.col("verdict").isin(*ACCEPTED) & F.col("raw").isNull()).alias("without_line"),
    )
    rows = counted.collect()
    return Moves(
        counts={(row.was, row.verdict): row.rows for row in rows},
        lines=sum(row.lines for row in rows),
        without_line=sum(row.without_line for row in rows),
    )
