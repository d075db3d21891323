"""Each layout of files as rows with exact line numbers: file, file_size, line, raw.

Numbers must be exact where a file is cut into blocks that are read in parallel, so lines are numbered in two steps:
count the lines of every block and note the smallest row id in it (one row a block), then line = lines of the file's
earlier blocks + (id - smallest id) + 1. No task ever sees a whole file.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, MapType, StructType

from tandemrec import console
from tandemrec.config import Source
from tandemrec.config.sources import folder_pattern
from tandemrec.errors import SourceError
from tandemrec.lake.sources import bounds
from tandemrec.lake.sources.headers import REPLACED, common_header, require_columns, require_width
from tandemrec.lake.sources.listing import SourceFile, plain_path, plain_path_column

_BAD, _ROW = "_bad_record", "_row"
_CHARSETS = ("spark.sql.legacy.javaCharsets", "spark.sql.legacy.codingErrorAction")
_NANOSECONDS = ("spark.sql.legacy.parquet.nanosAsLong",)  # times as pandas writes them; the format epoch_ns reads those
_LINES = ("json", "pairs")  # read as lines, exact to the byte


@contextmanager
def read_source(spark: SparkSession, source: Source, files: Sequence[SourceFile], root: str) -> Iterator[DataFrame]:
    """Rows `file string, file_size long, line long, raw string` of the files, which are read when the rows are.

    raw is the line as it came (json), or a JSON object of strings (csv, parquet, delta, pairs); a csv record with
    too many or too few cells and a pairs line without exactly two are as they came. Bytes that are not of the source's
    encoding become U+FFFD.

    Raises:
        SourceError: a mapped column is in no file (csv, parquet, delta), headers of csv files differ, a file lies in no
            folder that partitions names, unpacks to too much or has too long a line.
    """
    for file in files:
        for name in source.partitions:
            if not re.search(folder_pattern(name), file.name):
                raise SourceError(f"source {source.name}: {file.name} lies in no folder {name}=..., see partitions")
    with _legible(spark, source), _numbered(spark, source, files, root) as rows:
        yield rows


@contextmanager
def _numbered(spark: SparkSession, source: Source, files: Sequence[SourceFile], root: str) -> Iterator[DataFrame]:
    named = spark.createDataFrame(
        [(plain_path(file.path), file.name, file.size) for file in files], "path string, file string, file_size long"
    )
    records = _records(spark, source, files, root)
    first_line = 0 if source.layout == "csv" and not source.header else 1  # a header is line 0
    cells, schema = records.columns, records.schema
    # Columns of a table may have the names of ours (id, path, size): they stand in a struct. Lines and csv have none.
    theirs = cells if source.layout in (*_LINES, "csv") else [F.struct("*").alias(_ROW)]
    records = records.select(
        plain_path_column(F.col("_metadata.file_path")).alias("path"),
        F.col("_metadata.file_block_start").alias("block"),
        F.col("_metadata.file_size").alias("size"),
        F.monotonically_increasing_id().alias("id"),
        *theirs,
    )
    blocks = _blocks(records, source, cells).join(F.broadcast(named), "path").persist()
    try:
        _check_bounds(source, files, blocks)  # what cannot be read shows here, before anything is written
        raw = _raw(source, schema, blocks, files[0].name)
        line = F.col("before") + F.col("id") - F.col("first_id") + first_line
        numbered = records.join(
            F.broadcast(blocks.drop("header", "bytes", "longest", "damaged", "size")), ["path", "block"]
        )
        yield numbered.select("file", "file_size", line.alias("line"), raw.alias("raw")).where("line > 0")
    finally:
        blocks.unpersist()


def _records(spark: SparkSession, source: Source, files: Sequence[SourceFile], root: str) -> DataFrame:
    """The records of the files as Spark reads them. Of a Delta table: of all its files."""
    paths = [re.sub(r"([\[\]{}*?\\])", r"\\\1", file.path) for file in files]
    if source.layout == "csv":
        return _csv_records(spark, source, paths)
    if source.layout == "delta":
        return spark.read.format("delta").load(f"{root.rstrip('/')}/{source.path}")
    if source.layout == "parquet":
        return spark.read.option("mergeSchema", "true").parquet(*paths)
    reader = spark.read
    if all(map(bounds.is_measurable, files)):
        reader = reader.option(bounds.MAX_LINE_OPTION, str(bounds.MAX_LINE + 1))  # with its end
    return reader.text(paths, lineSep="\n")


def _raw(source: Source, schema: StructType, blocks: DataFrame, file: str) -> Column:
    """The column raw over the records of a source."""
    if source.layout in _LINES:
        line = _line(source)
        return line if source.layout == "json" else _pair(line)
    if source.layout == "csv":
        names = source.header or common_header(source, blocks)
        require_width(source, names, len(schema) - 1, file)
        cells = F.struct(*[F.col(f"_c{number}").alias(name) for number, name in enumerate(names)])
        return F.coalesce(F.col(_BAD), F.to_json(cells, {"ignoreNullFields": "false"}))
    return record(source, schema, file=file, of=_ROW)


def _line(source: Source) -> Column:
    """The text of a line. Delta's strings are UTF-8, and readers other than Spark refuse what is none."""
    if source.encoding == "utf-8":
        return F.make_valid_utf8("value")
    return F.decode(F.col("value").cast("binary"), source.encoding)


@contextmanager
def _legible(spark: SparkSession, source: Source) -> Iterator[None]:
    """Lets Spark read the source's encoding, whatever it is, with U+FFFD for what is not of it, and of Parquet times in
    nanoseconds, as numbers.
    """
    keys = _NANOSECONDS if source.layout == "parquet" else _CHARSETS if source.encoding != "utf-8" else ()
    before = {key: spark.conf.get(key) for key in keys}
    try:
        for key in before:
            spark.conf.set(key, "true")
        yield
    finally:
        for key, value in before.items():
            spark.conf.set(key, str(value))


def record(source: Source, schema: StructType, *, file: str, of: str | None = None) -> Column:
    """A row of a table as a JSON object of strings.

    Args:
        file: one of them, for errors.
        of: the struct that holds the columns of the row; None: they stand by themselves.

    Raises:
        SourceError: the table lacks a mapped column.
    """
    require_columns(source, schema.names, file)
    values = F.struct(*[_as_text(field.name, field.dataType, of) for field in schema])
    return F.to_json(values, {"ignoreNullFields": "false"})


def _blocks(records: DataFrame, source: Source, cells: list[str]) -> DataFrame:
    """One row a block of a file: path, size (of the file), block, first_id, before (lines of the file's earlier
    blocks), bytes (of its lines) and longest (of them; both null where the layout has no lines), damaged (lines with
    bytes that are no UTF-8) and, of csv, header: the cells of the first record as a JSON array.
    """
    is_csv = source.layout == "csv"
    first = F.min_by(F.struct(*cells), "id") if is_csv else F.lit(None)
    line = F.concat_ws(source.delimiter, *cells) if is_csv else F.lit(None).cast("string")
    if source.layout in _LINES:
        line = F.col("value")
    if source.layout in _LINES and source.encoding == "utf-8":
        damaged = ~F.is_valid_utf8("value")
    else:
        damaged = F.contains(_line(source) if source.layout in _LINES else line, F.lit(REPLACED))
    counted = records.groupBy("path", "size", "block").agg(
        F.count("*").alias("lines"),
        F.min("id").alias("first_id"),
        F.sum(F.octet_length(line) + F.lit(1)).alias("bytes"),
        F.max(F.octet_length(line)).alias("longest"),
        F.count_if(damaged).alias("damaged"),
        first.alias("first"),
    )
    header = F.to_json(F.array(*[F.col("first")[cell] for cell in cells])) if is_csv else F.lit(None)
    earlier = Window.partitionBy("path").orderBy("block").rowsBetween(Window.unboundedPreceding, -1)
    before = F.coalesce(F.sum("lines").over(earlier), F.lit(0))
    measures = ["bytes", "longest", "damaged"]
    return counted.select(
        "path", "size", "block", "first_id", before.alias("before"), *measures, header.alias("header")
    )


def _check_bounds(source: Source, files: Sequence[SourceFile], blocks: DataFrame) -> None:
    sizes = [F.sum("bytes").alias("read"), F.max("longest").alias("longest"), F.first("size").alias("size")]
    rows = blocks.groupBy("path").agg(*sizes, F.sum("damaged").alias("damaged")).collect()
    lines = {row.path: bounds.Lines(read=row.read or 0, longest=row.longest or 0, size=row.size) for row in rows}
    if damaged := sum(row.damaged for row in rows):
        console.warn(
            f"source {source.name}: {damaged:,} lines hold bytes that are no {source.encoding}, which become U+FFFD: "
            "set the source's encoding (iso-8859-1, gbk, ...), and give the files a new name if they are in bronze"
        )
    bounds.check_bombs(source, files, lines)
    if source.layout in _LINES and all(map(bounds.is_measurable, files)):
        bounds.check_long_lines(source, files, lines)


def _pair(line: Column) -> Column:
    parts = F.split(F.trim(F.regexp_replace(line, r"\s+", " ")), " ")
    pair = F.to_json(F.struct(F.get(parts, 0).alias("user_id"), F.get(parts, 1).alias("item_id")))
    return F.when(F.size(parts) == 2, pair).otherwise(line)


def _csv_records(spark: SparkSession, source: Source, paths: list[str]) -> DataFrame:
    """All records, the header's too, as columns _c0, _c1, ... of strings and the record itself where it has another
    number of cells.
    """
    reader = spark.read.options(
        sep=source.delimiter,
        encoding=source.encoding,
        quote='"',
        escape='"',
        multiLine=True,
        maxCharsPerColumn=bounds.MAX_LINE,
    )
    width = next((width for path in paths if (width := len(reader.csv(path).columns))), 0)
    if width == 0:
        raise SourceError(f"source {source.name}: the files at {source.path} are empty, expected a header")
    schema = "".join(f"_c{number} string, " for number in range(width)) + f"{_BAD} string"
    return reader.schema(schema).csv(paths, columnNameOfCorruptRecord=_BAD)


def _as_text(name: str, type_: DataType, of: str | None) -> Column:
    column = F.col(f"`{name.replace('`', '``')}`") if of is None else F.col(of).getField(name)
    return (column if isinstance(type_, ArrayType | MapType | StructType) else column.cast("string")).alias(name)
