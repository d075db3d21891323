"""Lines of events: five rows a visit, three items looked at, the first of them clicked, and what follows a click."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.sample.behaviour import STAR_SHARES, YEAR
from tandemrec.sample.dirt import BROKEN_JSON, EVENT_RATES, NEAR
from tandemrec.sample.event_log import IMPOSSIBLE_STARS, UNKNOWN_ACTIONS
from tandemrec.sample.moments import FORMAT_SHARES, FORMATS, FUTURE, NEVER_SET, START, UNREADABLE
from tandemrec.sample.spark.draws import Draws, blank, broken, identifier, json_object, quoted, with_defects, written

VISIT, VIEWS = 5, 3  # rows of a visit, and how many of them are views
AFTER_A_CLICK = {"fav": 0.25, "cart": 0.3, "buy": 0.3, "rate": 0.15}
FIELDS = ("uid", "sku", "action", "ts", "sid", "stars")


def event_lines(rows: DataFrame, *, users: int, items: int, events: int, seed: int) -> DataFrame:
    """Lines of the events that `rows` numbers (id, from 0): defect (null: a good line), form of a readable time, value.

    The time of row i is i / events of the year, in whole seconds: no two events share one.
    """
    each = Draws(seed, F.col("id"))
    visit = F.expr(f"id div {VISIT}")
    place = F.col("id") % VISIT
    looked_at = F.when(place < VIEWS, F.col("id")).otherwise(visit * VISIT)
    follows = each.weighted("action", AFTER_A_CLICK)
    happened = rows.select(
        "id",
        visit.alias("visit"),
        Draws(seed, visit).user("user", users).alias("user"),
        Draws(seed, looked_at).item("item", items).alias("item"),
        F.when(place < VIEWS, "pv").when(place == VIEWS, "click").otherwise(follows).alias("action"),
        F.expr(f"{int(START.timestamp())} + (id * {YEAR}) div {events}").alias("second"),
        each.weighted("form", dict(zip(FORMATS, FORMAT_SHARES, strict=True))).alias("form"),
        F.explode(with_defects(each, EVENT_RATES)).alias("defect"),
    )
    defect = F.col("defect")
    otherwise = F.when(defect == NEAR, each.below("otherwise", 7) + 1).otherwise(0).cast("int")
    timed = happened.withColumn("otherwise", otherwise).withColumns({"form": _form(each), "second": _second(each)})
    fields = _fields(each, users, items, events)
    line = json_object(fields)
    return timed.select(
        "defect",
        F.when(~defect.eqNullSafe(BROKEN_JSON) & ~defect.eqNullSafe("time_unreadable"), F.col("form")).alias("form"),
        F.when(defect == BROKEN_JSON, broken(each, line, FIELDS)).otherwise(line).alias("value"),
    )


def _form(draws: Draws) -> Column:
    """The format of the line's time; another one where the same event is written otherwise."""
    defect, form = F.col("defect"), F.col("form")
    at = F.array_position(F.array(*map(F.lit, FORMATS)), form).cast("int") - 1
    other = F.get(F.array(*map(F.lit, FORMATS)), F.pmod(at + 1 + draws.below("other form", 2).cast("int"), F.lit(3)))
    return (
        F.when(_bit(0), other)
        .when(defect == "time_in_future", draws.one_of("future form", FORMATS))
        .when(defect == "time_too_early", draws.one_of("early form", ("iso", "slash")))
        .otherwise(form)
    )


def _second(draws: Draws) -> Column:
    future, early = int(FUTURE.timestamp()), int(NEVER_SET.timestamp())
    return (
        F.when(F.col("defect") == "time_in_future", F.lit(future) + draws.below("future", 31_000_000))
        .when(F.col("defect") == "time_too_early", F.lit(early) + draws.below("early", 86_400))
        .otherwise(F.col("second"))
    )


def _bit(number: int) -> Column:
    """Whether a line of the defect `near` is written otherwise in this respect; one of them at least is."""
    return F.col("otherwise").bitwiseAND(1 << number) != 0


def _fields(draws: Draws, users: int, items: int, events: int) -> dict[str, Column]:
    """JSON of each field; null where the line lacks it."""
    defect = F.col("defect")
    user, item = identifier("u", F.col("user"), users), identifier("S", F.col("item"), items)
    stars = draws.weighted("stars", {str(n): share for n, share in enumerate(STAR_SHARES, start=1)})
    impossible = F.coalesce(draws.one_of("impossible", IMPOSSIBLE_STARS).cast("string"), F.lit("null"))
    stranger = F.concat(F.lit("X"), F.lpad(draws.below("stranger", 1_000_000).cast("string"), 6, "0"))
    return {
        "uid": F.when(defect == "user_id_missing", blank(draws)).otherwise(
            quoted(F.when(_bit(1), F.concat(F.lit(" "), user)).otherwise(user))
        ),
        "sku": F.when(defect == "item_id_missing", blank(draws))
        .when(defect == "item_unknown", quoted(stranger))
        .otherwise(quoted(F.when(_bit(1), F.concat(item, F.lit(" "))).otherwise(item))),
        "action": F.when(defect == "event_type_unknown", quoted(draws.one_of("unknown", UNKNOWN_ACTIONS)))
        .when(defect == "rating_out_of_range", F.lit('"rate"'))
        .otherwise(quoted(F.when(_bit(2), F.upper("action")).otherwise(F.col("action")))),
        "ts": F.when(defect == "time_unreadable", quoted(draws.one_of("unreadable", UNREADABLE))).otherwise(
            written(F.col("second"), F.col("form"))
        ),
        "sid": quoted(identifier("s", F.col("visit"), max(10**6, events))),
        "stars": F.when(defect == "rating_out_of_range", impossible).when(F.col("action") == "rate", stars),
    }
