"""Which rows are held out.

Every row of a pair gets its split from the moment it happened, so that what a row says never lies after what a later
split is asked about:

- time: two cut times, the same for all kinds of rows.
- leave_one_out: two moments a user. Of the user's first target contacts in the declared order the last is the test,
  the second last validation; whatever else the user does from these moments on is held out with them. Users with
  fewer than 3 are all of train.
- random: by a hash of the pair and the seed, so that all rows of a pair share a split. Histories hold whatever came
  before, of any split.
- given: the source says so.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from tandemrec.config import ExamplesSettings
from tandemrec.examples.contacts import targets
from tandemrec.examples.log import TEST, TRAIN, VALID, moment

_HASH_RANGE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Splitter:
    """Gives rows their split. `cuts`: of time, when validation and test begin; `limits`: of leave_one_out, by user."""

    settings: ExamplesSettings
    seed: int
    cuts: tuple[datetime, datetime] | None = None
    limits: DataFrame | None = None

    def prepare(self, rows: DataFrame) -> DataFrame:
        """Rows with what `at` reads: `valid_from` and `test_from`, moments, null for a user without held-out rows."""
        if self.limits is not None:
            return rows.join(self.limits, "user", "left")
        if self.cuts is not None:
            valid, test = (moment(F.lit(cut), F.lit("")) for cut in self.cuts)
            return rows.withColumns({"valid_from": valid, "test_from": test})
        return rows

    def at(self, time: Column, given: Column) -> Column:
        """Number of the split of something that happened to the row's pair at a time (or was `given`)."""
        if self.settings.split == "given":
            return given
        if self.settings.split == "random":
            place = hashed_place(F.col("pair"), self.seed)
            test, valid = self.settings.test_share, self.settings.test_share + self.settings.valid_share
            return F.when(place < test, TEST).when(place < valid, VALID).otherwise(TRAIN)
        here = moment(time, F.col("pair"))
        return F.when(here >= F.col("test_from"), TEST).when(here >= F.col("valid_from"), VALID).otherwise(TRAIN)

    def split(self, rows: DataFrame) -> DataFrame:
        """Rows with `split`, the number of it, by their own event_time and given."""
        return self.prepare(rows).withColumn("split", self.at(F.col("event_time"), F.col("given")))


def hashed_place(of: Column, seed: int) -> Column:
    """A place from 0 to 1 that this value has under this seed."""
    return F.pmod(F.xxhash64(of, F.lit(seed)), F.lit(_HASH_RANGE)) / _HASH_RANGE


def splitter(contacts: DataFrame, settings: ExamplesSettings, seed: int) -> Splitter:
    """The splitter of the settings; `time` asks Spark for two quantiles."""
    if settings.split == "time":
        return Splitter(settings=settings, seed=seed, cuts=cut_times(contacts, settings))
    if settings.split == "leave_one_out":
        return Splitter(settings=settings, seed=seed, limits=last_two(contacts))
    return Splitter(settings=settings, seed=seed)


def cut_times(contacts: DataFrame, settings: ExamplesSettings) -> tuple[datetime, datetime]:
    """When validation and test begin: quantiles of the times of first target contacts, to the minute.

    Minutes keep the exact quantile cheap (a year has half a million of them) and, unlike an approximate one, the same
    in every run.
    """
    shares = [1 - settings.valid_share - settings.test_share, 1 - settings.test_share]
    minutes = F.floor(F.unix_seconds("event_time") / 60)
    row = targets(contacts).agg(F.percentile(minutes, shares).alias("cuts")).collect()[0]
    valid, test = (datetime.fromtimestamp(floor(minute * 60), UTC) for minute in row["cuts"])
    return valid, test


def last_two(contacts: DataFrame) -> DataFrame:
    """Rows (user, valid_from, test_from) of users with 3 first target contacts or more."""
    backwards = Window.partitionBy("user").orderBy(F.desc("moment"))
    ranked = (
        targets(contacts)
        .select("user", moment("event_time", "pair").alias("moment"))
        .withColumn("nth", F.row_number().over(backwards))
        .where("nth <= 3")
    )
    return (
        ranked.groupBy("user")
        .agg(
            F.max(F.when(F.col("nth") == 2, F.col("moment"))).alias("valid_from"),
            F.max(F.when(F.col("nth") == 1, F.col("moment"))).alias("test_from"),
            F.max("nth").alias("contacts"),
        )
        .where("contacts = 3")
        .drop("contacts")
    )
