"""Addresses of the web and of e-mail and telephone numbers in texts, each by its kind.

Reviews are full of sizes, years, strings' gauges and product codes, so a number is a telephone's only by a shape that
these do not have: the code of a country behind a plus, the groups in which a country writes its numbers, or a word
such as `call` before it.
"""

from collections.abc import Sequence

from pyspark.sql import Column
from pyspark.sql import functions as F

_AFTER, _BEFORE = r"(?![\p{IsLatin}\p{N}]|[.-]\p{N})", r"(?<![\p{IsLatin}\p{N}+]|\p{N}[.-])"
_FIRST, _LAST = r"(?<!\d )", r"(?![ .-]?\d)"
_PHONES = (
    r"\+[1-9](?:[ ()./-]{0,3}\d){7,14}(?<=\d\d)",  # with the code of a country
    r"00[1-9]\d{1,2}(?:[ -]\d{2,5}){1,2}[ -]\d{3,8}",
    r"(?:86[ -]?)?1[3-9]\d([ -]?)\d{4}\1\d{4}",  # Chinese mobile
    r"[48]00-\d{4}-\d{3}",
    # Of countries that dial a 0 first: 010-12345678, (030) 1234567, 020 7946 0958, 07700 900123, 0412 345 678
    rf"(?:\(0[1-9]\d{{0,3}}\) ?|{_FIRST}0[1-9]\d{{0,3}}[ /-])(?:\d{{7,8}}|\d{{3,4}}[ -]\d{{4}}){_LAST}",
    rf"{_FIRST}0[1-9]\d(?:\d{{1,2}} \d{{6}}|\d \d{{3}} \d{{3}}| \d{{3}} \d{{2}} \d{{2}}){_LAST}",
    rf"{_FIRST}0[1-9]([ .])(?!0)\d{{2}}(?:\2\d{{2}}){{3}}{_LAST}",  # French: 01 23 45 67 89
    r"(?:[18][ .-]?)?\(\d{3}\) ?\d{3}[ .-](?:\d{4}|\d{2}[ -]\d{2})",  # North American, Russian
    r"(?:1[ .-])?\d{3}([.-])\d{3}\3\d{4}",
    rf"{_FIRST}(?:1[ .-])?[2-9]\d\d [2-9]\d\d \d{{4}}{_LAST}",  # 1 100 200 3000 are numbers
    rf"{_FIRST}[6-9]\d{{4}}[ -]\d{{5}}{_LAST}",  # Indian mobile
)
_CUE = (
    r"(?:\b(?:telephone|tel|phone|mobile|call|whatsapp)|电话|手机号|热线)"
    r"(?: me| us| number| no|码)?(?: at| is|是)?[ .:#]{0,3}"
)
_SAID = rf"(?i)(?=\d{{3}})(?<={_CUE})(?:\d{{7,14}}|\d{{3}}-\d{{4}}|\d{{5}}[ -]\d{{5}}){_AFTER}"
# Without http:// only with a path behind one of these ends: `Amazon.com` is a name, `Sturdy.Price/quality` none.
_ENDS = "com|net|org|info|biz|edu|gov|io|co|cc|tv|me|ly|gl|be|to|cn|hk|tw|jp|kr|uk|ie|de|fr|es|nl|ru|br|ca|au|xyz"
_PLACE = r"[^\s<>\"\p{IsHan}]*[^\s<>\"\p{IsHan}\p{Po})\]}]/?"
_URL = rf"(?:(?:https?|ftp)://|www\.|(?:[a-z0-9-]{{1,63}}\.){{1,4}}(?:{_ENDS})/){_PLACE}"
MASKS = {  # in this order: an address of the web may hold one of e-mail
    "url": rf"(?i)(?<![\p{{IsLatin}}\p{{N}}@.]){_URL}",
    "email": r"(?i)[a-z0-9](?:[a-z0-9._%+-]{0,62}[a-z0-9])?@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}",
    "phone": f"{_BEFORE}(?:{'|'.join(_PHONES)}){_AFTER}|{_SAID}",
}


def masked(text: Column, kinds: Sequence[str]) -> Column:
    """Addresses of the web and of e-mail and telephone numbers by their kind: [url], [email], [phone].

    Args:
        kinds: which of MASKS.
    """
    for kind, pattern in MASKS.items():
        if kind in kinds:
            text = F.regexp_replace(text, pattern, f"[{kind}]")
    return text
