"""Lines of reviews from a few short templates: for scale, not for quality."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.sample.behaviour import STAR_SHARES, YEAR
from tandemrec.sample.dirt import BROKEN_JSON, NEAR, REVIEW_RATES
from tandemrec.sample.moments import FUTURE, NEVER_SET, START, UNREADABLE
from tandemrec.sample.review_log import CONTROL_SHARE, HTML_SHARE, IMPOSSIBLE_STARS, NOTHING
from tandemrec.sample.spark.draws import Draws, blank, broken, identifier, json_object, quoted, with_defects, written
from tandemrec.sample.tastes import WRITES_CHINESE

FIELDS = ("rid", "uid", "sku", "stars", "headline", "body", "posted")
VERDICTS = {  # by stars, (English, Chinese)
    1: ("It broke after a week and nobody answered.", "用了一周就坏了，没人理。"),
    2: ("It is worse than on my old one.", "还不如以前那个。"),
    3: ("For what it is, it is fine.", "一般般，还可以。"),
    4: ("Good value, with one small complaint.", "性价比高，有点小毛病。"),
    5: ("I love everything about it.", "非常喜欢，值得入手。"),
}
_CODE = ("0123456789", "qrstuvwxyz")  # digits as letters: a number could be taken for one of a telephone


def review_lines(rows: DataFrame, *, users: int, items: int, reviews: int, seed: int) -> DataFrame:
    """Lines of the reviews that `rows` numbers (id, from 0): defect (null: a good line), body and value.

    Every text holds a word of its own, so that no two reviews are one by chance.
    """
    each = Draws(seed, F.col("id"))
    user = each.user("reviewer", users)
    written_down = rows.select(
        "id",
        user.alias("user"),
        each.item("reviewed", items).alias("item"),
        (Draws(seed, user).share("language") < WRITES_CHINESE).alias("chinese"),
        each.weighted("stars", {str(n): share for n, share in enumerate(STAR_SHARES, start=1)}).alias("stars"),
        F.expr(f"{int(START.timestamp())} + (id * {YEAR}) div {reviews}").alias("second"),
        F.explode(with_defects(each, REVIEW_RATES)).alias("defect"),
    )
    worded = written_down.withColumn("body", _text()).withColumn("body", _body(each))
    line = json_object(_fields(each, users, items, reviews))
    defect = F.col("defect")
    return worded.select(
        "defect",
        F.when(~defect.eqNullSafe(BROKEN_JSON), F.col("body")).alias("body"),
        F.when(defect == BROKEN_JSON, broken(each, line, FIELDS)).otherwise(line).alias("value"),
    )


def _text() -> Column:
    own_word = F.translate(F.conv(F.col("id").cast("string"), 10, 26), *_CODE)
    verdicts = [F.array(*[F.lit(verdict[number]) for verdict in VERDICTS.values()]) for number in (0, 1)]
    english, chinese = (F.get(of_language, F.col("stars").cast("int") - 1) for of_language in verdicts)
    return F.when(F.col("chinese"), F.concat(chinese, F.lit("包裹编号"), own_word)).otherwise(
        F.concat(english, F.lit(" It came in parcel "), own_word)
    )


def _body(draws: Draws) -> Column:
    body, chance = F.col("body"), draws.share("marks")
    html, control = F.concat(F.lit("<p>"), body, F.lit("</p>")), F.concat(body, F.lit("\u200b"))
    marked = F.when(chance < HTML_SHARE, html).when(chance < HTML_SHARE + CONTROL_SHARE, control).otherwise(body)
    spellings = (F.upper(body), F.concat(F.lit("  "), body), F.concat(F.lit("<b>"), body, F.lit("</b>")))
    return (
        F.when(F.col("defect") == NEAR, draws.one_of("spelling", spellings))
        .when(F.col("defect") == "text_empty", draws.one_of("nothing", NOTHING))
        .otherwise(marked)
    )


def _fields(draws: Draws, users: int, items: int, reviews: int) -> dict[str, Column]:
    """JSON of each field; null where the line lacks it."""
    defect = F.col("defect")
    number = F.when(defect == NEAR, F.col("id") + reviews).otherwise(F.col("id"))  # another id, the same words
    stranger = F.concat(F.lit("X"), F.lpad(draws.below("stranger", 1_000_000).cast("string"), 6, "0"))
    second = (
        F.when(defect == "time_in_future", F.lit(int(FUTURE.timestamp())) + draws.below("future", 31_000_000))
        .when(defect == "time_too_early", F.lit(int(NEVER_SET.timestamp())) + draws.below("early", 86_400))
        .otherwise(F.col("second"))
    )
    form = F.when(F.col("chinese") & ~defect.eqNullSafe("time_too_early"), "epoch_ms").otherwise("iso")
    impossible = draws.one_of("impossible", IMPOSSIBLE_STARS).cast("string")
    as_object = F.to_json(F.struct(F.col("body").alias("b")))
    return {
        "rid": quoted(identifier("r", number, max(10**6, 2 * reviews))),
        "uid": F.when(defect == "user_id_missing", blank(draws)).otherwise(
            quoted(identifier("u", F.col("user"), users))
        ),
        "sku": F.when(defect == "item_id_missing", blank(draws))
        .when(defect == "item_unknown", quoted(stranger))
        .otherwise(quoted(identifier("S", F.col("item"), items))),
        "stars": F.when(defect == "rating_out_of_range", impossible).otherwise(F.col("stars")),
        "headline": quoted(F.when(defect == "text_empty", "").when(F.col("chinese"), "评价").otherwise("Review")),
        "body": F.substr(as_object, F.lit(len('{"b":') + 1), F.length(as_object) - len('{"b":}')),
        "posted": F.when(defect == "time_unreadable", quoted(draws.one_of("unreadable", UNREADABLE))).otherwise(
            written(second, form)
        ),
    }
