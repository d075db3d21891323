"""Behaviour: bronze lines into judged events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.behaviour import SETTLED
from tandemrec.clean.parse import ASPECTS, aspects_of, mapped_columns, parse
from tandemrec.clean.texts import trimmed
from tandemrec.clean.times import moment, parse_time
from tandemrec.clean.verdicts import ORIGIN, Rule, judge, time_rules
from tandemrec.config.preparing import CleanSettings
from tandemrec.config.sources import SPLITS, TARGET_COLUMNS, Source
from tandemrec.lake.contracts import TABLES


def judge_events(
    rows: DataFrame, sources: Sequence[Source], clean: CleanSettings, *, now: datetime, items: DataFrame | None
) -> DataFrame:
    """Columns of silver.events but SETTLED, raw and verdict: one row for each record of the bronze rows, each judged by
    itself.

    Args:
        rows: of events_raw, of these sources at least.
        items: item_id of the items that are known, each once; None: any item will do.
    """
    events = reduce(DataFrame.unionByName, [_convert(rows, source) for source in sources])
    if items is not None:
        events = events.join(items.select("item_id", F.lit(True).alias("item_known")), "item_id", "left")
    is_rating = F.col("event_type") == "rating"
    rules = [
        Rule(name="broken_json", holds=F.col("is_record")),
        Rule(name="user_id_missing", holds=F.col("user_id").isNotNull()),
        Rule(name="item_id_missing", holds=F.col("item_id").isNotNull()),
        Rule(name="event_type_unknown", holds=F.col("event_type").isin(*clean.behaviour.strengths)),
        *time_rules("event_time", F.col("has_time"), F.lit(now), F.lit(moment(clean.earliest))),
        Rule(
            name="rating_out_of_range",
            holds=~is_rating | F.col("value").between(clean.rating_min, clean.rating_max),
        ),
        *([Rule(name="aspect_unreadable", holds=_aspects_are_numbers())] if any(s.aspects for s in sources) else []),
        *([Rule(name="item_unknown", holds=F.col("item_known"))] if items is not None else []),
    ]
    judged = judge(events, rules).withColumns(
        {"value": F.when(is_rating, F.col("value")), "session_start": F.lit(None).cast("timestamp")}
    )
    columns = [name for name in TABLES["events"].column_names if name not in SETTLED]
    return judged.select(*columns, "raw", "verdict")


def _convert(rows: DataFrame, source: Source) -> DataFrame:
    parsed = parse(rows.where(F.col("source") == source.name), source)
    parsed = parsed.withColumns({name: trimmed(F.col(name)) for name in TARGET_COLUMNS["events"]})
    return parsed.select(
        *ORIGIN,
        "raw",
        "is_record",
        "user_id",
        "item_id",
        renamed(F.col("event_type"), source.event_types).alias("event_type"),
        parse_time(F.col("event_time"), source.time_formats).alias("event_time"),
        F.lit("event_time" in mapped_columns(source)).alias("has_time"),
        F.col("value").try_cast("double").alias("value"),
        aspects_of(source),
        known_split(F.col("split")).alias("split"),
    )


def _aspects_are_numbers() -> Column:
    def is_number(value: Column) -> Column:
        return value.isNotNull() & ~F.isnan(value) & (F.abs(value) != float("inf"))

    return F.col(ASPECTS).isNull() | F.forall(F.map_values(ASPECTS), is_number)


def renamed(text: Column, names: Mapping[str, str]) -> Column:
    """Our name of an event type or a relation for the source's; what its mapping lacks is taken as it is."""
    name = F.lower(text)
    ours = [F.when(name == theirs.strip().lower(), F.lit(our)) for theirs, our in names.items()]
    return F.coalesce(*ours, name)


def known_split(text: Column) -> Column:
    """The split as train, valid or test, else null."""
    name = F.lower(text)
    return F.when(name.isin(*SPLITS), name)
