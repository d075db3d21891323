"""Reviews of one item that are copies of each other but for a few words: bursts of spam. The earliest stays.

A text is the set of its shingles, runs of so many words or Chinese characters. Two texts are near duplicates where the
Jaccard similarity of their sets is at least `similarity`. MinHash signatures in bands find the candidates (Broder 1997;
Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, chapter 3), which are then compared by their sets: nothing is
rejected on an estimate. Two texts of similarity s share a band with probability 1 - (1 - s^rows)^bands.

Each text is compared with the earliest and with the one just before it in each of its buckets, so that the work grows
with the number of reviews, however many of an item are alike. Which rows are rejected depends on the set of rows only,
never on the order or the batches in which they came.
"""

import random
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.clean.texts import LETTER
from tandemrec.clean.verdicts import KEPT, ORIGIN
from tandemrec.config.preparing import NearDuplicateSettings

NEAR_DUPLICATE = "near_duplicate"
_UNIT = rf"\p{{IsHan}}|(?!\p{{M}})[{LETTER}&&[^\p{{IsHan}}]]+"
_PRIME = 2**31 - 1  # a product of two numbers below it fits in 64 bits


def reject_near_duplicates(judged: DataFrame, order: Sequence[str], settings: NearDuplicateSettings) -> DataFrame:
    """The same rows, of which kept ones that repeat an earlier one of their item are rejected as near_duplicate.

    Args:
        judged: columns of silver.reviews, raw and verdict: all rows of the items that occur.
        order: columns; the first of two copies stays. With ORIGIN they tell every two rows apart.
    """
    copies = _copies(judged.where(F.col("verdict") == KEPT), order, settings)
    flagged = judged.join(copies.withColumn("is_copy", F.lit(True)), list(ORIGIN), "left")
    verdict = F.when(F.col("is_copy"), F.lit(NEAR_DUPLICATE)).otherwise(F.col("verdict"))
    return flagged.withColumn("verdict", verdict).select(judged.columns)


def _copies(kept: DataFrame, order: Sequence[str], settings: NearDuplicateSettings) -> DataFrame:
    """ORIGIN of the rows that have a near duplicate before them."""
    place = list(dict.fromkeys([*order, *ORIGIN]))
    sets = kept.select("item_id", *place, shingles(F.col("clean_text"), settings.shingle).alias("shingles"))
    # Not a filter: Spark would push it below the shingles and compute them twice.
    bands = F.when(F.size("shingles") >= settings.shortest, band_hashes(F.col("shingles"), settings))
    buckets = sets.select("*", F.posexplode(bands).alias("band", "bucket"))
    window = Window.partitionBy("item_id", "band", "bucket").orderBy(*place)
    mates = {"first": F.first("shingles").over(window), "previous": F.lag("shingles").over(window)}
    ranked = buckets.withColumns({"rank": F.row_number().over(window), **mates})
    alike = [jaccard(F.col("shingles"), F.col(mate)) >= settings.similarity for mate in mates]
    return ranked.where((F.col("rank") > 1) & reduce(Column.__or__, alike)).select(*ORIGIN).distinct()


def shingles(text: Column, length: int) -> Column:
    """The distinct runs of `length` words or Chinese characters, in lower case, each hashed to 31 bits (as the book's
    3.2.3 does); empty where the text is shorter.
    """

    def runs(units: Column) -> Column:
        starts = F.sequence(F.lit(1), F.greatest(F.size(units) - (length - 1), F.lit(1)))
        hashed = F.transform(starts, lambda start: F.xxhash64(F.slice(units, start, F.lit(length))))
        short = F.array().cast("array<int>")
        distinct = F.array_distinct(F.transform(hashed, lambda h: F.pmod(h, F.lit(_PRIME)).cast("int")))
        return F.when(F.size(units) >= length, distinct).otherwise(short)

    # A column named within a lambda is computed anew for each element, a variable of a lambda around it once.
    units = F.regexp_extract_all(F.lower(text), F.lit(_UNIT), 0)
    return F.get(F.transform(F.array(units), runs), 0)


def band_hashes(hashed: Column, settings: NearDuplicateSettings) -> Column:
    """One hash for each band of a MinHash signature: of the minima of `rows` functions (a h + b) mod p over the set."""
    draw = random.Random(0)  # the same functions in every run: rows of all runs fall into the same buckets
    bands = []
    for _ in range(settings.bands):
        functions = [(draw.randrange(1, _PRIME), draw.randrange(_PRIME)) for _ in range(settings.rows)]
        bands.append(F.xxhash64(*[_minimum(hashed, a, b) for a, b in functions]))
    return F.array(*bands)


def _minimum(hashed: Column, a: int, b: int) -> Column:
    return F.array_min(F.transform(hashed, lambda h: (h.cast("bigint") * F.lit(a) + F.lit(b)) % F.lit(_PRIME)))


def jaccard(one: Column, other: Column) -> Column:
    """Shared elements by all elements of two sets."""
    shared = F.size(F.array_intersect(one, other))
    return shared / (F.size(one) + F.size(other) - shared)
