"""Some of a text's clauses, in another order: what a model over texts should answer as it answers the whole.

In a few lines of our own because the libraries for this (docs/log.md, 2026-11-25) fetch data when they run.
"""

import math
import re

import numpy as np

from tandemrec.text.words import UNSPACED

# Of cleaned texts, in NFKC, all signs but 。 are ASCII, and Chinese has no space behind them.
_BESIDE = rf"(?<=[{UNSPACED}])(?:[.!?;,…]+|\s+(?=[{UNSPACED}]))|[!?;,…]+(?=[{UNSPACED}])"
_CLAUSE = re.compile(rf".+?(?:[.!?;,…。！？；，]+(?=\s|$)|[。！？；，]+|{_BESIDE}|\n+|$)", re.DOTALL)


def clauses(text: str) -> list[str]:
    """What stands between the signs that end a sentence or a clause, with the signs, stripped; a space between two
    Chinese characters ends one too.
    """
    found = (clause.strip() for clause in _CLAUSE.findall(text))
    return [clause for clause in found if clause]


def crop_and_shuffle(text: str, keep: float, generator: np.random.Generator) -> str | None:
    """A share of the clauses that stand together, in random order; None where that is the text itself.

    Args:
        keep: share of the clauses, one at least.
    """
    parts = clauses(text)
    count = max(1, math.ceil(keep * len(parts)))
    first = int(generator.integers(len(parts) - count + 1)) if parts else 0
    chosen = [parts[first + place] for place in generator.permutation(min(count, len(parts)))]
    spaced = " " in text.strip()
    made = "".join(part + " " * (spaced or part[-1].isalnum()) for part in chosen).rstrip()
    return made if chosen and made.split() != text.split() else None
