"""Terms: words, and phrases between stop words and punctuation, that several people use.

Candidates are those of RAKE (Rose et al. 2010, section 1.2.1): what stands between stop words and signs. Chinese, which
has no spaces, has its words, of two characters and more and no stop words, as the TF-IDF keywords of jieba. A tagger of
parts of speech would tell noun phrases; that needs a model for each language and a pass through Python, and this
needs neither.
"""

from collections.abc import Sequence

import stopwordsiso
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.clean.emoji import NAMED
from tandemrec.clean.masks import MASKS
from tandemrec.clean.texts import LETTER

_LETTER = r"\p{L}"
_HYPHEN = r"(?<=\p{L})[-\u2010\u2011](?=\p{L})"  # inside a word: hi-hat is a phrase of two
_PIECE = rf"(?!\p{{M}})[{LETTER}]+(?:'[{LETTER}]+)*+|[^\s{LETTER}]"
_CHINESE = 2  # characters of a word that is a candidate
_BREAK = "|"


def phrases(reviews: DataFrame, stop_words: Sequence[str]) -> DataFrame:
    """Rows (phrase, word and what else the reviews have): each word of each phrase of each review.

    Args:
        reviews: clean_text, tokens and language of silver.reviews, which go, and whatever else is to stay.
        stop_words: that end a phrase in every language, beside the library's.
    """
    own = {word.lower() for word in stop_words}
    both = {*stopwordsiso.stopwords("en"), *own}
    masks = "|".join([*(rf"\[{kind}\]" for kind in MASKS), NAMED])
    text = F.translate(F.lower("clean_text"), "\u2019", "'")
    text = F.regexp_replace(F.regexp_replace(text, masks, _BREAK), _HYPHEN, " ")
    pieces = F.regexp_extract_all(text, F.lit(_PIECE), 0)
    others = [name for name in reviews.columns if name not in ("clean_text", "tokens", "language")]
    rows = reviews.select(*others, "language", "tokens", F.coalesce(pieces, F.array()).alias("_pieces"))
    between = F.when(F.col("language") == "other", _between(own)).otherwise(_between(both))
    chinese = F.filter("tokens", lambda word: (F.length(word) >= _CHINESE) & word.rlike(_LETTER))
    found = F.when(F.col("language") == "zh", F.coalesce(chinese, F.array())).otherwise(between)
    rows = rows.select(*others, F.explode(F.array_distinct(found)).alias("phrase"))
    return rows.select(*others, "phrase", F.explode(F.split("phrase", " ")).alias("word"))


def _between(unwanted: set[str]) -> Column:
    """What stands between the pieces that are no words, of a single letter, or unwanted."""
    # As SQL: thousands of literals made as columns are as many calls to Java, a second of them.
    quoted = ", ".join("'" + word.replace("\\", r"\\").replace("'", r"\'") + "'" for word in sorted(unwanted)) or "''"
    told = rf"piece NOT IN ({quoted}) AND length(piece) > 1 AND piece RLIKE '\\p{{L}}'"
    kept = F.expr(f"transform(_pieces, piece -> CASE WHEN {told} THEN piece ELSE '{_BREAK}' END)")
    return F.filter(F.split(F.array_join(kept, " "), r"\s*\|[\s|]*"), lambda phrase: phrase != "")


def vocabulary(said: DataFrame, *, longest: int, min_users: int, max_terms: int) -> DataFrame:
    """Rows (term, users): words and phrases that enough people use, those of the most people.

    Args:
        said: of `phrases` of reviews with user_id.
        longest: words of a phrase.
        min_users: people who use a term, at least.
        max_terms: how many there are, at most.
    """
    both = F.explode(F.array(F.when(_is_term(longest), F.col("phrase")), F.col("word"))).alias("term")
    used = said.select("user_id", both).where("term IS NOT NULL").distinct()
    terms = used.groupBy("term").agg(F.count("*").alias("users")).where(F.col("users") >= min_users)
    return terms.orderBy(F.desc("users"), "term").limit(max_terms)


def numbered(terms: DataFrame) -> DataFrame:
    """Rows (term, term_index, users), numbered from 1, the commonest first. They are bounded, so one sort is enough."""
    return terms.withColumn("term_index", F.row_number().over(Window.orderBy(F.desc("users"), "term")))


def mentions(said: DataFrame, terms: DataFrame) -> DataFrame:
    """Rows (review_id, term and what else the terms have): which review names which term, each once.

    A phrase that is a term counts as itself and not as its words; of any other phrase the words that are terms count.
    """
    known = F.broadcast(terms)
    others = [name for name in terms.columns if name != "term"]
    whole = known.select(F.col("term").alias("phrase"), F.lit(True).alias("_whole"))
    rows = said.join(whole, "phrase", "left")
    term = F.when(F.col("_whole"), F.col("phrase")).otherwise(F.col("word"))
    found = rows.select("review_id", term.alias("term")).distinct().join(known, "term")
    return found.select("review_id", "term", *others)


def named_by_text(named: DataFrame, reviews: DataFrame) -> DataFrame:
    """Rows of gold.text_terms.

    Args:
        named: of `mentions`, with term_index.
        reviews: rows (review_id, text_index).
    """
    by_text = named.join(reviews, "review_id").groupBy("text_index")
    return by_text.agg(F.array_sort(F.collect_set("term_index")).alias("terms"))


def _is_term(longest: int) -> Column:
    """A phrase of several words, and not of too many."""
    return (F.size(F.split("phrase", " ")) <= longest) & (F.col("phrase") != F.col("word"))
