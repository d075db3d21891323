"""Texts as people and language models read them: tags, entities, control characters and odd spaces resolved."""

import html
import unicodedata
from collections.abc import Iterator

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F

SPACES = " \t\n\r\u00a0\u3000\u200b\ufeff"
_INLINE_TAG = r"(?i)</?(?:a|abbr|b|big|em|font|i|mark|s|small|span|strike|strong|sub|sup|u)(?:\s[^<>]*)?/?>"
_TAG = r"</?[A-Za-z!][^<>]*>"
_SPACE = r"[\s\p{Z}\x{85}]+"
_INVISIBLE = r"[\p{Cc}\p{Cf}]+"


def trimmed(text: Column) -> Column:
    """Without spaces around it; null where nothing is left."""
    return F.nullif(F.btrim(text, F.lit(SPACES)), F.lit(""))


def plain(text: Column) -> Column:
    """Tags and entities resolved, NFKC, control and zero-width characters removed, runs of space made one; null where
    nothing is left. A tag that sets a word in bold or the like joins, every other tag parts as a space does.
    """
    untagged = F.regexp_replace(F.regexp_replace(text, _INLINE_TAG, ""), _TAG, " ")
    untagged = F.when(text.contains("<"), untagged).otherwise(text)
    # Python sees only what Spark has no function for: entities, and letters that have more than one spelling.
    is_odd = untagged.contains("&") | (F.octet_length(untagged) > F.length(untagged))
    resolved = F.when(is_odd, _resolve(F.when(is_odd, untagged))).otherwise(untagged)
    visible = F.regexp_replace(F.regexp_replace(resolved, _SPACE, " "), _INVISIBLE, "")
    return F.nullif(F.trim(F.regexp_replace(visible, " +", " ")), F.lit(""))


@F.pandas_udf("string")  # type: ignore[call-overload,untyped-decorator]
def _resolve(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
    for texts in batches:
        yield texts.map(lambda text: unicodedata.normalize("NFKC", html.unescape(text)), na_action="ignore")


def joined(title: Column, text: Column) -> Column:
    """Title and text as one; null where both are."""
    return F.nullif(F.concat_ws(". ", title, text), F.lit(""))


def letters_and_digits(text: Column) -> Column:
    """What two spellings of one text share: lower case, without spaces, punctuation and signs."""
    return F.regexp_replace(F.lower(text), r"[^\p{L}\p{N}]+", "")


def text_hash(text: Column) -> Column:
    """The key of a text's vector."""
    return F.sha2(text, 256)
