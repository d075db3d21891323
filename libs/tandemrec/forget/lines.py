"""Which lines of files name a person, read by the mapping of each source as `clean` reads them."""

from collections.abc import Mapping, Sequence
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from tandemrec.clean.parse import parse
from tandemrec.clean.people import THINGS, on_lines, places, without, word
from tandemrec.clean.texts import trimmed
from tandemrec.config import Source

NAMING = ("events", "reviews", "relations")  # what has a user_id


def records_of(bronze: Mapping[str, DataFrame], sources: Sequence[Source], user: str) -> DataFrame:
    """The records of the lines that name a person, at either end of a relation, with those of others on these lines.

    A line that cannot be read as its source says names whoever's id stands in it as a word.

    Args:
        bronze: rows of the raw tables by events, reviews and relations, those that exist.

    Returns:
        source, file, line, part, mine.
    """
    parsed = [
        parse(bronze[one.table].where(F.col("source") == one.name), one)
        .withColumn("people", _people(one))
        .select("source", "file", "line", "part", "raw", "is_record", "people")
        for one in sources
        if one.table in NAMING and one.table in bronze
    ]
    records = reduce(DataFrame.unionByName, parsed)
    is_untold = ~F.col("readable") & F.exists("people", F.isnull)
    mine = F.exists("people", lambda one: one.eqNullSafe(user)) | (is_untold & F.col("raw").rlike(word(user)))
    lines = records.groupBy("source", "file", "line").agg(
        F.bool_or("is_record").alias("readable"),
        F.collect_list(F.struct("part", "people")).alias("records"),
        F.first("raw").alias("raw"),
    )
    judged = lines.select("source", "file", "line", "readable", "raw", F.inline("records"))
    return judged.select("source", "file", "line", "part", F.coalesce(mine, F.lit(False)).alias("mine"))


def _people(source: Source) -> Column:
    """The ids of a record that are people's, null where it has none."""
    ends = [trimmed(F.col("user_id"))]
    if source.table == "relations":
        kind = F.coalesce(F.lower(trimmed(F.col("target_kind"))), F.lit(""))
        ends.append(F.when(kind.isin(*THINGS), F.lit("")).otherwise(trimmed(F.col("target_id"))))
    return F.array(*ends)


def whole_lines(records: DataFrame) -> DataFrame:
    """The lines of files on which a record is theirs: file, line, and `shared`: others have records on it too."""
    lines = records.groupBy("file", "line").agg(F.bool_or("mine").alias("mine"), F.bool_and("mine").alias("all"))
    return lines.where("mine").select("file", "line", (~F.col("all")).alias("shared"))


def changed_lines(rows: DataFrame, lines: DataFrame, sources: Sequence[Source], user: str) -> DataFrame:
    """What becomes of the rows (source, file, line, raw and the like) of such lines: raw without the person's records,
    null where nothing is to stay.

    The same file may feed several sources: its lines go from all of them.
    """
    of_source = {one.name: places(one, sources) for one in sources}
    touched = rows.join(F.broadcast(lines), ["file", "line"])
    left = F.lit(None).cast("string")
    for name, where in of_source.items():
        rest = on_lines(F.when(F.col("shared"), F.col("raw")), partial(without, where=where, user=user))
        left = F.when(F.col("source") == name, rest).otherwise(left)
    return touched.withColumn("raw", left).drop("shared")
