"""Encoders side by side: a table for the terminal, and one HTML file with the same table and a plot."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from markupsafe import Markup
from rich.table import Table as Grid
from rich.text import Text

import tandemrec
from tandemrec.config import CleanSettings
from tandemrec.evaluate.encoders import CUTOFF, Advice, Candidate, Probe
from tandemrec.report import words
from tandemrec.report.drawing import SERIES, WIDE, canvas
from tandemrec.report.page import template

HEADINGS = (
    "encoder", "family", "width", "texts/s", "peak memory", "sentiment", "category", f"recall@{CUTOFF}", "MRR", "score",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Lost:
    """An encoder that could not be measured, and why."""

    model: str
    reason: str


def cells(one: Candidate) -> list[str]:
    """A candidate's row, in the order of HEADINGS."""
    found = one.retrieval
    return [
        one.model,
        one.family,
        words.count(one.dimension),
        f"{one.texts_per_s:,.1f}",
        words.size(one.peak_mb * 2**20),
        _probed(one.sentiment),
        _probed(one.category),
        "-" if found is None else f"{found.recall:.3f}",
        "-" if found is None else f"{found.mrr:.3f}",
        "-" if one.score is None else f"{one.score:.3f}",
    ]


def grid(candidates: Sequence[Candidate], lost: Sequence[Lost]) -> Grid:
    table = Grid(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if place < 2 else "right")
    for one in candidates:
        table.add_row(*map(Text, cells(one)))  # no markup: a prefix may stand in brackets
    for gone in lost:
        table.add_row(Text(gone.model), "not measured", *["-"] * (len(HEADINGS) - 2))
    return table


def render(
    candidates: Sequence[Candidate],
    lost: Sequence[Lost],
    found: Sequence[Advice],
    *,
    reviews: int,
    threads: int,
    clean: CleanSettings,
) -> str:
    """The page as text.

    Args:
        clean: which ratings are good and which bad.
    """
    return template("encoders.html").render(
        code_version=tandemrec.__version__,
        headings=HEADINGS,
        rows=[cells(one) for one in candidates],
        candidates=candidates,
        lost=lost,
        advice=found,
        plot=_plot(candidates) if any(one.score is not None for one in candidates) else None,
        reviews=reviews,
        threads=threads,
        good_from=f"{clean.high_rating:g}",
        bad_to=f"{clean.low_rating:g}",
        cutoff=CUTOFF,
    )


def _probed(found: Probe | None) -> str:
    """Accuracy with its interval, and macro F1."""
    return (
        "-" if found is None else f"{found.accuracy:.3f} [{found.low:.3f}, {found.high:.3f}], F1 {found.macro_f1:.3f}"
    )


def _plot(candidates: Sequence[Candidate]) -> Markup:
    """Speed against score, a point for each."""
    scored = [(one, score) for one in candidates if (score := one.score) is not None]
    with canvas("encoders", WIDE) as plot:
        for (one, score), colour in zip(scored, cycle(SERIES)):
            marker = "s" if one.generates else "o"
            label = one.model.replace("$", r"\$")  # between two of them matplotlib sets formulas
            plot.axes.plot([one.texts_per_s], [score], linestyle="none", marker=marker, color=colour, label=label)
        plot.axes.set_xscale("log")
        plot.axes.margins(0.15)
        plot.axes.set_xlabel("texts a second (squares: decoders)")
        plot.axes.set_ylabel("score")
        plot.axes.set_title("Up and to the right is better")
        plot.axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        said = "; ".join(f"{one.model} {score:.3f} at {one.texts_per_s:.1f} texts a second" for one, score in scored)
        return plot.svg(f"Score over speed of each encoder: {said}.")
