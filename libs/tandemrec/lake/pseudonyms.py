"""Ids of people by a keyed hash: the same key gives the same pseudonym, whatever the source."""

import hashlib
import hmac
import os
import re

from tandemrec.config import Settings
from tandemrec.config.root import PseudonymSettings
from tandemrec.errors import ConfigError

PSEUDONYM = re.compile(r"p-[0-9a-f]{32}")
_SHORTEST_KEY = 16  # bytes
SPACES = " \t\n\r\u00a0\u3000\u200b\ufeff"


def pseudonym_key(settings: PseudonymSettings) -> bytes:
    """The key, from the environment.

    Raises:
        ConfigError: it is not there, or shorter than 16 bytes.
    """
    key = os.environ.get(settings.key_env, "").encode()
    if len(key) < _SHORTEST_KEY:
        found = f"{len(key)} bytes" if key else "nothing"
        raise ConfigError(
            f"data.pseudonymise: the environment variable {settings.key_env} holds {found}, expected a secret key of "
            f"{_SHORTEST_KEY} bytes or more"
        )
    return key


def pseudonym(user: str, key: bytes) -> str:
    """`p-` and the first 128 bits of HMAC-SHA256 (RFC 2104) of an id, in hex. Spaces around the id do not count."""
    return "p-" + hmac.new(key, user.strip(SPACES).encode(), hashlib.sha256).hexdigest()[:32]


def known_as(user: str, settings: Settings) -> str:
    """The id under which the lake knows a person: where ids are pseudonymised the pseudonym of a plain id; what looks
    like a pseudonym is taken for one.

    Raises:
        ConfigError: the key is not there.
    """
    chosen = settings.data.pseudonymise
    if chosen is None or PSEUDONYM.fullmatch(user):
        return user
    return pseudonym(user, pseudonym_key(chosen))
