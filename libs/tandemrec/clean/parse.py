"""Raw lines of a source into our columns, still strings: one row a record.

The schema is built from the mapping alone, so that only mapped fields are read. Whole numbers keep every digit; a
fraction is spelled as Spark spells a double (1.50 becomes 1.5).
"""

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructType

from tandemrec.clean.texts import trimmed_values
from tandemrec.config.sources import PAIRED_COLUMNS, TARGET_COLUMNS, Source, folder_pattern

AROUND = "^"  # names a field of the line around an exploded record
NO_TIME = "1970-01-01T00:00:00Z"  # stands for the time of a source that has none
OWN = "own"  # of a source: aspects of reviews and events, attributes of items
ASPECTS = "aspects"
_END = "end of line"


def parse(rows: DataFrame, source: Source) -> DataFrame:
    """Records of the lines of one source.

    Args:
        rows: bronze rows of the source.

    Returns:
        source, file, line, part, raw, is_record (the line, or the part of it, is a JSON object) and every column of the
        source's table, string, null where not given; of a source with aspects or attributes these too, `own`, a map of
        strings.
    """
    mapped = mapped_columns(source) | {f"{OWN}.{name}": path for name, path in source.own.items()}
    columns = {name: path for name, path in mapped.items() if path not in source.partitions}
    around = {name: path[1:] for name, path in columns.items() if path.startswith(AROUND)}
    inside = {name: path for name, path in columns.items() if name not in around}
    if source.explode:
        lines = _with_object(rows, "_line", [*around.values(), *source.explode], source)
        records = [_records(_field("_line", field, source), inside.values(), source) for field in source.explode]
        exploded = lines.select("*", F.posexplode_outer(F.concat(*records)).alias("part", "_record"))
        # A line without a record stays, as one that breaks a rule: nothing is lost unseen.
        parsed = exploded.withColumn("part", F.coalesce("part", F.lit(0)))
    else:
        parsed = _with_object(rows, "_record", inside.values(), source).withColumn("part", F.lit(0))
    values = {name: _field("_record", path, source) for name, path in inside.items()}
    values |= {name: _field("_line", path, source) for name, path in around.items()}
    values |= {name: partition(path) for name, path in mapped.items() if path in source.partitions}
    values |= {name: F.lit(value) for name, value in constants(source).items()}
    told = [part for name in source.own for part in (F.lit(name), values[f"{OWN}.{name}"].cast("string"))]
    own = [F.create_map(*told).alias(OWN)] if told else []
    return parsed.select(
        "source",
        "file",
        "line",
        "part",
        "raw",
        F.col("_record").isNotNull().alias("is_record"),
        *[values.get(name, F.lit(None)).cast("string").alias(name) for name in sorted(TARGET_COLUMNS[source.table])],
        *own,
    )


def aspects_of(source: Source) -> Column:
    """What is given of the aspects as numbers, null for what is none; null for a source without aspects.

    The column `own` of what `parse` returns is read.
    """
    if not source.aspects:
        return F.lit(None).cast("map<string,double>").alias(ASPECTS)
    given = trimmed_values(F.col(OWN))
    return F.transform_values(given, lambda _, text: text.try_cast("double")).alias(ASPECTS)


def mapped_columns(source: Source) -> dict[str, str]:
    """Our column: the file's."""
    if source.kind != "pairs":
        return source.columns
    return dict(zip(PAIRED_COLUMNS[source.table], ("user_id", "item_id"), strict=True)) | source.columns


def partition(name: str) -> Column:
    """The value of the folder `name=value` that a file lies in, from the column `file`."""
    value = F.regexp_extract("file", folder_pattern(name), 1)
    value = F.try_url_decode(F.replace(value, F.lit("+"), F.lit("%2B")))
    return F.when(value != "__HIVE_DEFAULT_PARTITION__", value)


def constants(source: Source) -> dict[str, str]:
    """Our column: its one value."""
    return ({"event_time": NO_TIME} if source.kind == "pairs" else {}) | source.constants


def absent_columns(rows: DataFrame, source: Source, *, look_at: int = 1000) -> list[str]:
    """Fields that a json source maps or explodes and no line has. A field that is always null is there.

    Most sources show all their fields in the first lines; only what those lack is looked for in all of them.
    """
    if source.kind != "json":  # the other kinds have a header, and ingest looks at it
        return []
    absent = [*source.explode, *(path for path in source.mapped.values() if path not in source.partitions)]
    for some in (rows.limit(look_at), rows):
        if not absent:
            break
        seen = [F.bool_or(_shows(path, source)).alias(str(number)) for number, path in enumerate(absent)]
        found = parse(some, source).agg(F.count("*"), *seen).first()
        if found is None or found[0] == 0:
            return []
        absent = [path for path, is_there in zip(absent, found[1:], strict=True) if not is_there]
    return absent


def _shows(path: str, source: Source) -> Column:
    """Whether a line has the field: its name stands in it, or, spelled with escapes there, its value was read."""
    name = path.removeprefix(AROUND).split(".")[-1]
    ours = [F.col(our).isNotNull() for our, theirs in source.columns.items() if theirs == path]
    ours += [F.col(OWN)[our].isNotNull() for our, theirs in source.own.items() if theirs == path]
    return reduce(Column.__or__, ours, F.col("raw").contains(f'"{name}"'))


def ways(path: str, source: Source) -> list[list[str]]:
    """The names on the way to a field: columns of csv are flat, whatever their names hold, those of tables flat or
    nested.
    """
    nested = path.split(".")
    if source.layout in ("json", "pairs"):
        return [nested]
    return [[path]] if source.layout == "csv" or len(nested) == 1 else [[path], nested]


def _schema(paths: Iterable[str], source: Source) -> ArrayType:
    """An array of the objects that have these fields: a list of one line's object, or of an exploded field's."""
    tree: dict[str, Any] = {}
    for *above, last in (way for path in paths for way in ways(path, source)):
        node = tree
        for step in above:
            node = node.setdefault(step, {})
        node.setdefault(last, {})
    return ArrayType(_struct(tree))


def _struct(tree: Mapping[str, Any]) -> StructType:
    struct = StructType()
    for name, below in tree.items():
        struct.add(name, _struct(below) if below else StringType())
    return struct


def _with_object(rows: DataFrame, name: str, paths: Iterable[str], source: Source) -> DataFrame:
    """Add the JSON object that the line `raw` is, or null: read as the one element of a list, so that what follows the
    object (another object, half a line) is not passed over.

    A line with a closing bracket could close that list and go on: there the list has a second element, the line's
    hash, which is not reached then. The others are spared it: it takes as long as the object.
    """
    hash_, has_bracket = F.xxhash64("raw").cast("string"), F.contains("raw", F.lit("]"))
    marked = F.concat(F.lit("["), F.col("raw"), F.lit(f', {{"{_END}": "'), hash_, F.lit('"}]'))
    listed = F.when(has_bracket, marked).otherwise(F.concat(F.lit("["), F.col("raw"), F.lit("]")))
    # In two steps: as one expression that uses the list twice, Spark would parse every line twice.
    parsed = rows.withColumn("_objects", F.from_json(listed, _schema([*paths, _END], source)))
    marker = F.get("_objects", 1).getField(_END) == hash_
    whole = F.when(has_bracket, marker).otherwise(F.size("_objects") == 1)
    return parsed.withColumn(name, F.when(whole, F.get("_objects", 0)))


def _records(field: Column, paths: Iterable[str], source: Source) -> Column:
    """The records of an exploded field: of a list, of one object; one null where the field holds neither."""
    found = F.from_json(field, _schema(paths, source))
    return F.coalesce(found, F.when(field.isNotNull(), F.array(F.lit(None))), F.array())


def _field(record: str, path: str, source: Source) -> Column:
    found = [reduce(Column.getField, way, F.col(record)) for way in ways(path, source)]
    return F.coalesce(*found) if len(found) > 1 else found[0]
