"""Prices as shops write them into an amount and a currency."""

import re

from pyspark.sql import Column
from pyspark.sql import functions as F

AMOUNT = "decimal(12,2)"
SIGNS = {  # and abbreviations, in upper case
    "US$": "USD",
    "$US": "USD",
    "HK$": "HKD",
    "NZ$": "NZD",
    "NT$": "TWD",
    "S$": "SGD",
    "SG$": "SGD",
    "MX$": "MXN",
    "C$": "CAD",
    "CA$": "CAD",
    "$CA": "CAD",
    "R$": "BRL",
    "A$": "AUD",
    "AU$": "AUD",
    "$": "USD",
    "€": "EUR",
    "£": "GBP",
    "¥": "CNY",
    "元": "CNY",
    "RMB": "CNY",
    "円": "JPY",
    "₹": "INR",
    "RS": "INR",
    "₩": "KRW",
    "원": "KRW",
    "₽": "RUB",
    "РУБ": "RUB",
    "₴": "UAH",
    "ГРН": "UAH",
    "ZŁ": "PLN",
    "KČ": "CZK",
    "FT": "HUF",
    "LEI": "RON",
    "ЛВ": "BGN",
    "₺": "TRY",
    "TL": "TRY",
    "₪": "ILS",
    "฿": "THB",
    "₫": "VND",
    "₱": "PHP",
    "RM": "MYR",
    "RP": "IDR",
    "₦": "NGN",
    "₸": "KZT",
}
KRONE, KRONES = "KR", ("SEK", "NOK", "DKK", "ISK")  # which one it is nothing but the default may tell
_CODES = (
    "USD|EUR|GBP|CNY|JPY|INR|KRW|BRL|AUD|CAD|HKD|TWD|SGD|NZD|CHF|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|MXN|ZAR|RUB|"
    "UAH|KZT|ILS|AED|SAR|EGP|NGN|THB|VND|IDR|MYR|PHP|PKR|ARS|CLP"
)
_LETTER = r"[\p{IsLatin}\p{IsCyrillic}]"  # of scripts that part words: `12元起` is 元 and another word
_NAMES = "|".join(re.escape(name) for name in sorted([*SIGNS, KRONE], key=len, reverse=True))
_CODE, _NAME, _CURRENCY = (
    rf"(?<!{_LETTER})(?iu:{names})(?!{_LETTER})" for names in (_CODES, _NAMES, f"{_CODES}|{_NAMES}")
)
_UNKNOWN = (
    rf"\p{{Sc}}|(?<![{_LETTER}\p{{N}}]){_LETTER}{{1,3}}\.?\s?\d|\d[.,-]*\s?{_LETTER}{{1,3}}(?![{_LETTER}\p{{N}}])"
)
# Possessive (*+): Java matches such a group in a loop, any other by recursion, and a long text then ends the process.
_DIGITS = r"\d[\d.,]*(?:[ '’]\d{3}(?!\d)[\d.,]*)*+"
_NUMBER = rf"(-?\s?(?:{_CURRENCY}|\p{{Sc}})?\.?\s?{_DIGITS})"
_PRICED = (  # a currency and a number, or a number or a range and a currency
    rf"-?\s?{_CURRENCY}\.?\s?-?{_DIGITS}(?:\s?{_CURRENCY})*+"
    rf"|-?\s?{_DIGITS}(?:\s?[-–—]\s?{_DIGITS})?-?(?:\s?{_CURRENCY})++"
)
_ANY_SIGN = r"[\p{L}\p{Sc}]"  # a look that spares bare numbers the long patterns
_LONGEST = 200  # characters in which a currency beside a number is looked for: the time grows with their square


def priced(text: Column) -> Column:
    """The first part of a text where a number, or a range of two, stands beside a currency: `$10` of `3 for $10`; all
    of the text where there is none.
    """
    part = F.when((F.length(text) <= _LONGEST) & text.rlike(_ANY_SIGN), F.regexp_extract(text, _PRICED, 0))
    return F.coalesce(F.nullif(part, F.lit("")), text)


def amount(price: Column) -> Column:
    """The first number of a price: `$1,299.00`, `1.299,00 €`, `12.5 EUR`; of a range, `$5 - $9`, so what it starts at.
    Null where there is none, or it is negative or too large.

    A comma before one or two last digits is a decimal one; any other comma parts thousands, and so does a point before
    each three digits where the price is no bare number: no shop writes thousandths of a euro.

    Args:
        price: of `priced`.
    """
    digits = F.regexp_replace(F.regexp_extract(price, _NUMBER, 1), r"[^\d.,-]|(?<![\d.,])[.,]|[.,]+$", "")
    with_point = F.when(digits.rlike(r",\d{1,2}$"), F.translate(F.replace(digits, F.lit(".")), ",", ".")).when(
        digits.rlike(r"^-?[1-9]\d{0,2}(\.\d{3})+$"), F.replace(digits, F.lit("."))
    )
    value = F.coalesce(price.try_cast(AMOUNT), with_point.otherwise(F.replace(digits, F.lit(","))).try_cast(AMOUNT))
    return F.when(value >= 0, value)


def currency(price: Column, given: Column, default: str) -> Column:
    """ISO 4217: as the source's own column says, the code or else the sign in the price, or the default. Null where one
    of them names a currency that is not known here: by a sign, or up to three letters beside a number.

    Args:
        price: of `priced`.
        given: the source's own column, a code or a sign.
    """
    names = SIGNS | ({KRONE: default} if default in KRONES else {})
    codes = F.create_map(*[F.lit(part) for pair in names.items() for part in pair])
    own = F.btrim(F.upper(given), F.lit(" ."))
    code, name = (F.upper(F.regexp_extract(price, pattern, 0)) for pattern in (_CODE, _NAME))
    return F.coalesce(
        F.try_element_at(codes, own),
        F.when(own.rlike("^[A-Z]{3}$"), own),
        F.when(price.rlike(_ANY_SIGN), F.coalesce(F.nullif(code, F.lit("")), F.try_element_at(codes, name))),
        F.when(given.isNull() & ~price.rlike(_UNKNOWN), F.lit(default)),
    )
