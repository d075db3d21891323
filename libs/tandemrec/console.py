"""What a person sees while a stage runs: progress bars on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from tandemrec.errors import ConfigError

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

PLAIN_LINE_EVERY_S = 10.0


class Meter:
    """How far a long step has come: `advance` after each piece of work, `note` what is worth showing beside the bar."""

    def __init__(self, label: str, total: int | None, bar: Progress | None) -> None:
        self.label, self.total, self.done, self.text = label, total, 0, ""
        self._bar, self._last = bar, time.monotonic()
        self._task = bar.add_task(label, total=total, text="") if bar else None

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=amount)
        elif time.monotonic() - self._last >= PLAIN_LINE_EVERY_S:
            self._last = time.monotonic()
            of = f" of {self.total:,}" if self.total is not None else ""
            out.print(f"  {self.label}: {self.done:,}{of}{'  ' + self.text if self.text else ''}")

    def note(self, text: str) -> None:
        self.text = text
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, text=text)


@contextmanager
def meter(label: str, total: int | None = None) -> Iterator[Meter]:
    """A progress bar on a terminal; elsewhere a plain line every ten seconds."""
    if not out.is_terminal:
        yield Meter(label, total, None)
        return
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
    )
    with Progress(*columns, console=out, transient=True) as bar:
        yield Meter(label, total, bar)


def line(text: str) -> None:
    """One plain line on standard output."""
    out.print(text, markup=False)


def table(rows: Table) -> None:
    """A table, fitted to the terminal; elsewhere as wide as it needs, so that nothing is cut in a pipe."""
    if not out.is_terminal:
        rows.width = Measurement.get(out, out.options.update(max_width=10_000), rows).maximum
    out.print(rows)


def refuse_unasked(question: str, *, otherwise: str) -> None:
    """Raise a ConfigError where nobody can be asked; `otherwise` is what does without the question."""
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} There is no terminal to ask at, expected {otherwise}")


def confirmed(question: str, *, otherwise: str) -> bool:
    """Whether a person at the terminal says yes.

    Args:
        otherwise: what does without a question, named where nobody can be asked.

    Raises:
        ConfigError: there is no terminal.
    """
    refuse_unasked(question, otherwise=otherwise)
    return out.input(f"{question} [y/N] ", markup=False).strip().lower() in ("y", "yes")


def warn(text: str) -> None:
    """One line on standard error: something a person should know, that does not stop the run."""
    sys.stdout.flush()
    err.print(f"warning: {text}", style="yellow", markup=False)
