"""Prices as shops write them into an amount and a currency."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from tandemrec.clean.texts import trimmed

AMOUNT = "decimal(12,2)"
SYMBOLS = {
    "HK$": "HKD",
    "R$": "BRL",
    "A$": "AUD",
    "C$": "CAD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "CNY",
    "\uffe5": "CNY",
    "元": "CNY",
    "RMB": "CNY",
    "円": "JPY",
    "₹": "INR",
    "₩": "KRW",
}


def amount(text: Column) -> Column:
    """The first number of a price: `$1,299.00`, `1.299,00 €`, `12.5 EUR`. Null where there is none, or it is negative
    or too large. A comma before exactly one or two last digits is a decimal one, any other parts thousands.
    """
    number = F.regexp_extract(text, r"(-?\s?\p{Sc}?\s?\d[\d.,' ]*)", 1)
    digits = F.regexp_replace(number, r"[^\d.,-]|[.,]+\s*$", "")
    with_point = F.when(
        digits.rlike(r",\d{1,2}$"), F.translate(F.replace(digits, F.lit("."), F.lit("")), ",", ".")
    ).otherwise(F.replace(digits, F.lit(","), F.lit("")))
    value = F.coalesce(text.try_cast(AMOUNT), with_point.try_cast(AMOUNT))
    return F.when(value >= 0, value)


def currency(text: Column, given: Column, default: str) -> Column:
    """ISO 4217: the source's own column, the code or the sign in the price, or the default."""
    upper = F.upper(text)
    code = F.nullif(F.regexp_extract(upper, r"(?:^|[^A-Z])([A-Z]{3})(?:[^A-Z]|$)", 1), F.lit(""))
    signs = [F.when(upper.contains(sign), F.lit(name)) for sign, name in SYMBOLS.items()]
    return F.coalesce(F.upper(trimmed(given)), *signs[:4], F.when(code != "RMB", code), *signs[4:], F.lit(default))
