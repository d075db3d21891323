"""The comparison as a person reads it on a terminal."""

from collections.abc import Iterator, Sequence

from rich.table import Table

from tandemrec.evaluate.compare import Measured
from tandemrec.metrics import direction

AHEAD, BEHIND = "▲", "▼"
LEGEND = f"{AHEAD} TandemRec is ahead of this baseline, {BEHIND} behind; without a mark: level"


def comparison_tables(figures: Sequence[Measured]) -> Iterator[Table]:
    """A table a task: a row for each metric, a column for each model that has any, in the order of the figures; the
    best is bold. A mark at a baseline's figure says that TandemRec is ahead of it, or behind, beyond the interval of
    the difference.
    """
    for task in dict.fromkeys(figure.task for figure in figures):
        of_task = [figure for figure in figures if figure.task == task]
        models = list(dict.fromkeys(figure.model for figure in of_task))
        table = Table(task, *(model.replace("_", "\n") for model in models), box=None, pad_edge=False)
        table.columns[0].no_wrap = True  # where room is short the names of models give way, not those of metrics
        for column in table.columns[1:]:
            column.justify, column.overflow = "right", "fold"
        for metric in dict.fromkeys(figure.metric for figure in of_task):
            by_model = {figure.model: figure for figure in of_task if figure.metric == metric}
            best = (max if direction(metric) > 0 else min)(figure.value for figure in by_model.values())
            table.add_row(metric, *(_cell(by_model.get(model), best) for model in models))
        yield table


def _cell(figure: Measured | None, best: float) -> str:
    if figure is None:
        return ""
    value = f"[bold]{figure.value:.4f}[/bold]" if figure.value == best else f"{figure.value:.4f}"
    return value + mark(figure)


def mark(figure: Measured) -> str:
    """Whether another model, whose lead is told, is ahead of this one beyond the interval of the difference."""
    if figure.lead_low is not None and figure.lead_low > 0:
        return AHEAD
    return BEHIND if figure.lead_high is not None and figure.lead_high < 0 else " "
