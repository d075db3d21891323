"""The language of a text and its words. Stop words leave the words, never the text that a model reads."""

from collections.abc import Sequence

import pandas as pd
import stopwordsiso
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, StringType

ZH_SHARE = 0.2  # a Chinese review of an iPhone is Chinese
_WORD = r"[\p{L}\p{N}]+(?:'\p{L}+)*+"  # possessive: matched in a loop, whatever the length


def language(text: Column) -> Column:
    """The code zh where at least a fifth of the letters are Chinese characters, en where most are Latin, else other."""
    letters = F.length(F.regexp_replace(text, r"\P{L}+", ""))
    chinese = F.length(F.regexp_replace(text, r"\P{IsHan}+", ""))
    latin = F.length(F.regexp_replace(text, r"\P{IsLatin}+", ""))
    is_ascii = F.octet_length(text) == F.length(text)
    return (
        F.when(is_ascii, F.when(text.rlike("[A-Za-z]"), "en").otherwise("other"))
        .when((chinese > 0) & (chinese >= ZH_SHARE * letters), "zh")
        .when(latin * 2 > letters, "en")
        .otherwise("other")
    )


def tokens(text: Column, language: Column, stop_words: Sequence[str]) -> Column:
    """Words in lower case, in order, without stop words and punctuation.

    Args:
        stop_words: left out of every language, beside the library's of the text's own.
    """
    lower = F.translate(F.lower(text), "\u2019", "'")
    words = F.regexp_extract_all(lower, F.lit(_WORD), 0)
    chinese = F.when(language == "zh", _cut(F.when(language == "zh", lower)))
    both = {*stopwordsiso.stopwords("en"), *stopwordsiso.stopwords("zh"), *(word.lower() for word in stop_words)}
    without = F.filter(F.coalesce(chinese, words), lambda word: ~word.isin(sorted(both)))
    own = [word.lower() for word in stop_words]
    others = F.filter(words, lambda word: ~word.isin(own)) if own else words
    return F.when(language == "other", others).otherwise(without)


@pandas_udf(ArrayType(StringType()))  # type: ignore[call-overload,untyped-decorator]
def _cut(texts: pd.Series) -> pd.Series:
    if texts.isna().all():
        return texts
    import rjieba  # only where there is Chinese: its dictionary takes a moment to load

    return texts.map(lambda text: [word for word in rjieba.cut(text) if word.isalnum()], na_action="ignore")
