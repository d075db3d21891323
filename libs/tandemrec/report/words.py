"""Numbers, sizes, times and texts as people read them, on the page and on the terminal alike."""

import unicodedata
from datetime import datetime

_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_CAPITALS = {"hr", "ndcg", "mrr", "auc", "rmse", "mae", "f1"}


def count(number: float) -> str:
    return f"{number:,.0f}"


def figure(number: float) -> str:
    """Four decimals below 10, fewer above: enough to tell two models apart."""
    return f"{number:.4f}" if abs(number) < 10 else f"{number:,.1f}"


def share(part: float, whole: float) -> str:
    if not whole:
        return "0%"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if 0 < percent < 10 or 99 < percent < 100 else f"{percent:.0f}%"


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 90:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def size(in_bytes: float) -> str:
    """Bytes in the largest unit that leaves a number of 1 or more; a kB is 1,000 bytes."""
    units = ("B", "kB", "MB", "GB", "TB")
    amount, unit = float(in_bytes), 0
    while amount >= 999.5 and unit < len(units) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.1f} {units[unit]}" if unit and amount < 10 else f"{amount:.0f} {units[unit]}"


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M}"


def day(when: datetime | None) -> str:
    """The date; sources without times carry 1970-01-01, which is none."""
    return "no date" if when is None or when.year == 1970 else f"{when:%Y-%m-%d}"


def short(number: int) -> str:
    """A count in a few characters: 950, 1.2k, 34k, 5.6M."""
    for unit, size_ in (("M", 1_000_000), ("k", 1_000)):
        if number >= size_:
            amount = number / size_
            return f"{amount:.1f}{unit}" if amount < 9.95 else f"{amount:.0f}{unit}"
    return str(number)


def signed(value: float | None) -> str:
    """A difference with its sign."""
    return "" if value is None else f"{value:+.4f}"


def metric(name: str) -> str:
    """`ndcg@10` as the literature writes it: NDCG@10."""
    base, at, cutoff = name.partition("@")
    return " ".join(word.upper() if word in _CAPITALS else word for word in base.split("_")) + at + cutoff


def plain(name: str) -> str:
    """A name of a model, task or stage without underscores."""
    return "TandemRec" if name == "tandemrec" else name.replace("_", " ")


def visible(text: str, limit: int = 200) -> str:
    """One line of at most `limit` characters; what could steer a terminal or turn the line around is shown as a box."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join("␣" if c in "\t\n\r" else "□" if _steers(c) else c for c in cut)


def _steers(character: str) -> bool:
    return character in _BIDIRECTIONAL or unicodedata.category(character) in ("Cc", "Cs")
