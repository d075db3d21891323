"""Texts as people and language models read them: tags, entities, control characters and odd spaces resolved."""

import html
import unicodedata
from collections.abc import Sequence

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, StringType

from tandemrec.clean.emoji import STRAY
from tandemrec.lake.pseudonyms import SPACES

_INLINE = "a|abbr|b|big|em|font|i|mark|s|small|span|strike|strong|sub|sup|u"
_INLINE_TAG = rf"(?i)</?(?:{_INLINE})(?:\s[^<>]*)?/?>"
_ESCAPED_TAG = rf"(?i)&lt;(/?(?:{_INLINE}|br|div|hr|li|ol|p|ul)\s*/?)&gt;"  # as a form saves what is no text to it
# With its content, up to the next of the kind: a text of nothing but beginnings is looked through once.
_PROGRAM = r"(?i)<(script|style)\b[^<>]*>(?:[^<]++|<(?!/?(?:script|style)\b))*+</\1\s*>"
_TAG = r"</?[A-Za-z!][^<>]*>"
_INVISIBLE = rf"[\p{{Cc}}\p{{Cf}}&&[^\s\x{{85}}\x{{200D}}\x{{E0020}}-\x{{E007F}}]]+|{STRAY}"
LETTER = r"\p{L}\p{M}\p{N}"  # or digit, or a mark of one
_SPACE = r"[\s\p{Z}\x{85}]+"


def trimmed(text: Column) -> Column:
    """Without spaces around it; null where nothing is left."""
    return F.nullif(F.btrim(text, F.lit(SPACES)), F.lit(""))


def trimmed_values(texts: Column) -> Column:
    """A map of texts without spaces around its values, and without those of which nothing is left."""
    return F.map_filter(F.transform_values(texts, lambda _, text: trimmed(text)), lambda _, text: text.isNotNull())


def plain(rows: DataFrame, names: Sequence[str]) -> DataFrame:
    """The same rows with these columns readable: tags and entities resolved, NFKC, control and zero-width characters
    removed (but those that hold an emoji together), runs of space made one, null where nothing is left.

    A tag that sets a word in bold or the like joins what it stands between, every other tag parts it as a space does,
    written as `&lt;br&gt;` too. Scripts and styles go with what they hold.
    """
    # Column by column in steps, so that Spark computes each step once for every use of it.
    rows = rows.withColumns({name: _unescaped(F.col(name)) for name in names})
    rows = rows.withColumns({name: _untagged(F.col(name)) for name in names})
    # Python sees only what Spark has no function for: entities, and letters that have more than one spelling.
    odd = {name: F.col(name).contains("&") | (F.octet_length(name) > F.length(name)) for name in names}
    resolved = {name: _resolve(F.when(is_odd, F.col(name))) for name, is_odd in odd.items()}
    rows = rows.withColumns({name: F.coalesce(text, F.col(name)) for name, text in resolved.items()})
    return rows.withColumns({name: _visible(F.col(name)) for name in names})


def _unescaped(text: Column) -> Column:
    return F.when(text.contains("&lt;"), F.regexp_replace(text, _ESCAPED_TAG, "<$1>")).otherwise(text)


def _untagged(text: Column) -> Column:
    without = text
    for pattern, instead in ((_PROGRAM, " "), (_INLINE_TAG, ""), (_TAG, " ")):
        without = F.regexp_replace(without, pattern, instead)
    return F.when(text.contains("<"), without).otherwise(text)


def _visible(text: Column) -> Column:
    return F.nullif(F.trim(F.regexp_replace(F.regexp_replace(text, _INVISIBLE, ""), _SPACE, " ")), F.lit(""))


@pandas_udf(StringType())  # type: ignore[call-overload,untyped-decorator]
def _resolve(texts: pd.Series) -> pd.Series:
    # Not over an iterator of batches: Spark gives functions of one batch one worker for all columns together.
    return texts.map(lambda text: unicodedata.normalize("NFKC", html.unescape(text)), na_action="ignore")


def normalised_each(texts: Column) -> Column:
    """An array of texts, or null, in NFKC: `ＸＬ` becomes `XL`. Python sees only arrays with a letter beyond ASCII."""
    together = F.array_join(texts, "")
    is_odd = F.octet_length(together) > F.length(together)
    return F.when(is_odd, _normalise_each(F.when(is_odd, texts))).otherwise(texts)


@pandas_udf(ArrayType(StringType()))  # type: ignore[call-overload,untyped-decorator]
def _normalise_each(texts: pd.Series) -> pd.Series:
    def normalise(each: Sequence[str | None]) -> list[str | None]:
        return [text and unicodedata.normalize("NFKC", text) for text in each]

    return texts.map(normalise, na_action="ignore")


def joined(title: Column, text: Column) -> Column:
    """Title and text as one; null where both are."""
    return F.nullif(F.concat_ws(". ", title, text), F.lit(""))


def letters_and_digits(text: Column) -> Column:
    """What two spellings of one text share: lower case, without spaces, punctuation and signs. Marks stay with their
    letter, as the vowels of Hindi and Thai do, and go with a sign.
    """
    return F.regexp_replace(F.lower(text), rf"[^{LETTER}]+\p{{M}}*", "")


def text_hash(text: Column) -> Column:
    """The key of a text's vector."""
    return F.sha2(text, 256)
