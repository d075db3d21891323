"""Some of a text's clauses, in another order: what a model over texts should answer as it answers the whole.

In a few lines of our own because the libraries for this (docs/log.md, 2026-11-25) fetch data when they run.
"""

import math
import re

import numpy as np

from tandemrec.text.words import UNSPACED

# Runs, each looked at once: a pattern of clauses read a run of signs anew from each of them.
_BETWEEN = re.compile(r"[.!?;,…。！？；，]+|\s+")
_WIDE = frozenset("。！？；，")
_UNSPACED = re.compile(f"[{UNSPACED}]")


def clauses(text: str) -> list[str]:
    """What stands between the signs that end a sentence or a clause, with the signs, stripped; a space between two
    Chinese characters ends one too.
    """
    found, start = [], 0
    for between in _BETWEEN.finditer(text):
        first, last = between.span()
        if last > start + 1 and _ends(between[0], text[max(0, first - 1) : first], text[last : last + 1]):
            found.append(text[start:last].strip())
            start = last
    return [clause for clause in (*found, text[start:].strip()) if clause]


def _ends(between: str, before: str, after: str) -> bool:
    """Whether signs or spaces end a clause. Of cleaned texts, in NFKC, all signs but 。 are ASCII, and Chinese has no
    space behind them: its characters tell.
    """
    behind, ahead = _UNSPACED.match(before) is not None, _UNSPACED.match(after) is not None
    if between.isspace():
        return "\n" in between or (behind and ahead)
    if not after or after.isspace() or behind or not _WIDE.isdisjoint(between):
        return True
    return ahead and not between.endswith(".")  # 1.很好 is a number


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
