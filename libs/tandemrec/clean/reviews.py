"""Reviews: bronze lines into judged reviews, cleaned, with language, words and hash."""

from collections.abc import Sequence
from datetime import datetime
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.clean.emoji import EMOJI, SELECTOR, named, without_names
from tandemrec.clean.events import known_split
from tandemrec.clean.masks import masked
from tandemrec.clean.near_duplicates import reject_near_duplicates
from tandemrec.clean.parse import aspects_of, mapped_columns, parse
from tandemrec.clean.texts import joined, letters_and_digits, plain, text_hash, trimmed
from tandemrec.clean.times import moment, parse_time
from tandemrec.clean.verdicts import KEPT, ORIGIN, Rule, judge, merge_duplicates, time_rules
from tandemrec.clean.words import language, told_language, with_tokens
from tandemrec.config.preparing import CleanSettings
from tandemrec.config.sources import TARGET_COLUMNS, Source
from tandemrec.lake.contracts import TABLES

ID_TAKEN, SUPERSEDED = "review_id_taken", "review_superseded"


def judge_reviews(
    rows: DataFrame, sources: Sequence[Source], clean: CleanSettings, *, now: datetime, items: DataFrame | None
) -> DataFrame:
    """Columns of silver.reviews, raw and verdict: one row for each record of the bronze rows, each judged by itself.

    Args:
        rows: of reviews_raw, of these sources at least.
        items: item_id of the items that are known, each once; None: any item will do.
    """
    reviews = reduce(DataFrame.unionByName, [_convert(rows, source, clean) for source in sources])
    if items is not None:
        reviews = reviews.join(items.select("item_id", F.lit(True).alias("item_known")), "item_id", "left")
    said = without_names(F.col("clean_text")) if clean.emoji == "name" else F.col("clean_text")
    in_range = F.col("rating").between(clean.rating_min, clean.rating_max)
    rules = [
        Rule(name="broken_json", holds=F.col("is_record")),
        Rule(name="user_id_missing", holds=F.col("user_id").isNotNull()),
        Rule(name="item_id_missing", holds=F.col("item_id").isNotNull()),
        *time_rules("review_time", F.col("has_time"), F.lit(now), F.lit(moment(clean.earliest))),
        Rule(name="rating_out_of_range", holds=F.col("given_rating").isNull() | in_range),
        *(
            [Rule(name="aspect_out_of_range", holds=_aspects_in_range(clean))]
            if any(s.aspects for s in sources)
            else []
        ),
        Rule(name="text_empty", holds=F.col("clean_text").isNotNull()),
        *_length_rules(said, clean),
        *([Rule(name="item_unknown", holds=F.col("item_known"))] if items is not None else []),
    ]
    identified = judge(reviews, rules).withColumn("text_hash", text_hash(F.col("clean_text")))
    second = F.unix_timestamp("review_time").cast("string")
    own_id = F.md5(F.concat_ws("|", "user_id", "item_id", second, "text_hash"))
    identified = identified.withColumn("review_id", F.coalesce("review_id", own_id))
    told = F.coalesce("language", language(said))
    worded = with_tokens(identified.withColumn("language", told), clean.stop_words)
    return worded.select(*TABLES["reviews"].column_names, "raw", "verdict")


def settle_reviews(judged: DataFrame, clean: CleanSettings) -> DataFrame:
    """The same rows with the verdicts that rows give each other.

    Two reviews are one where their user, item and text are the same but for case, space, punctuation and markup (emoji
    count): the earliest stays. Others that have one id are versions of one review where their user and item are the
    same, and the latest version stays. The id is theirs who had it first; what others write under it is rejected. The
    versions before are rejected too, not merged, for all of them say whose the id is, and the first may turn out to be
    a copy of another review. Of near duplicates by whomever, where the settings look for them, the earliest stays too
    and the others are rejected.
    """
    order = [F.col("review_time"), *[F.col(name) for name in ORIGIN]]
    spelled = judged.withColumn("spelling", _spelling(F.col("clean_text")))
    merged = merge_duplicates(spelled, ["user_id", "item_id", "spelling"], order).drop("spelling")
    merged = _latest_of_each_id(merged, order)
    if clean.near_duplicates is None:
        return merged
    return reject_near_duplicates(merged, ["review_time"], clean.near_duplicates)


def _spelling(text: Column) -> Column:
    """What copies of a text share: letters and digits, and emoji, for a thumb up is no thumb down."""
    said, is_odd = letters_and_digits(text), F.octet_length(text) > F.length(text)
    signs = F.translate(F.array_join(F.regexp_extract_all(text, F.lit(EMOJI), 0), ""), SELECTOR, "")
    both = F.when(is_odd & (signs != ""), F.concat_ws("|", said, signs)).otherwise(said)
    return F.md5(F.when(both == "", text).otherwise(both))


def _latest_of_each_id(judged: DataFrame, order: Sequence[Column]) -> DataFrame:
    """Of the kept rows of one id the last in `order` stays kept of those that share user and item with the first."""
    is_kept = F.col("verdict") == KEPT
    alone = F.when(~is_kept, F.struct(*ORIGIN))  # spreads rejected rows over the partitions
    who = F.struct("user_id", "item_id")
    first = F.first(who).over(Window.partitionBy("review_id", alone).orderBy(*order))
    newest_first = Window.partitionBy("review_id", alone, who).orderBy(*[column.desc() for column in order])
    ranked = judged.withColumns({"is_theirs": who == first, "age": F.row_number().over(newest_first)})
    verdict = (
        F.when(is_kept & ~F.col("is_theirs"), F.lit(ID_TAKEN))
        .when(is_kept & (F.col("age") > 1), F.lit(SUPERSEDED))
        .otherwise(F.col("verdict"))
    )
    return ranked.withColumn("verdict", verdict).drop("is_theirs", "age")


def _length_rules(said: Column, clean: CleanSettings) -> list[Rule]:
    if clean.min_review_length == 0:
        return []
    length = F.length(letters_and_digits(said))
    return [Rule(name="text_too_short", holds=length >= clean.min_review_length)]


def _convert(rows: DataFrame, source: Source, clean: CleanSettings) -> DataFrame:
    parsed = parse(rows.where(F.col("source") == source.name), source)
    parsed = parsed.withColumn("clean_text", F.col("text"))
    parsed = plain(parsed, ["title", "clean_text"])
    read = {name: masked(F.col(name), clean.mask) for name in ("title", "clean_text")}
    parsed = parsed.withColumns({name: named(text) if clean.emoji == "name" else text for name, text in read.items()})
    parsed = parsed.withColumns({name: trimmed(F.col(name)) for name in TARGET_COLUMNS["reviews"] - {"title", "text"}})
    return parsed.select(
        *ORIGIN,
        "raw",
        "is_record",
        "review_id",
        "user_id",
        "item_id",
        F.col("rating").alias("given_rating"),
        F.col("rating").try_cast("double").alias("rating"),
        parse_time(F.col("review_time"), source.time_formats).alias("review_time"),
        F.lit("review_time" in mapped_columns(source)).alias("has_time"),
        "title",
        F.coalesce("text", F.lit("")).alias("text"),
        joined(F.col("title"), F.col("clean_text")).alias("clean_text"),
        told_language(F.col("language")).alias("language"),
        known_split(F.col("split")).alias("split"),
        aspects_of(source),
    )


def _aspects_in_range(clean: CleanSettings) -> Column:
    def in_range(value: Column) -> Column:
        return F.coalesce(value.between(clean.rating_min, clean.rating_max), F.lit(False))

    return F.col("aspects").isNull() | F.forall(F.map_values("aspects"), in_range)
