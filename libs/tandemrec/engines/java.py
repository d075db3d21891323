"""Find the Java that Spark needs: 17 or 21, complete (Spark loads the module jdk.incubator.vector).

`python -m tandemrec.engines.java` prints its folder, or one line that says how to get it and exits with 1.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tandemrec.errors import MissingDependencyError

VERSIONS = (17, 21)
_FOLDERS = ("/usr/lib/jvm", "/opt/java", "/Library/Java/JavaVirtualMachines", "/opt/homebrew/opt")


def find_java() -> Path:
    """The home of the first fit Java: JAVA_HOME, the one on PATH, then where systems keep theirs.

    Raises:
        MissingDependencyError: there is none; names the versions found.
    """
    found = {}
    for home in _candidates():
        version = _version(home)
        if version in VERSIONS:
            return home
        if version is not None:
            found[version] = home
    others = f" (found {', '.join(map(str, sorted(found)))})" if found else ""
    raise MissingDependencyError(
        f"Java 17 or 21 was not found{others}: install it (Debian, Ubuntu: apt-get install openjdk-17-jre-headless; "
        "macOS: brew install openjdk@17) or point JAVA_HOME at it"
    )


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("JAVA_HOME"):
        yield Path(named)
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve().parent.parent
    for folder in map(Path, _FOLDERS):
        if folder.is_dir():
            for inside in sorted(folder.iterdir()):
                yield from (
                    inside,
                    inside / "Contents" / "Home",
                    inside / "libexec" / "openjdk.jdk" / "Contents" / "Home",
                )


def _version(home: Path) -> int | None:
    java = home / "bin" / "java"
    if not java.is_file():
        return None
    said = subprocess.run([str(java), "-version"], capture_output=True, text=True, check=False).stderr
    match = re.search(r'version "(\d+)', said)
    return int(match[1]) if match else None


if __name__ == "__main__":
    try:
        print(find_java())
    except MissingDependencyError as error:
        sys.exit(str(error))
