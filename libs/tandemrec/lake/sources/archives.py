"""Zip archives: unpacked beside the lake for the time of reading, in a stream, within bounds.

Spark cannot read inside a zip. Members are copied in small pieces, and what an archive's directory claims is not
believed: bytes are counted as they come.
"""

import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from tandemrec.errors import SourceError
from tandemrec.lake.sources import bounds
from tandemrec.lake.sources.listing import MEMBER, SourceFile, is_local, plain_path


@contextmanager
def unpacked(files: Iterable[SourceFile], staging: str) -> Iterator[list[SourceFile]]:
    """The files with each zip archive replaced by its members, named `x.zip!member`, which lie below `staging` until
    the end. What a killed run left there is removed first.

    Raises:
        SourceError: an archive is corrupt, encrypted, empty, larger than the bounds, or not on a local disk.
    """
    plain = [file for file in files if not file.is_archive]
    archives = [file for file in files if file.is_archive]
    if not archives:
        yield plain
        return
    if not is_local(staging) or not all(is_local(file.path) for file in archives):
        raise SourceError(f"{archives[0].name}: a zip is read where data.root and lake.root are folders; unpack it")
    folder = Path(plain_path(staging)).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield plain + [member for archive in archives for member in _members(archive, folder)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _members(archive: SourceFile, folder: Path) -> Iterator[SourceFile]:
    found = False
    try:
        with zipfile.ZipFile(plain_path(archive.path)) as opened:
            for member in opened.infolist():
                path = PurePosixPath(member.filename)
                if member.is_dir() or any(part.startswith(("_", ".")) for part in path.parts):
                    continue
                if path.is_absolute() or member.flag_bits & 0x1:
                    what = "encrypted" if member.flag_bits & 0x1 else "absolute"
                    raise SourceError(f"{archive.name}: member {member.filename} is {what}, expected a plain file")
                target = folder / archive.name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(opened, member, target, archive)
                found = True
                yield SourceFile(name=f"{archive.name}{MEMBER}{path}", path=str(target), size=archive.size)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise SourceError(f"{archive.name}: is no readable zip archive ({error})") from error
    if not found:
        raise SourceError(f"{archive.name}: holds no file")


def _copy(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, archive: SourceFile) -> None:
    allowed = bounds.allowed_bytes(member.compress_size)
    copied = 0
    with opened.open(member) as inside, target.open("wb") as out:
        while piece := inside.read(bounds.PIECE):
            copied += len(piece)
            if copied > allowed:
                raise SourceError(
                    f"{archive.name}: member {member.filename} unpacks to more than {allowed:,} bytes, the bound for "
                    f"{member.compress_size:,} compressed ones; unpack it yourself if it is what it should be"
                )
            out.write(piece)
