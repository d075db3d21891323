"""From a matplotlib figure to SVG that lives inside the page: its text is text, its colours are the page's.

Figures are drawn in fixed stand-in colours; in the SVG they become CSS variables, so that a plot follows the page
into dark mode and onto paper. No pyplot: nothing global is drawn on.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

INK, FAINT, RULE = "#1b1b1a", "#6b6b6a", "#d9d9d8"
# Okabe and Ito's palette, which people with any colour vision tell apart, most distinct first.
SERIES = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#8c8c8b")
_VARIABLES = {INK: "--ink", FAINT: "--faint", RULE: "--rule"} | {
    colour: f"--series-{number}" for number, colour in enumerate(SERIES, start=1)
}
_STYLE = {
    "svg.fonttype": "none",  # text stays text: any script is shown by the reader's fonts, and can be searched
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "figure.constrained_layout.use": True,
}

WIDE = (7.0, 2.7)
PAIR = (4.1, 2.8)
SMALL = (3.3, 2.1)


@contextmanager
def canvas(name: str, size: tuple[float, float] = WIDE) -> Iterator["Plot"]:
    """A plot to draw on, in the page's style, width and height in inches; `name` is unique on the page."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        yield Plot(name, size)


class Plot:
    """One axes and what becomes of it."""

    def __init__(self, name: str, size: tuple[float, float]) -> None:
        self.name = name
        self.figure = Figure(figsize=size)
        self.axes: Axes = self.figure.add_subplot()

    def svg(self, says: str) -> Markup:
        """The SVG element. `says` tells in words what the plot shows, for those who do not see it."""
        for child in self.axes.get_children():
            if type(child) is Text:  # a title: one that names many metrics is longer than its plot is wide
                child.set_wrap(True)
        buffer = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        self.figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
        text = buffer.getvalue()
        text = text[text.index("<svg") :]
        view = re.search(r'viewBox="[^"]+"', text)
        body = text[text.index(">") + 1 : text.rindex("</svg>")]
        body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", body, flags=re.DOTALL)
        # Identifiers are unique within a figure only; the page holds many.
        body = re.sub(r'\bid="', f'id="{self.name}-', body)
        body = body.replace("url(#", f"url(#{self.name}-").replace('xlink:href="#', f'href="#{self.name}-')
        for colour, variable in _VARIABLES.items():
            body = body.replace(colour, f"var({variable})")
        body = re.sub(r"\n\s*", "\n", body)
        label = escape(says)
        return Markup(f'<svg role="img" aria-label="{label}" {view[0] if view else ""}>{body}</svg>')
