"""What events of one user say of each other: duplicates, machines, sessions, repeats.

One shuffle by user and one sort serve all of it but repeats, which sort again. Every verdict depends on the set of rows
alone, not on the files or batches that they came in.
"""

from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

from tandemrec.clean.parse import NO_TIME
from tandemrec.clean.times import moment
from tandemrec.clean.verdicts import KEPT, MERGED, ORIGIN, REPEATED
from tandemrec.config.behaviour import BehaviourSettings
from tandemrec.lake.contracts import TABLES

TOO_FAST, OUTLIER = "too_fast", "user_outlier"
SETTLED = ("strength", "count", "last_time", "repeats")  # columns that rows have only once they are settled


def settle_events(
    judged: DataFrame, rules: BehaviourSettings, *, since: datetime | None = None, elsewhere: int = 0
) -> DataFrame:
    """The same rows with the verdicts that a user's events give each other, and their sessions and repeats.

    In this order: of events of one key the first by origin stays, the others are merged; a user with too large a
    share of all events and the events of a minute that holds too many are rejected; what follows within the gap
    belongs to the session; a repeat within its window is counted in the event that it repeats.

    Args:
        judged: columns of silver.events but SETTLED, raw and verdict; every event of its users since `since` at least.
        since: events before are not all among the rows; null: all are. A session that began earlier goes on.
        elsewhere: distinct events of users who are not among the rows.
    """
    # Rows rejected already have each a partition of their own, so that they are spread and change nothing.
    rows = judged.withColumn("_alone", F.when(F.col("verdict") != KEPT, F.xxhash64(*ORIGIN)))
    by_minute = rules.max_events_per_minute is not None
    rows = rows.withColumn("_minute", F.date_trunc("minute", "event_time")) if by_minute else rows
    order = [*(["_minute"] if by_minute else []), "event_time", "item_id", "event_type", *ORIGIN]
    by_user = Window.partitionBy("user_id", "_alone").orderBy(*order)
    same = [F.lag(name).over(by_user).eqNullSafe(F.col(name)) for name in ("event_time", "item_id", "event_type")]
    # A merged row stands at the time of the one that stays, so one pass finds what is before for both.
    rows = rows.withColumns({"_same": reduce(Column.__and__, same), "_before": _time_before(by_user)})
    rows = _reject(rows, F.col("_same"), MERGED)
    if by_minute or rules.max_user_share is not None:
        rows = _reject_machines(rows, rules, elsewhere).withColumn("_before", _time_before(by_user))
    rows = _in_sessions(rows, rules, by_user, since)
    rows = _repeats_counted(rows, rules).withColumn("strength", _strength(rules))
    return rows.select(*judged.columns, *SETTLED)


def _alive() -> Column:
    return F.col("verdict") == KEPT


def _has_time() -> Column:
    return F.col("event_time") != F.lit(moment(NO_TIME))


def _time_before(by_user: WindowSpec) -> Column:
    """The latest time of the user's events before."""
    time = F.when(_alive() & _has_time(), F.col("event_time"))
    return F.max(time).over(by_user.rowsBetween(Window.unboundedPreceding, -1))


def _reject(rows: DataFrame, when: Column, verdict: str) -> DataFrame:
    return rows.withColumn("verdict", F.when(_alive() & when, F.lit(verdict)).otherwise(F.col("verdict")))


def _reject_machines(rows: DataFrame, rules: BehaviourSettings, elsewhere: int) -> DataFrame:
    outlier, fast = F.lit(False), F.lit(False)
    if rules.max_user_share is not None:
        total = rows.agg((F.count_if(_alive()) + elsewhere).alias("_total"))
        rows = rows.crossJoin(F.broadcast(total))  # one row
        own = F.count_if(_alive()).over(Window.partitionBy("user_id", "_alone"))
        outlier = own > rules.max_user_share * F.col("_total")
    if rules.max_events_per_minute is not None:
        in_minute = F.count_if(_alive()).over(Window.partitionBy("user_id", "_alone", "_minute"))
        fast = _has_time() & (in_minute > rules.max_events_per_minute)
    rejected = F.when(outlier, F.lit(OUTLIER)).when(fast, F.lit(TOO_FAST))
    return rows.withColumn("verdict", F.when(_alive(), F.coalesce(rejected, F.lit(KEPT))).otherwise(F.col("verdict")))


def _in_sessions(rows: DataFrame, rules: BehaviourSettings, by_user: WindowSpec, since: datetime | None) -> DataFrame:
    counts, before = _alive() & _has_time(), F.col("_before")
    starts = counts & F.coalesce(_seconds(F.col("event_time"), before) > rules.session_gap_minutes * 60, F.lit(True))
    start = F.col("event_time")
    if since is not None:
        start = F.when(before.isNull() & (F.col("session_start") < F.lit(since)), F.col("session_start")).otherwise(
            start
        )
    current = F.last(F.when(starts, start), ignorenulls=True).over(by_user.rowsBetween(Window.unboundedPreceding, 0))
    return rows.withColumn("session_start", F.when(counts, current))


def _repeats_counted(rows: DataFrame, rules: BehaviourSettings) -> DataFrame:
    if not rules.repeat_seconds:
        return rows.withColumns(_unrepeated())
    of_type = [F.when(F.col("event_type") == name, F.lit(seconds)) for name, seconds in rules.repeat_seconds.items()]
    alike = Window.partitionBy("user_id", "_alone", "item_id", "event_type", "split")
    ordered = alike.orderBy("event_time", *ORIGIN)
    before = F.max(F.when(_alive(), F.col("event_time"))).over(ordered.rowsBetween(Window.unboundedPreceding, -1))
    follows = _has_time() & (_seconds(F.col("event_time"), before) <= F.coalesce(*of_type))
    rows = _reject(rows, follows, REPEATED)
    chain = F.count_if(_alive()).over(ordered.rowsBetween(Window.unboundedPreceding, 0))
    rows = rows.withColumn("_chain", chain)
    of_chain = Window.partitionBy("user_id", "_alone", "item_id", "event_type", "split", "_chain")
    repeat = F.when(F.col("verdict") == REPEATED, F.struct("event_time", *ORIGIN))
    repeats = F.array_sort(F.collect_list(repeat).over(of_chain))
    rows = rows.withColumn("repeats", F.when(_alive() & (F.size(repeats) > 0), repeats))
    return rows.withColumns(
        {
            "count": 1 + F.coalesce(F.size("repeats"), F.lit(0)),
            "last_time": F.coalesce(F.element_at("repeats", -1).getField("event_time"), F.col("event_time")),
        }
    )


def _seconds(time: Column, before: Column) -> Column:
    return (F.unix_micros(time) - F.unix_micros(before)) / 1e6


def occurrences(events: DataFrame) -> DataFrame:
    """Rows of silver.events with a row of its own for each repeat: what `settle_events` takes again.

    Returns:
        The columns of silver.events but SETTLED, and `is_repeat`.
    """
    itself = F.struct("event_time", *ORIGIN, F.lit(False).alias("is_repeat"))
    repeats = F.transform(
        F.coalesce("repeats", F.array()),
        lambda repeat: F.struct(
            *(repeat[name].alias(name) for name in ("event_time", *ORIGIN)), F.lit(True).alias("is_repeat")
        ),
    )
    each = events.withColumn("_each", F.explode(F.concat(F.array(itself), repeats)))
    return each.select(
        *(name for name in events.columns if name not in ("event_time", *ORIGIN, *SETTLED)),
        "_each.*",
    )


def _strength(rules: BehaviourSettings) -> Column:
    return F.coalesce(*(F.when(F.col("event_type") == name, F.lit(s)) for name, s in rules.strengths.items()))


def _unrepeated() -> dict[str, Column]:
    """The columns of an event that stands for itself only."""
    repeats = next(column for column in TABLES["events"].columns if column.name == "repeats")
    return {"count": F.lit(1), "last_time": F.col("event_time"), "repeats": F.lit(None).cast(repeats.type)}
