"""The columns that files have, and whether all that a source maps are among them."""

import json
from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from tandemrec.config import Source
from tandemrec.errors import SourceError

REPLACED = "\ufffd"  # what stands for bytes that are not of the source's encoding


def common_header(source: Source, blocks: DataFrame) -> list[str]:
    """The header that all csv files of the source have."""
    variants = blocks.groupBy("header").agg(F.min("file").alias("file")).orderBy("file").limit(2).collect()
    headers = [_header_names(json.loads(variant.header)) for variant in variants]
    file = variants[0].file
    if len(headers) > 1:
        raise SourceError(
            f"source {source.name}: {variants[1].file} has the columns {headers[1]}, but {file} has {headers[0]}; "
            "the files of one csv source have the same header"
        )
    if len(set(headers[0])) < len(headers[0]):
        raise SourceError(f"source {source.name}: {file} has a column twice: {headers[0]}")
    require_columns(source, headers[0], file)
    return headers[0]


def require_width(source: Source, names: Sequence[str], width: int, file: str) -> None:
    if len(names) != width:
        raise SourceError(
            f"source {source.name}: header names {len(names)} columns, the first record at {source.path} has {width}"
        )
    require_columns(source, names, file)


def _header_names(cells: list[str | None]) -> list[str]:
    *names, other_width = cells
    return [other_width] if other_width is not None else [(name or "").removeprefix("\ufeff") for name in names]


def require_columns(source: Source, found: Sequence[str], file: str) -> None:
    for key, theirs in source.mapped.items():
        if theirs in source.partitions:
            continue
        if theirs not in found and (source.layout == "csv" or theirs.split(".")[0] not in found):
            odd = f"; {REPLACED} is what is no {source.encoding}: see encoding" if REPLACED in str(found) else ""
            odd += f"; the folder {theirs}=... is a column where partitions names it" if f"{theirs}=" in file else ""
            raise SourceError(
                f"source {source.name}: {file} has no column {theirs!r}, which {key} names; found {list(found)}{odd}"
            )
