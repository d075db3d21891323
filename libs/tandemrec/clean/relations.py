"""Relations: bronze lines into judged tags, follows, friendships and memberships."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.events import renamed
from tandemrec.clean.parse import parse
from tandemrec.clean.texts import trimmed
from tandemrec.clean.times import moment, parse_time
from tandemrec.clean.verdicts import ORIGIN, Rule, judge, merge_duplicates, time_rules, where_given
from tandemrec.config.preparing import CleanSettings
from tandemrec.config.sources import RELATIONS, TARGET_COLUMNS, TARGET_KINDS, Source
from tandemrec.lake.contracts import TABLES


def judge_relations(
    rows: DataFrame, sources: Sequence[Source], clean: CleanSettings, *, now: datetime, items: DataFrame | None
) -> DataFrame:
    """Columns of silver.relations, raw and verdict: one row for each record of the bronze rows, each judged by itself.

    A friendship has no direction: whoever named the other, the lesser id becomes the user and the greater the target.

    Args:
        rows: of relations_raw, of these sources at least.
        items: item_id of the items that are known, each once, for relations to items; None: any item will do.
    """
    relations = reduce(DataFrame.unionByName, [_convert(rows, source) for source in sources])
    kind, is_to_item = F.col("target_kind"), F.col("target_kind") == "item"
    if items is not None:
        known = items.select(F.col("item_id").alias("target_id"), F.lit(True).alias("item_known"))
        relations = relations.join(known, "target_id", "left")
    fits = [(F.col("relation") == relation) & kind.isin(*sorted(kinds)) for relation, kinds in RELATIONS.items()]
    is_number = F.col("weight").isNotNull() & (F.abs("weight") < float("inf"))  # NaN is above it
    times = time_rules("since", F.lit(True), F.lit(now), F.lit(moment(clean.earliest)))
    rules = [
        Rule(name="broken_json", holds=F.col("is_record")),
        Rule(name="user_id_missing", holds=F.col("user_id").isNotNull()),
        Rule(name="relation_unknown", holds=F.col("relation").isin(*RELATIONS)),
        Rule(name="target_kind_unknown", holds=kind.isin(*TARGET_KINDS)),
        Rule(name="target_kind_unfit", holds=reduce(Column.__or__, fits)),
        Rule(name="target_id_missing", holds=F.col("target_id").isNotNull()),
        Rule(name="self_relation", holds=(kind != "user") | (F.col("user_id") != F.col("target_id"))),
        *where_given(F.col("given_since"), times),
        Rule(name="weight_unreadable", holds=F.col("given_weight").isNull() | is_number),
        *([Rule(name="item_unknown", holds=~is_to_item | F.col("item_known"))] if items is not None else []),
    ]
    one_way = judge(relations, rules).withColumn("ends", F.sort_array(F.array("user_id", "target_id")))
    is_friend = F.col("relation") == "friend"
    ends = {name: F.when(is_friend, F.col("ends")[end]) for end, name in enumerate(("user_id", "target_id"))}
    judged = one_way.withColumns({name: F.coalesce(end, F.col(name)) for name, end in ends.items()})
    return judged.select(*TABLES["relations"].column_names, "raw", "verdict")


def settle_relations(judged: DataFrame) -> DataFrame:
    """The same rows with the verdicts that rows give each other: of one key the earliest stays, undated ones last."""
    order = [F.col("since").asc_nulls_last(), *[F.col(name) for name in ORIGIN]]
    return merge_duplicates(judged, TABLES["relations"].key, order)


def _convert(rows: DataFrame, source: Source) -> DataFrame:
    parsed = parse(rows.where(F.col("source") == source.name), source)
    parsed = parsed.withColumns({name: trimmed(F.col(name)) for name in TARGET_COLUMNS["relations"]})
    return parsed.select(
        *ORIGIN,
        "raw",
        "is_record",
        "user_id",
        renamed(F.col("relation"), source.relations).alias("relation"),
        F.lower("target_kind").alias("target_kind"),
        "target_id",
        F.col("since").alias("given_since"),
        parse_time(F.col("since"), source.time_formats).alias("since"),
        F.col("weight").alias("given_weight"),
        F.col("weight").try_cast("double").alias("weight"),
    )
