"""Random draws as Spark columns: each a pure function of the seed, a row's number and what the draw is for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from tandemrec.sample.dirt import OTHER_PROGRAM

ZIPF_EXPONENT = 1.1
ZIPF_SHIFT = 9.0
TOP_ITEM_SHARE = 0.03


class Draws:
    """Draws for the rows that `row` numbers. Two draws of one purpose are the same draw."""

    def __init__(self, seed: int, row: Column) -> None:
        self._seed, self._row = seed, row

    def number(self, purpose: str) -> Column:
        """A 64-bit integer."""
        return F.xxhash64(F.lit(self._seed).cast("bigint"), self._row.cast("bigint"), F.lit(purpose))

    def share(self, purpose: str) -> Column:
        """Uniform in [0, 1)."""
        return F.shiftrightunsigned(self.number(purpose), 11) * F.lit(2.0**-53)

    def below(self, purpose: str, end: int | Column) -> Column:
        """A whole number from 0, `end` left out."""
        return F.pmod(self.number(purpose), F.lit(end) if isinstance(end, int) else end)

    def one_of(self, purpose: str, values: Sequence[Any]) -> Column:
        """One of the values, all alike; a value may be a column."""
        listed = [value if isinstance(value, Column) else F.lit(value) for value in values]
        return F.get(F.array(*listed), self.below(purpose, len(listed)).cast("int"))

    def weighted(self, purpose: str, shares: Mapping[str, float]) -> Column:
        """A name by its share; null with what the shares lack to 1."""
        drawn = self.share(purpose)
        ends = accumulate(shares.values())
        return F.coalesce(*[F.when(drawn < end, F.lit(name)) for name, end in zip(shares, ends, strict=True)])

    def item(self, purpose: str, items: int) -> Column:
        """An item from 0: item 0 with TOP_ITEM_SHARE, the others by Zipf-Mandelbrot, P(rank) ~ (rank + q)^-s.

        s = ZIPF_EXPONENT, q = ZIPF_SHIFT, which keeps item 0 the most frequent of a thousand items and more. Drawn by
        the inverse distribution function of the continuous density x^-s over [1 + q, n + 1 + q), its floor being the
        rank: x = (a - u (a - b))^(1 / (1 - s)), a = (1 + q)^(1 - s), b = (n + 1 + q)^(1 - s).
        """
        others, power = items - 1, 1.0 - ZIPF_EXPONENT
        first, last = (1 + ZIPF_SHIFT) ** power, (others + 1 + ZIPF_SHIFT) ** power
        drawn = self.share(purpose)
        rest = (drawn - TOP_ITEM_SHARE) / (1.0 - TOP_ITEM_SHARE)
        place = F.pow(F.lit(first) - rest * (first - last), F.lit(1.0 / power)) - ZIPF_SHIFT
        rank = F.least(F.greatest(F.floor(place), F.lit(1)), F.lit(others))
        return F.when(drawn < TOP_ITEM_SHARE, F.lit(0).cast("bigint")).otherwise(rank)

    def user(self, purpose: str, users: int) -> Column:
        """A user from 0; the first ones do more: u = n x^1.5."""
        return F.least(F.floor(F.pow(self.share(purpose), F.lit(1.5)) * users), F.lit(users - 1))


def identifier(prefix: str, number: Column, most: int) -> Column:
    """`u000017` of 16: from 1, six digits or as many as the largest number needs."""
    width = max(6, len(str(most)))
    return F.concat(F.lit(prefix), F.lpad((number + 1).cast("string"), width, "0"))


def json_object(fields: Mapping[str, Column]) -> Column:
    """A JSON object of fields whose values are JSON already; a field that is null is left out."""
    pairs = [F.concat(F.lit(f'"{name}": '), value) for name, value in fields.items()]
    return F.concat(F.lit("{"), F.concat_ws(", ", *pairs), F.lit("}"))


def quoted(text: Column) -> Column:
    """A JSON string of text that needs no escapes; null becomes JSON's null."""
    return F.coalesce(F.concat(F.lit('"'), text, F.lit('"')), F.lit("null"))


def written(second: Column, form: Column) -> Column:
    """JSON of a moment in one of `moments.FORMATS`."""
    time = F.timestamp_seconds(second)
    return (
        F.when(form == "iso", F.date_format(time, "'\"'yyyy-MM-dd'T'HH:mm:ss'Z\"'"))
        .when(form == "epoch_ms", (second * 1000).cast("string"))
        .otherwise(F.date_format(time, "'\"'dd/MM/yyyy HH:mm:ss'\"'"))
    )


def blank(draws: Draws) -> Column:
    """JSON of nothing, in one of the ways in which logs say so; or no such field (null)."""
    return draws.one_of("blank", ["null", '""', '"  "', None])


def broken(draws: Draws, line: Column, names: Iterable[str]) -> Column:
    """A line that is no JSON object: cut off, a message of another program, or JSON of another kind."""
    cut = F.substr(line, F.lit(1), (F.lit(12) + draws.below("cut", F.length(line) - 14)).cast("int"))
    return draws.one_of("broken", [cut, OTHER_PROGRAM, json.dumps(list(names))])


def with_defects(draws: Draws, rates: Mapping[str, float]) -> Column:
    """The lines of a row, one array element each: null for the good one, then the defect that stands beside it."""
    defect = draws.weighted("defect", rates)
    good = F.lit(None).cast("string")
    return F.when(defect.isNull(), F.array(good)).otherwise(F.array(good, defect))
