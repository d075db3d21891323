"""The comparison as a person reads it on a terminal."""

from collections.abc import Sequence

from rich.table import Table

from tandemrec.evaluate.compare import Measured
from tandemrec.metrics import direction

AHEAD, BEHIND = "▲", "▼"


def comparison_table(figures: Sequence[Measured]) -> Table:
    """A row for each task and metric, a column for each model, in the order of the figures; the best is bold. A mark at
    a baseline's figure says that TandemRec is ahead of it, or behind, beyond the interval of the difference.
    """
    models = list(dict.fromkeys(figure.model for figure in figures))
    found: dict[tuple[str, str], dict[str, Measured]] = {}
    for figure in figures:
        found.setdefault((figure.task, figure.metric), {})[figure.model] = figure
    table = Table("task", "metric", *(model.replace("_", "\n") for model in models), box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True  # where room is short the names of models give way, not those of metrics
    for column in table.columns[2:]:
        column.justify, column.overflow = "right", "fold"
    shown = ""
    for (task, metric), by_model in found.items():
        best = (max if direction(metric) > 0 else min)(figure.value for figure in by_model.values())
        cells = [_cell(by_model.get(model), best) for model in models]
        table.add_row("" if task == shown else task, metric, *cells)
        shown = task
    if any(_mark(figure).strip() for figure in figures):
        table.caption = f"{AHEAD} TandemRec is ahead of this baseline, {BEHIND} behind; no mark: level (95% interval)"
        table.caption_justify = "left"
    return table


def _cell(figure: Measured | None, best: float) -> str:
    if figure is None:
        return ""
    value = f"[bold]{figure.value:.4f}[/bold]" if figure.value == best else f"{figure.value:.4f}"
    return value + _mark(figure)


def _mark(figure: Measured) -> str:
    if figure.lead_low is not None and figure.lead_low > 0:
        return AHEAD
    return BEHIND if figure.lead_high is not None and figure.lead_high < 0 else " "
