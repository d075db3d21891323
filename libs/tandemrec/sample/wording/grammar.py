"""How a review is composed: clauses of praise, complaint and filler in a mix that the stars decide, then human slips.

Nothing here is a fixed sentence for a rating: four stars mostly praise with a complaint, three balance, two mostly
complain; a short review may say nothing that tells its stars.
"""

import random
import re
from dataclasses import dataclass, field


def lines(text: str, separator: str = "\n") -> tuple[str, ...]:
    """The entries of a table written as one text."""
    return tuple(entry.strip(" \n") for entry in text.split(separator) if entry.strip())


@dataclass(frozen=True, kw_only=True)
class Language:
    """The phrases of one language. Slots in braces: aspect and product come from the item, the rest from `slots`.

    `agreement`: slots that follow the number of the aspect, (singular, plural).
    `spaced`: words stand apart, and the first of a sentence begins with a capital.
    """

    code: str
    spaced: bool
    praise: tuple[str, ...]
    complaint: tuple[str, ...]
    neutral: tuple[str, ...]
    join_same: tuple[str, ...]
    join_turn: tuple[str, ...]
    slots: dict[str, tuple[str, ...]]
    agreement: dict[str, tuple[str, str]]
    headlines_good: tuple[str, ...]
    headlines_bad: tuple[str, ...]
    headlines_even: tuple[str, ...]
    end: str
    shout: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a review is about: the item's noun and the aspects of its category, in the review's language."""

    product: str
    aspects: tuple[str, ...] = field(repr=False)


# Shares of praise, filler and complaint among the clauses of a review, by its stars.
MIX = {
    5: (0.84, 0.13, 0.03),
    4: (0.67, 0.18, 0.15),
    3: (0.38, 0.24, 0.38),
    2: (0.15, 0.17, 0.68),
    1: (0.04, 0.12, 0.84),
}
CLAUSES, CLAUSE_WEIGHTS = (1, 2, 3, 4, 5, 6), (0.08, 0.18, 0.28, 0.24, 0.15, 0.07)
TYPO_SHARE = 0.012
HEADLINE_SHARE = 0.45
_SLOT = re.compile(r"\{(\w+)\}")


def compose(rng: random.Random, language: Language, subject: Subject, stars: int) -> tuple[str, str]:
    """Headline (often empty) and text of a review that the given stars call for."""
    kinds = rng.choices((1, 0, -1), MIX[stars], k=rng.choices(CLAUSES, CLAUSE_WEIGHTS)[0])
    said: set[str] = set()
    text, last = "", 0
    for kind in kinds:
        clause = _clause(rng, language, subject, kind, said)
        if text:
            join = rng.choice(language.join_turn if kind * last < 0 else language.join_same)
            text += join.format(_capital(clause) if join.endswith(("。{}", ". {}", "! {}")) else clause)
        else:
            text = _capital(clause)
        last = kind or last
    text = _slips(rng, text + rng.choices((language.end, language.shout, ""), (6, 1, 2))[0])
    return _headline(rng, language, subject, stars), text


def _clause(rng: random.Random, language: Language, subject: Subject, kind: int, said: set[str]) -> str:
    table = {1: language.praise, 0: language.neutral, -1: language.complaint}[kind]
    template = rng.choice(table)
    while template in said:
        template = rng.choice(table)
    said.add(template)
    return _fill(rng, language, subject, template)


def _fill(rng: random.Random, language: Language, subject: Subject, template: str) -> str:
    aspect = rng.choice(subject.aspects)
    plural = aspect.endswith("s") and not aspect.endswith("ss")

    def word(slot: re.Match[str]) -> str:
        name = slot.group(1)
        if name in language.agreement:
            return language.agreement[name][plural]
        return {"product": subject.product, "aspect": aspect}.get(name) or rng.choice(language.slots[name])

    return _SLOT.sub(word, template)


def _headline(rng: random.Random, language: Language, subject: Subject, stars: int) -> str:
    if rng.random() > HEADLINE_SHARE:
        return ""
    tables = (language.headlines_good, language.headlines_even, language.headlines_bad)
    return _fill(rng, language, subject, rng.choice(rng.choices(tables, MIX[stars])[0]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _slips(rng: random.Random, text: str) -> str:
    """Typos, and writers who never use capitals. Words without a space between them (Chinese) are left alone."""
    words = text.split(" ")
    for place, word in enumerate(words):
        if len(word) > 3 and word.isascii() and rng.random() < TYPO_SHARE:
            at = rng.randrange(1, len(word) - 1)
            words[place] = rng.choice(
                (
                    word[:at] + word[at + 1 :],  # a letter missing
                    word[: at + 1] + word[at:],  # a letter twice
                    word[:at] + word[at : at + 2][::-1] + word[at + 2 :],  # two letters exchanged
                )
            )
    text = " ".join(words)
    return text.lower() if rng.random() < 0.12 else text
