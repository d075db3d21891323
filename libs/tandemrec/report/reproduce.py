"""What a reader needs to get the same figures again: settings without secrets, versions of libraries."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import yaml

from tandemrec.config import Settings

LIBRARIES = (
    "pyspark",
    "delta-spark",
    "deltalake",
    "pyarrow",
    "ray",
    "torch",
    "transformers",
    "numpy",
    "scikit-learn",
    "pandas",
)
HIDDEN = "(hidden)"
_SECRET_KEY = re.compile(r"secret|password|token|credential|access\.?key|account\.?key|sas", re.IGNORECASE)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SIGNATURE = re.compile(r"(?<=[?&])(\w*(?:sig|token|key|secret|signature|credential)\w*)=[^&\s]+", re.IGNORECASE)


def settings_text(settings: Settings) -> str:
    """The settings as YAML that `--config` takes, with what looks like a secret hidden."""
    shown = _without_secrets(settings.model_dump(mode="json"))
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=100)


def libraries() -> dict[str, str]:
    """Versions of the libraries that matter, of those that are installed here."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _without_secrets(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_without_secrets(inner, key) for inner in value]
    if not isinstance(value, str):
        return value
    if _SECRET_KEY.search(key):
        return HIDDEN
    return _SIGNATURE.sub(rf"\1={HIDDEN}", _USER_IN_URL.sub(HIDDEN, value))
