"""Files of settings to start from: those of conf/, which the wheel brings with the package."""

from pathlib import Path

from tandemrec.config.places import in_the_way
from tandemrec.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]


def starters() -> dict[str, Path]:
    """The files by their names without `.yaml`."""
    folders = (_PACKAGE / "conf", _PACKAGE.parents[1] / "conf")  # of the wheel, of the tree
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.yaml"))}


def write_starter(name: str, out: str | Path) -> Path:
    """Write one of them to a new file, and return its path.

    Raises:
        ConfigError: the file is there already, or no folder can be where it is to lie.
    """
    path = Path(out)
    if path.exists():
        raise ConfigError(f"{path}: is there already, expected a new file")
    if (file := in_the_way(str(path.parent))) is not None:
        raise ConfigError(f"{path}: {file} is no folder, expected one")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(starters()[name].read_text(encoding="utf-8"), encoding="utf-8")
    return path
