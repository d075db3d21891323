"""The comparison as a person reads it on a terminal."""

from collections.abc import Sequence

from rich.table import Table

from tandemrec.evaluate.compare import Measured

LOWER_IS_BETTER = frozenset({"log_loss", "rmse", "mae"})


def comparison_table(figures: Sequence[Measured]) -> Table:
    """A row for each task and metric, a column for each model, in the order of the figures; the best is bold."""
    models = list(dict.fromkeys(figure.model for figure in figures))
    values: dict[tuple[str, str], dict[str, float]] = {}
    for figure in figures:
        values.setdefault((figure.task, figure.metric), {})[figure.model] = figure.value
    table = Table("task", "metric", *(model.replace("_", "\n") for model in models), box=None, pad_edge=False)
    for column in table.columns[:2]:
        column.no_wrap = True  # where room is short the names of models give way, not those of metrics
    for column in table.columns[2:]:
        column.justify, column.overflow = "right", "fold"
    shown = ""
    for (task, metric), by_model in values.items():
        best = (min if metric in LOWER_IS_BETTER else max)(by_model.values())
        cells = [_cell(by_model.get(model), best) for model in models]
        table.add_row("" if task == shown else task, metric, *cells)
        shown = task
    return table


def _cell(value: float | None, best: float) -> str:
    if value is None:
        return ""
    return f"[bold]{value:.4f}[/bold]" if value == best else f"{value:.4f}"
