"""The language of a text and its words. Stop words leave the words, never the text that a model reads."""

import re
from collections.abc import Sequence

import pandas as pd
import stopwordsiso
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, StringType

from tandemrec.clean.emoji import EMOJI, NAMED
from tandemrec.clean.texts import LETTER

ZH_SHARE = 0.2  # a Chinese review of an iPhone is Chinese
KANA_SHARE = 0.1  # and one that names a shop with a の; a Japanese sentence has a third and more
MANY_WORDS = 15  # spaces; fewer words need hold none of ENGLISH
ENGLISH_SHARE = 0.04  # of the words of a text that is English
# Words that no other language in Latin letters has in such numbers: not `is` and `of`, which are Dutch, nor `for`.
ENGLISH = "the|and|it|this|that|with|you|are|but|they|not|very|from|would|when|which|were|these"
_SIGN = f"{EMOJI}|{NAMED}"
_KANA = r"\p{IsHiragana}\p{IsKatakana}"
# Japanese has no spaces: a word ends where the script changes. Elsewhere marks (of Hindi, Thai) belong to their letter.
_JAPANESE = r"\p{IsHan}+|\p{IsHiragana}[\p{IsHiragana}ー]*|\p{IsKatakana}[\p{IsKatakana}ー]*"
_LETTER = rf"[{LETTER}&&[^\p{{IsHan}}{_KANA}]]"
# Possessive: matched in a loop, whatever the length.
_WORD = rf"{_SIGN}|(?!\p{{M}}){_LETTER}+(?:'{_LETTER}+)*+|{_JAPANESE}"


def language(text: Column) -> Column:
    """The code zh where at least a fifth of the letters are Chinese characters and less than a tenth are Japanese kana,
    en where most are Latin and, of many words, one in 25 is of ENGLISH, else other.
    """
    letters = F.length(F.regexp_replace(text, r"\P{L}+", ""))
    chinese = F.length(F.regexp_replace(text, r"\P{IsHan}+", ""))
    kana = F.length(F.regexp_replace(text, rf"[^{_KANA}]+", ""))
    latin = F.length(F.regexp_replace(text, r"\P{IsLatin}+", ""))
    is_ascii = F.octet_length(text) == F.length(text)
    spaces = F.length(text) - F.length(F.replace(text, F.lit(" ")))
    told = F.regexp_count(text, F.lit(rf"(?i)\b(?:{ENGLISH})\b"))
    english = F.when((spaces < MANY_WORDS) | (told >= ENGLISH_SHARE * spaces), "en").otherwise("other")
    return (
        F.when(is_ascii, F.when(text.rlike("[A-Za-z]"), english).otherwise("other"))
        .when((chinese > 0) & (chinese >= ZH_SHARE * letters) & (kana < KANA_SHARE * letters), "zh")
        .when(latin * 2 > letters, english)
        .otherwise("other")
    )


def told_language(code: Column) -> Column:
    """The same codes from a source's own column: `en-US`, `English`, `zh_CN`, `中文`; null where it says nothing."""
    name = F.regexp_extract(F.lower(code), r"^[^\s_-]+", 0)
    return (
        F.when(name.isin("en", "eng", "english"), "en")
        .when(name.isin("zh", "zho", "chi", "cmn", "chinese", "中文", "汉语", "漢語"), "zh")
        .when(code.isNotNull(), "other")
    )


def with_tokens(rows: DataFrame, stop_words: Sequence[str]) -> DataFrame:
    """Add `tokens` to rows with clean_text and language: words in lower case and emoji, each a token, in order, without
    stop words and punctuation.

    Args:
        stop_words: left out of every language, beside the library's of the text's own.
    """
    lower, chinese = F.translate(F.lower("clean_text"), "\u2019", "'"), F.col("language") == "zh"
    words = F.regexp_extract_all(lower, F.lit(_WORD), 0)
    cut = F.when(chinese, _cut(F.when(chinese, lower)))
    own = {word.lower() for word in stop_words}
    both = {*stopwordsiso.stopwords("en"), *stopwordsiso.stopwords("zh"), *own}
    rows = rows.withColumn("_words", F.coalesce(cut, words))
    tokens = F.when(F.col("language") == "other", _words_but(own)).otherwise(_words_but(both))
    return rows.withColumn("tokens", tokens).drop("_words")


def _words_but(unwanted: set[str]) -> Column:
    """The column _words without these."""
    if not unwanted:
        return F.col("_words")
    # As SQL: thousands of literals made as columns are as many calls to Java, a second of them.
    quoted = ("'" + word.replace("\\", r"\\").replace("'", r"\'") + "'" for word in sorted(unwanted))
    return F.expr(f"filter(_words, word -> word NOT IN ({', '.join(quoted)}))")


@pandas_udf(ArrayType(StringType()))  # type: ignore[call-overload,untyped-decorator]
def _cut(texts: pd.Series) -> pd.Series:
    if texts.isna().all():
        return texts
    import rjieba  # only where there is Chinese: its dictionary takes a moment to load

    def cut(text: str) -> list[str]:
        pieces = signs.split(text)  # every second one is a sign
        return [
            word
            for number, piece in enumerate(pieces)
            for word in ([piece] if number % 2 else filter(str.isalnum, rjieba.cut(piece)))
        ]

    signs = re.compile(f"({_SIGN})")
    return texts.map(cut, na_action="ignore")
