"""Settings without what looks like a secret: for reports and records that others read."""

import re
from typing import Any

HIDDEN = "(hidden)"
_SECRET_KEY = re.compile(r"secret|password|token|credential|access\.?key|account\.?key|sas", re.IGNORECASE)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_SIGNATURE = re.compile(r"(?<=[?&])(\w*(?:sig|token|key|secret|signature|credential)\w*)=[^&\s]+", re.IGNORECASE)


def without_secrets(value: Any, key: str = "") -> Any:
    """Plain values, nested as they are, with secrets replaced by `(hidden)`."""
    if isinstance(value, dict):
        return {name: without_secrets(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner, key) for inner in value]
    if not isinstance(value, str):
        return value
    if _SECRET_KEY.search(key):
        return HIDDEN
    return _SIGNATURE.sub(rf"\1={HIDDEN}", _USER_IN_URL.sub(HIDDEN, value))
