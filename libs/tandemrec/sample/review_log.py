"""The reviews as JSON lines, a file for each language, with the marks that web forms and old terminals leave."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from tandemrec.sample import dirt
from tandemrec.sample.catalogue import Catalogue
from tandemrec.sample.event_log import uid
from tandemrec.sample.files import write_lines
from tandemrec.sample.listing import sku
from tandemrec.sample.moments import START, written
from tandemrec.sample.opinions import Reviews
from tandemrec.sample.planted import TableCounts
from tandemrec.sample.tastes import Tastes
from tandemrec.sample.wording.chinese import CHINESE
from tandemrec.sample.wording.english import ENGLISH
from tandemrec.sample.wording.goods import CATEGORIES
from tandemrec.sample.wording.grammar import Language, Subject, compose

HTML_SHARE = 0.08
CONTROL_SHARE = 0.03
_CONTROL = ("\u0000", "\u0007", "\u001b", "\u200b", "\ufeff")
_TIME_FORMATS = {"en": "iso", "zh": "epoch_ms"}
IMPOSSIBLE_STARS = (0, 6, 10, -1)
NOTHING = ("", "   ", "<br />", "<p> </p>", "\u200b", "&nbsp;", "\u0000")

_SPOILS: dict[str, dirt.Spoil] = {
    "user_id_missing": dirt.blank("uid"),
    "item_id_missing": dirt.blank("sku"),
    "time_unreadable": dirt.unreadable_time("posted"),
    "time_in_future": dirt.future_time("posted", ("iso", "epoch_ms")),
    "time_too_early": dirt.early_time("posted", ("iso",)),
    "rating_out_of_range": dirt.one_of("stars", *IMPOSSIBLE_STARS),
    "text_empty": lambda rng, record: record | {"headline": "", "body": rng.choice(NOTHING)},
    "item_unknown": dirt.unknown_item,
}


def write_reviews(
    rng: np.random.Generator, folder: Path, reviews: Reviews, tastes: Tastes, catalogue: Catalogue
) -> tuple[TableCounts, dirt.Marks]:
    """Write folder/reviews-en.jsonl and reviews-zh.jsonl; what was written, and how many carry marks."""
    draw = random.Random(int(rng.integers(2**62)))
    defects = dirt.assign(rng, len(reviews), dirt.REVIEW_RATES)
    lines: dict[str, list[str]] = {ENGLISH.code: [], CHINESE.code: []}
    marks = dirt.Marks()
    for row in range(len(reviews)):
        language = CHINESE if tastes.chinese[reviews.user[row]] else ENGLISH
        plain = _record(draw, reviews, row, catalogue, language)
        records = [plain | {"body": _marked(draw, plain["body"], language)}]
        code = defects.get(row)
        if code == dirt.EXACT:
            records.append(records[0])
        elif code == dirt.NEAR:
            body = _written_otherwise(draw, plain["body"], language)
            records.append(plain | {"rid": rid(len(reviews) + row), "body": body})
        elif code in _SPOILS:
            records.append(_SPOILS[code](draw, records[0]))
        lines[language.code] += map(dirt.json_line, records)
        marks.add(*(record["body"] for record in records))
        if code == dirt.BROKEN_JSON:
            lines[language.code].append(dirt.broken_line(draw, records[0]))
    for code, of_language in lines.items():
        write_lines(folder / f"reviews-{code}.jsonl", of_language)
    return dirt.counted(len(reviews), defects, dirt.REVIEW_RATES), marks


def rid(review: int) -> str:
    return f"r{review + 1:07d}"


def _record(
    draw: random.Random, reviews: Reviews, row: int, catalogue: Catalogue, language: Language
) -> dict[str, Any]:
    item = int(reviews.item[row])
    category, noun = CATEGORIES[catalogue.category[item]], int(catalogue.noun[item])
    if language is CHINESE:
        subject = Subject(product=category.nouns_zh[noun % len(category.nouns_zh)], aspects=category.aspects_zh)
    else:
        subject = Subject(product=category.nouns[noun], aspects=category.aspects)
    headline, body = compose(draw, language, subject, int(reviews.words[row]))
    return {
        "rid": rid(row),
        "uid": uid(int(reviews.user[row])),
        "sku": sku(item),
        "stars": int(reviews.stars[row]),
        "headline": headline,
        "body": body,
        "posted": written(START + timedelta(seconds=int(reviews.time[row])), _TIME_FORMATS[language.code]),
    }


def _marked(draw: random.Random, body: str, language: Language) -> str:
    chance = draw.random()
    if chance < HTML_SHARE:
        return dirt.with_html(draw, body, language.spaced)
    if chance < HTML_SHARE + CONTROL_SHARE:
        return dirt.with_control_characters(draw, body, language.spaced, _CONTROL)
    return body


def _written_otherwise(draw: random.Random, body: str, language: Language) -> str:
    """The same words in another case, with other white space, tags or unseen characters."""
    variants = (
        body.upper(),
        f"  {body}\n",
        body.replace(" ", "  "),
        dirt.with_html(draw, body, language.spaced),
        dirt.with_control_characters(draw, body, language.spaced, _CONTROL),
    )
    return draw.choice([variant for variant in variants if variant != body])
