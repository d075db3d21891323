"""The words of a text as numbers, for models that learn words themselves.

Not the tokens of silver.reviews: those lack stop words, and a stop word may be `not`.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

# Characters of scripts without spaces between words: Chinese and Japanese; Thai and Lao, Burmese, Khmer.
UNSPACED = (
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)


def _marks() -> str:
    """The ranges of all marks: a set of single characters is searched five times as slowly."""
    marks = {code for code in range(0x300, 0x1F000) if unicodedata.category(chr(code))[0] == "M"}
    first = [code for code in sorted(marks) if code - 1 not in marks]
    last = [code for code in sorted(marks) if code + 1 not in marks]
    return "".join(f"{chr(one)}-{chr(other)}" for one, other in zip(first, last, strict=True))


# Marks belong to their letter, as the vowels of Hindi and Thai do. For Python they are neither letters nor digits.
_MARKS = _marks()
_LETTERS = rf"[^\W_{UNSPACED}]+(?:[{_MARKS}]+[^\W_{UNSPACED}]*)*"
_WORD = re.compile(rf"[{UNSPACED}][{_MARKS}]*|{_LETTERS}(?:'{_LETTERS})*|[^\w\s]|_")


def words_of(text: str) -> list[str]:
    """Words in lower case, each sign and each character of a script without spaces alone, in order."""
    return _WORD.findall(text.lower().replace("\u2019", "'"))


def word_ids(
    texts: Iterable[str], *, buckets: int, longest: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Numbers of the first words of each text, from 1 to `buckets`: crc32 of the word, modulo.

    Returns:
        One text after the other, and how many words each has.
    """
    number = lru_cache(maxsize=2**18)(lambda word: 1 + crc32(word.encode()) % buckets)
    lists = [[number(word) for word in words_of(text)[:longest]] for text in texts]
    lengths = np.array([len(ids) for ids in lists], np.int64)
    return np.fromiter((i for ids in lists for i in ids), np.int32, int(lengths.sum())), lengths
