"""The catalogue as rows of a CSV file."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.sample.dirt import FORMER, ITEM_RATES
from tandemrec.sample.item_list import CONTROL_SHARE, HTML_SHARE, NO_PRICE
from tandemrec.sample.listing import BRAND_MISSPELT, COLUMNS
from tandemrec.sample.moments import START
from tandemrec.sample.spark.draws import Draws, identifier
from tandemrec.sample.wording.goods import BRANDS, CATEGORIES, STYLE_SENTENCES, STYLES

NO_PRICE_CODE = "price_unreadable"
RATES = {code: rate for code, rate in ITEM_RATES.items() if code != NO_PRICE_CODE}
_DAY = 86_400


def item_rows(rows: DataFrame, *, items: int, seed: int) -> DataFrame:
    """Rows of the items that `rows` numbers (id, from 0): defect (null: a good row), brand's number and COLUMNS."""
    each = Draws(seed, F.col("id"))
    listed = rows.select(
        "id",
        F.explode(_lines(each)).alias("defect"),
        each.below("category", len(CATEGORIES)).cast("int").alias("kind"),
        each.below("brand", len(BRANDS)).cast("int").alias("brand"),
        each.below("style", len(STYLES)).cast("int").alias("style"),
    )
    is_earlier = F.col("defect") == FORMER
    maker, style = _of(BRANDS, F.col("brand")), _of(STYLES, F.col("style"))
    nouns = F.array(*[_array(category.nouns) for category in CATEGORIES])
    noun = F.get(F.get(nouns, F.col("kind")), each.below("noun", min(len(c.nouns) for c in CATEGORIES)).cast("int"))
    price = _of([str(c.price) for c in CATEGORIES], F.col("kind")).cast("double") * (each.share("price") + 0.5)
    price = F.when(is_earlier, price * 1.2).otherwise(price).cast("decimal(12,2)").cast("string")
    since = (each.below("listed", 300) + F.when(is_earlier, 300).otherwise(0)) * _DAY
    values = {
        "sku": F.when(F.col("defect") == "item_id_missing", each.one_of("blank", ("", "  "))).otherwise(
            identifier("S", F.col("id"), items)
        ),
        "name": F.concat_ws(" ", maker, F.initcap(style), F.initcap(noun)),
        "maker": F.when(each.share("misspelt") < BRAND_MISSPELT, each.one_of("spelling", _spellings(maker))).otherwise(
            maker
        ),
        "category": _of([category.path for category in CATEGORIES], F.col("kind")),
        "price_usd": F.when(_is_without_price(each), each.one_of("no price", NO_PRICE)).otherwise(price),
        "details": _marked(each, _of(STYLE_SENTENCES, F.col("style"))),
        "updated": F.date_format(
            F.timestamp_seconds(F.lit(int(START.timestamp())) - since), "yyyy-MM-dd'T'HH:mm:ss'Z'"
        ),
    }
    return listed.select("defect", F.col("brand"), *[values[name].alias(name) for name in COLUMNS])


def _lines(draws: Draws) -> Column:
    """The rows of an item: the good one and, for some, one of a defect; one without a price is alone."""
    good, defect = F.lit(None).cast("string"), draws.weighted("defect", ITEM_RATES)
    has_another = defect.isNotNull() & (defect != NO_PRICE_CODE)
    return F.when(has_another, F.array(good, defect)).otherwise(F.array(good))


def _is_without_price(draws: Draws) -> Column:
    return draws.weighted("defect", ITEM_RATES).eqNullSafe(NO_PRICE_CODE)


def _spellings(brand: Column) -> tuple[Column, ...]:
    return F.upper(brand), F.lower(brand), F.concat(F.lit(" "), brand, F.lit(" "))


def _marked(draws: Draws, details: Column) -> Column:
    chance = draws.share("marks")
    return (
        F.when(chance < HTML_SHARE, F.concat(F.lit("<p>"), details, F.lit("</p>")))
        .when(chance < HTML_SHARE + CONTROL_SHARE, F.concat(details, F.lit("\u200b")))
        .otherwise(details)
    )


def _array(values: Sequence[str]) -> Column:
    return F.array(*map(F.lit, values))


def _of(values: Sequence[str], number: Column) -> Column:
    return F.get(_array(values), number)
