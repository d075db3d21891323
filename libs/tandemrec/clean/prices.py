"""Prices as shops write them into an amount and a currency."""

from pyspark.sql import Column
from pyspark.sql import functions as F

AMOUNT = "decimal(12,2)"
SIGNS = {
    "US$": "USD",
    "HK$": "HKD",
    "NZ$": "NZD",
    "NT$": "TWD",
    "SG$": "SGD",
    "MX$": "MXN",
    "CA$": "CAD",
    "R$": "BRL",
    "A$": "AUD",
    "AU$": "AUD",
    "C$": "CAD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "CNY",
    "元": "CNY",
    "RMB": "CNY",
    "円": "JPY",
    "₹": "INR",
    "₩": "KRW",
}
_CODE = r"(?i)\b(USD|EUR|GBP|CNY|JPY|INR|KRW|BRL|AUD|CAD|HKD|TWD|SGD|NZD|CHF|SEK|NOK|DKK|PLN|CZK|TRY|MXN|ZAR|RUB)\b"
# Possessive (*+): Java matches such a group in a loop, any other by recursion, and a long text then ends the process.
_NUMBER = r"(-?\s?\p{Sc}?\s?\d[\d.,]*(?:[ '’]\d{3}(?!\d)[\d.,]*)*+)"


def amount(text: Column) -> Column:
    """The first number of a price: `$1,299.00`, `1.299,00 €`, `12.5 EUR`; of a range, `$5 - $9`, so what it starts at.
    Null where there is none, or it is negative or too large.

    A comma before one or two last digits is a decimal one; any other comma parts thousands, and so does a point before
    each three digits where the price is no bare number: no shop writes thousandths of a euro.
    """
    digits = F.regexp_replace(F.regexp_extract(text, _NUMBER, 1), r"[^\d.,-]|[.,]+$", "")
    with_point = F.when(digits.rlike(r",\d{1,2}$"), F.translate(F.replace(digits, F.lit(".")), ",", ".")).when(
        digits.rlike(r"^-?[1-9]\d{0,2}(\.\d{3})+$"), F.replace(digits, F.lit("."))
    )
    value = F.coalesce(text.try_cast(AMOUNT), with_point.otherwise(F.replace(digits, F.lit(","))).try_cast(AMOUNT))
    return F.when(value >= 0, value)


def currency(text: Column, given: Column, default: str) -> Column:
    """ISO 4217: as the source's own column says, the code or the sign in the price, or the default."""
    code = F.nullif(F.regexp_extract(text, _CODE, 1), F.lit(""))
    signs = [F.when(text.contains(sign), F.lit(name)) for sign, name in SIGNS.items()]
    return F.coalesce(F.upper(given), F.upper(code), *signs, F.lit(default))
