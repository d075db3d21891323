"""What a reader needs to get the same figures again: settings without secrets, versions of libraries."""

from importlib.metadata import PackageNotFoundError, version

import yaml

from tandemrec.config import Settings
from tandemrec.config.secrets import without_secrets

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


def settings_text(settings: Settings) -> str:
    """The settings as YAML that `--config` takes, with what looks like a secret hidden."""
    shown = without_secrets(settings.model_dump(mode="json"))
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
