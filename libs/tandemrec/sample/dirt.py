"""What goes wrong in logs, as data: by reason code, how a good record is spoiled.

Every spoiled line is written beside the good one that it was copied from and has one defect only, so what cleaning has
to keep is known exactly.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tandemrec.errors import ConfigError
from tandemrec.sample import moments
from tandemrec.sample.planted import TableCounts

Record = dict[str, Any]
Spoil = Callable[[random.Random, Record], Record]

EXACT, NEAR, FORMER, BROKEN_JSON = "exact", "near", "former", "broken_json"

# Lines written for each good row. At least LEAST of each, so that a small sample has them all.
EVENT_RATES = {
    EXACT: 0.012,
    NEAR: 0.008,
    BROKEN_JSON: 0.0015,
    "user_id_missing": 0.003,
    "item_id_missing": 0.002,
    "event_type_unknown": 0.004,
    "time_unreadable": 0.002,
    "time_in_future": 0.0015,
    "time_too_early": 0.001,
    "rating_out_of_range": 0.002,
    "item_unknown": 0.003,
}
REVIEW_RATES = {
    EXACT: 0.015,
    NEAR: 0.012,
    BROKEN_JSON: 0.003,
    "user_id_missing": 0.004,
    "item_id_missing": 0.003,
    "time_unreadable": 0.003,
    "time_in_future": 0.003,
    "time_too_early": 0.002,
    "rating_out_of_range": 0.005,
    "text_empty": 0.006,
    "item_unknown": 0.004,
}
ITEM_RATES = {EXACT: 0.01, FORMER: 0.05, "item_id_missing": 0.008, "price_unreadable": 0.015}
LEAST = 2
OTHER_PROGRAM = "WARN collector: upstream timed out, retrying"


def assign(rng: np.random.Generator, rows: int, rates: Mapping[str, float]) -> dict[int, str]:
    """Which of the good rows get a defect beside them, and which; no row gets two.

    Raises:
        ConfigError: there are fewer rows than defects.
    """
    codes = [code for code, rate in rates.items() for _ in range(max(LEAST, round(rate * rows)))]
    if rows < len(codes):
        raise ConfigError(f"the sample has {rows} rows for a table, expected at least {len(codes)}: ask for more")
    return dict(zip(rng.choice(rows, len(codes), replace=False).tolist(), codes, strict=True))


def counted(kept: int, defects: Mapping[int, str], rates: Mapping[str, float]) -> TableCounts:
    """The counts of a table whose every defect is a line beside the good ones."""
    return by_code(kept, Counter(defects.values()), rates)


def by_code(kept: int, lines: Mapping[str, int], rates: Mapping[str, float]) -> TableCounts:
    """The counts of a table that has so many lines of each code of `rates` beside its good ones."""
    counts = {code: lines.get(code, 0) for code in rates}
    return TableCounts(
        rows=kept + sum(counts.values()),
        kept=kept,
        former=counts.get(FORMER, 0),
        merged={code: count for code, count in counts.items() if code in (EXACT, NEAR)},
        rejected={code: count for code, count in counts.items() if code not in (EXACT, NEAR, FORMER)},
    )


def blank(field: str) -> Spoil:
    """Nothing in the field, in one of the ways in which logs say so; or no such field."""

    def spoil(rng: random.Random, record: Record) -> Record:
        if rng.random() < 0.3:
            return {name: value for name, value in record.items() if name != field}
        return record | {field: rng.choice((None, "", "  "))}

    return spoil


def one_of(field: str, *values: Any) -> Spoil:
    return lambda rng, record: record | {field: rng.choice(values)}


def unknown_item(rng: random.Random, record: Record) -> Record:
    """An item that the shop never listed."""
    return record | {"sku": f"X{rng.randrange(1_000_000):06d}"}


def unreadable_time(field: str) -> Spoil:
    return lambda rng, record: record | {field: moments.unreadable(rng)}


def future_time(field: str, styles: tuple[str, ...]) -> Spoil:
    return lambda rng, record: record | {field: moments.in_future(rng, rng.choice(styles))}


def early_time(field: str, styles: tuple[str, ...]) -> Spoil:
    return lambda rng, record: record | {field: moments.too_early(rng, rng.choice(styles))}


def json_line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False)


def broken_line(rng: random.Random, record: Record) -> str:
    """A line that is no JSON object: cut off by a full disk, a message of another program, or JSON of another kind."""
    line = json_line(record)
    cut = line[: rng.randrange(12, len(line) - 2)]
    return rng.choice((cut, OTHER_PROGRAM, json.dumps(list(record))))


HTML = re.compile(r"</?[a-z][^>]*>|&#?[a-z0-9]+;", re.IGNORECASE)
UNSEEN = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b-\u200f\ufeff]")


@dataclass
class Marks:
    """How many texts carry marks that cleaning has to take out."""

    html: int = 0
    control_characters: int = 0

    def add(self, *texts: str) -> None:
        self.html += sum(bool(HTML.search(text)) for text in texts)
        self.control_characters += sum(bool(UNSEEN.search(text)) for text in texts)


def with_html(rng: random.Random, text: str, spaced: bool) -> str:
    """The text as a web form saved it: tags and entities that mean nothing more than the text.

    `spaced`: the language puts spaces between words, so that a tag can stand at one without touching a word.
    """
    if spaced and "'" in text and rng.random() < 0.5:
        return text.replace("'", "&#39;")
    if spaced and " " in text and rng.random() < 0.5:
        return _beside_a_space(rng, text, "<br /> ")
    return rng.choice((f"<p>{text}</p>", f"<b>{text}</b>", f"{text}<br />", f"<div class='review'>{text}</div>"))


def with_control_characters(rng: random.Random, text: str, spaced: bool, marks: tuple[str, ...]) -> str:
    """The text with characters that nobody sees, none of them within a word."""
    mark = rng.choice(marks)
    return _beside_a_space(rng, text, mark) if spaced and " " in text else text + mark


def _beside_a_space(rng: random.Random, text: str, insertion: str) -> str:
    after = rng.choice([place for place, letter in enumerate(text) if letter == " "]) + 1
    return text[:after] + insertion + text[after:]
