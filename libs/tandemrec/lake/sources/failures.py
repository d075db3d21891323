"""What Spark says when a file cannot be read, in one line that names the file."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

from tandemrec.config import Source
from tandemrec.errors import SourceError
from tandemrec.lake.sources.listing import SourceFile, plain_path

_FILE = re.compile(r"(?:reading file|footer for file:?|schema of file|file) (?P<path>\S+?)[.,]?(?:\s|$)")
_CAUSE = re.compile(r"^Caused by: (?:[\w.$]+\.)?(?P<cause>\S.*)$", re.MULTILINE)
_UNREADABLE = ("FAILED_READ_FILE", "CANNOT_READ_FILE_FOOTER", "CANNOT_MERGE_SCHEMAS", "UNABLE_TO_INFER_SCHEMA")


@contextmanager
def readable(source: Source, files: Iterable[SourceFile]) -> Iterator[None]:
    """Turns Spark's error about an unreadable file of the source into a SourceError; others pass.

    Raises:
        SourceError: a file is corrupt (gzip, parquet), or the files of a source do not fit together.
    """
    try:
        yield
    except (PySparkException, Py4JJavaError) as error:
        text = str(error)
        if not any(code in text for code in _UNREADABLE):
            raise
        names = {plain_path(file.path): file.name for file in files}
        found = _FILE.search(text)
        path = plain_path(unquote(found["path"])) if found else ""
        name = names.get(path, path or source.path)
        causes = [match["cause"].strip() for match in _CAUSE.finditer(text)]
        cause = causes[-1] if causes else text.splitlines()[0]
        raise SourceError(f"source {source.name}: {name} cannot be read as {source.layout}: {cause}") from error
