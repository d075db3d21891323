"""A person leaves every table and, after VACUUM, the files; then every file is read to prove it."""

import shutil
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import reduce

import pyarrow.compute as pc
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from rich.table import Table as Grid

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.errors import TableError
from tandemrec.forget.lines import NAMING, changed_lines, records_of, whole_lines
from tandemrec.forget.proof import Person, Proof, scan
from tandemrec.forget.rows import Change, changes, of_no_row, own_texts, spellings, with_made_texts
from tandemrec.lake import Lake
from tandemrec.lake.pseudonyms import known_as
from tandemrec.lake.runs import Figures
from tandemrec.lake.scratch import remove_scratch
from tandemrec.lake.spark import read
from tandemrec.lake.upkeep import purge_deletion_vectors, shorten_log, vacuum
from tandemrec.learn.cache import cache_root
from tandemrec.learn.checkpoint import forget_user
from tandemrec.pipeline.operations import operation_main
from tandemrec.report import words

RAW = ("events_raw", "reviews_raw", "relations_raw", "items_raw")
QUOTING = ("reviews", "quarantine")  # their logs hold beginnings of texts that stood in them once
HASHED = ("text_vectors", "texts_failed", "texts_vocabulary")


def refuse(settings: Settings, *, user: str, yes: bool) -> None:
    """What is told before Spark starts.

    Raises:
        ConfigError: nobody can be asked, or the key of the pseudonyms is not there.
    """
    known = known_as(user, settings)
    if not yes:
        console.refuse_unasked(_question(known), otherwise="--yes")


def run(spark: SparkSession, settings: Settings, *, user: str, yes: bool = False) -> Figures:
    """Show what would go, ask, remove it, and read all files for what stayed. Nothing else may use the lake meanwhile.

    Args:
        user: the id as it is in the lake or, where ids are pseudonymised, the plain one.
        yes: do not ask.

    Returns:
        rows: by table those removed or changed; models: those that knew the person; files and mentions of the proof.

    Raises:
        ConfigError: nobody can be asked.
        TableError: the lake does not know the person, or something of the person is still there.
    """
    # As it is, whatever versions the settings read: the person has to leave what is there now.
    lake = Lake(settings.lake.root)
    ids = list(dict.fromkeys((known_as(user, settings), user)))  # what came before pseudonyms has plain ids
    done = [figures for one in ids if (figures := _forget(spark, lake, settings, one, yes=yes)) is not None]
    if not done:
        names = " or ".join(map(repr, ids))
        raise TableError(f"no table of the lake at {lake.root} knows user {names}, and no file either")
    return done[0] if len(done) == 1 else _both(*done)


def _forget(spark: SparkSession, lake: Lake, settings: Settings, user: str, *, yes: bool) -> Figures | None:
    """The same of one id; None: nothing knows it."""
    lines = _lines(spark, lake, settings, user)
    of_texts = _of_texts(spark, lake, user)
    person, todo = _person(spark, lake, user, of_texts)
    counts = _count(spark, lake, todo, lines)
    if not counts.keys() - of_texts.keys():  # a run that was cut short may have left old files
        proof = scan(lake.root, person, settings.sources)
        if not proof.found + proof.traces:
            return None
    _say(lake, counts)
    if not yes and not console.confirmed(_question(user), otherwise="--yes"):
        console.line("nothing was changed")
        return {}
    for table, rows in lines.items():
        if counts.get(table):
            _merge(spark, lake, table, rows)
    for change in todo:
        if counts.get(change.table):
            _change(spark, lake, change)
    models = forget_user(lake.root, person.index) if person.index is not None else []
    _forget_copies(settings)
    remove_scratch(spark, lake)  # packed rows, in which the proof would not find anybody
    proof = _purge(spark, lake, settings, person, counts, of_texts)
    console.line(f"read {proof.files:,} files, {words.size(proof.size)}: user {user!r} is in none of them")
    if proof.mentions:
        console.warn(f"the id stands as a word in {proof.mentions:,} other cells, the first in {proof.mentioned}")
    if models:
        console.warn(f"trained with this person, whose own vector is zero now: {', '.join(models)}; train anew")
    return {"rows": counts, "models": models, "files": proof.files, "mentions": proof.mentions}


def _both(one: Figures, other: Figures) -> Figures:
    """What was done of a person whom the lake knew by two ids."""
    if not (one and other):  # no to one of two questions
        return one or other
    rows: Counter[str] = Counter(one["rows"]) + Counter(other["rows"])
    models = list(dict.fromkeys([*one["models"], *other["models"]]))
    return {
        "rows": dict(rows),
        "models": models,
        "files": other["files"],
        "mentions": one["mentions"] + other["mentions"],
    }


def _question(user: str) -> str:
    return f"Remove user {user!r} for good? Older versions of these tables go too, and nobody else may be writing."


def _lines(spark: SparkSession, lake: Lake, settings: Settings, user: str) -> dict[str, DataFrame]:
    """By raw table and quarantine, the key of each row that names the person and what is left of its line."""
    used: set[str] = {one.table for one in settings.sources}
    tables = [name for name in NAMING if name in used and lake.exists(f"{name}_raw")]
    bronze = {name: read(spark, lake, f"{name}_raw").where("raw IS NOT NULL") for name in tables}
    if not bronze:
        return {}
    records = records_of(bronze, settings.sources, user).where("line IS NOT NULL")
    records = records.join(whole_lines(records), ["file", "line"]).localCheckpoint()  # of one person
    lines = records.select("file", "line", "shared").distinct()
    found = {}
    for name in RAW:
        if lake.exists(name):
            rows = read(spark, lake, name).select("source", "file", "line", "raw")
            found[name] = changed_lines(rows, lines, settings.sources, user)
    if lake.exists("quarantine"):
        rows = read(spark, lake, "quarantine").select("source", "file", "line", "part", "raw")
        mine = records.where("mine").select("source", "file", "line", "part", "mine")
        rest = changed_lines(rows, lines, settings.sources, user).join(mine, ["source", "file", "line", "part"], "left")
        found["quarantine"] = rest.withColumn("raw", F.when(F.col("mine").isNull(), F.col("raw"))).drop("mine")
    return {name: rows.localCheckpoint() for name, rows in found.items()}


def _of_texts(spark: SparkSession, lake: Lake, user: str) -> dict[str, DataFrame]:
    """By table, the keys of rows that go because no row has their text without the person."""
    if not lake.exists("reviews"):
        return {}
    found, others = {}, read(spark, lake, "reviews").where(F.col("user_id") != user)
    rows = [others, *_items(spark, lake)]
    if lake.exists("synthetic_texts"):
        made = read(spark, lake, "synthetic_texts")
        rows.append(made.join(others, "review_id", "left_semi"))
        found["synthetic_texts"] = made.join(others, "review_id", "left_anti").select("synthetic_id")
    if lake.exists("synthetic_tried"):
        tried = read(spark, lake, "synthetic_tried")
        found["synthetic_tried"] = tried.join(others, "review_id", "left_anti").select("review_id")
    if names := [name for name in HASHED if lake.exists(name)]:
        hashes = of_no_row([_in_files(spark, lake, name) for name in names], rows).localCheckpoint()
        found |= dict.fromkeys(names, hashes)
        if lake.exists("text_terms") and "texts_vocabulary" in names:
            numbered = read(spark, lake, "texts_vocabulary").join(hashes, "text_hash", "left_semi")
            found["text_terms"] = numbered.select("text_index")
    return found


def _items(spark: SparkSession, lake: Lake) -> list[DataFrame]:
    return [read(spark, lake, name) for name in ("items", "items_history") if lake.exists(name)]


def _in_files(spark: SparkSession, lake: Lake, name: str) -> DataFrame:
    """The hashes in the files of a table, past Delta."""
    return spark.read.option("recursiveFileLookup", "true").schema("text_hash string").parquet(lake.path(name))


def _person(
    spark: SparkSession, lake: Lake, user: str, of_texts: Mapping[str, DataFrame]
) -> tuple[Person, list[Change]]:
    """Who it is to the tables, and what becomes of rows."""
    index, hashes, texts, numbers = None, [], [], []
    if lake.exists("users_vocabulary"):
        known = read(spark, lake, "users_vocabulary").where(F.col("user_id") == user).first()
        index = None if known is None else known["user_index"]
    if lake.exists("reviews"):
        reviews = read(spark, lake, "reviews")
        if lake.exists("synthetic_texts"):
            reviews = with_made_texts(reviews, read(spark, lake, "synthetic_texts"))
        rows = own_texts(reviews, _items(spark, lake), user).collect()  # of one person
        hashes = sorted({row["text_hash"] for row in rows})
        texts = spellings([row[name] for row in rows for name in ("text", "clean_text")])
    if hashes and lake.exists("texts_vocabulary"):
        numbered = lake.read("texts_vocabulary", ["text_index"], where=pc.field("text_hash").isin(hashes))
        numbers = numbered["text_index"].to_pylist()
    person = Person(user=user, index=index, hashes=hashes, texts=texts)
    return person, [change for change in changes(person, numbers, of_texts) if lake.exists(change.table)]


def _count(spark: SparkSession, lake: Lake, todo: Iterable[Change], lines: dict[str, DataFrame]) -> dict[str, int]:
    """Rows to remove or change by table, in the order of the tables; one pass over all."""
    parts = [_meant(spark, lake, one).select(F.lit(one.table).alias("name")) for one in todo]
    parts += [rows.select(F.lit(table).alias("name")) for table, rows in lines.items()]
    counted: dict[str, int] = dict(reduce(DataFrame.union, parts).groupBy("name").count().collect()) if parts else {}
    return {name: counted[name] for name in lake.names() if name in counted}


def _meant(spark: SparkSession, lake: Lake, change: Change) -> DataFrame:
    rows = read(spark, lake, change.table)
    if isinstance(change.rows, DataFrame):
        return rows.join(change.rows, change.rows.columns, "left_semi")
    return rows.where(change.rows)


def _merge(spark: SparkSession, lake: Lake, table: str, rows: DataFrame) -> None:
    on = " AND ".join(f"t.{key} = s.{key}" for key in lake.table(table).key)
    merger = DeltaTable.forPath(spark, lake.path(table)).alias("t").merge(rows.alias("s"), on)
    if table == "quarantine":  # bronze keeps the row: by it the file is known, and not read again
        merger = merger.whenMatchedDelete("s.raw IS NULL")
    merger.whenMatchedUpdate(set={"raw": "s.raw"}).execute()


def _change(spark: SparkSession, lake: Lake, change: Change) -> None:
    table = DeltaTable.forPath(spark, lake.path(change.table))
    if isinstance(change.rows, DataFrame):
        on = " AND ".join(f"t.{name} = s.{name}" for name in change.rows.columns)
        merger = table.alias("t").merge(change.rows.alias("s"), on)
        if change.values is None:
            merger.whenMatchedDelete().execute()
        else:
            merger.whenMatchedUpdate(set=dict(change.values)).execute()
    elif change.values is None:
        table.delete(change.rows)
    else:
        table.update(change.rows, dict(change.values))


def _purge(
    spark: SparkSession,
    lake: Lake,
    settings: Settings,
    person: Person,
    names: Collection[str],
    of_texts: Mapping[str, DataFrame],
) -> Proof:
    """Remove the files and logs of older versions of these tables, of those that quote people, and of those in which
    the scan finds the person.
    """
    for name in (*names, *(name for name in QUOTING if name not in names and lake.exists(name))):
        _clear(spark, lake, name)
    proof = _proof(spark, lake, settings, person, of_texts)
    places = proof.found + proof.traces
    left = [name for name in lake.names() if any(place.startswith(f"{lake.table(name).path}/") for place in places)]
    if left:
        for name in left:
            _clear(spark, lake, name)
        proof = _proof(spark, lake, settings, person, of_texts)
    if proof.found:
        raise TableError(
            f"user {person.user!r} is still in {len(proof.found)} places, the first is {proof.found[0]}; expected "
            "none: was something else writing to the lake, or does a source map user_id otherwise now?"
        )
    return proof


def _proof(
    spark: SparkSession, lake: Lake, settings: Settings, person: Person, of_texts: Mapping[str, DataFrame]
) -> Proof:
    """The scan of all files, and of those that hold hashes for hashes of texts that no row has: Spark compares them."""
    proof = scan(lake.root, person, settings.sources)
    for name in HASHED:
        if name in of_texts and not _in_files(spark, lake, name).join(of_texts[name], "text_hash").isEmpty():
            proof.found.append(f"{lake.table(name).path}/: text_hash")
    return proof


def _clear(spark: SparkSession, lake: Lake, name: str) -> None:
    purge_deletion_vectors(spark, lake, name)
    vacuum(lake, name, retain_hours=0)
    shorten_log(lake, name)


def _forget_copies(settings: Settings) -> None:
    """What was made of the tables outside of them: this node's cache, and the report. It shows lines of files cut to
    their beginnings, in which nobody can tell whether the person wrote them.
    """
    shutil.rmtree(cache_root(), ignore_errors=True)
    report = settings.report_path
    if report.is_file():
        report.unlink()
        console.line(f"  {report} may show the person and is removed")


def _say(lake: Lake, counts: dict[str, int]) -> None:
    grid = Grid(box=None, pad_edge=False, header_style="bold")
    grid.add_column("table")
    grid.add_column("rows", justify="right")
    for name, count in counts.items():
        grid.add_row(lake.table(name).path, words.count(count))
    console.table(grid)


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("forget-user", argv)


if __name__ == "__main__":
    sys.exit(main())
