"""Plots of what ran, what came in and what the data looks like. Titles say what was found, axes carry units."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from tandemrec.lake import runs
from tandemrec.report import words
from tandemrec.report.drawing import PAIR, SERIES, canvas
from tandemrec.report.intake import Intake, Rejection
from tandemrec.report.traffic import Traffic

_COUNTS = FuncFormatter(lambda value, _: words.count(value))


def _logarithmic(axis: Axis, steps: tuple[int, ...] = (1,)) -> None:
    """Ticks at powers of ten times the steps, written out."""
    axis.set_major_locator(LogLocator(subs=steps, numticks=8))
    axis.set_major_formatter(_COUNTS)
    axis.set_minor_formatter(NullFormatter())


def durations(stages: Sequence[runs.Run]) -> Markup:
    """Seconds of each stage, in the order in which they ran."""
    longest = max(stages, key=lambda run: run.seconds)
    total = sum(run.seconds for run in stages)
    with canvas("durations", (7.0, 0.9 + 0.25 * len(stages))) as plot:
        axes = plot.axes
        bars = axes.barh([run.stage for run in stages], [run.seconds for run in stages], color=SERIES[0], height=0.65)
        axes.bar_label(bars, [words.duration(run.seconds) for run in stages], padding=3)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12)
        axes.set_xlabel("wall clock, seconds")
        says = f"{words.duration(total)} in all, {words.share(longest.seconds, total)} of it in {longest.stage}"
        axes.set_title(says)
        return plot.svg(f"Bars: duration of each stage. {says}.")


def intake(found: Sequence[Intake]) -> Markup:
    """What became of the rows of each table, as shares: the tables differ in size by orders of magnitude."""
    total, rejected = sum(i.rows_in for i in found), sum(i.rejected_rows for i in found)
    with canvas("intake", (7.0, 1.1 + 0.35 * len(found))) as plot:
        axes = plot.axes
        left = np.zeros(len(found))
        parts = {
            "kept": ([i.kept for i in found], SERIES[0]),
            "former": ([i.former for i in found], SERIES[2]),
            "merged": ([i.merged for i in found], SERIES[5]),
            "rejected": ([i.rejected_rows for i in found], SERIES[3]),
        }
        for part, (values, colour) in parts.items():
            shares = np.array([100 * v / i.rows_in if i.rows_in else 0 for v, i in zip(values, found, strict=True)])
            axes.barh([i.table for i in found], shares, left=left, color=colour, label=part, height=0.6)
            left += shares
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the rows that came in, %")
        says = f"{words.share(rejected, total)} of {words.count(total)} rows were rejected"
        axes.set_title(says)
        axes.legend(ncols=4, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
        return plot.svg(f"Stacked bars: share of rows kept, former, merged and rejected by table. {says}.")


def reasons(found: Sequence[Rejection]) -> Markup:
    """Rejected rows by the rule that they broke, on a logarithmic axis, in a colour for each table."""
    tables = list(dict.fromkeys(rejection.table for rejection in found))
    with canvas("reasons", (7.0, 0.9 + 0.22 * len(found))) as plot:
        axes = plot.axes
        for table, colour in zip(tables, cycle(SERIES)):
            rows = [(y, r.rows) for y, r in enumerate(found) if r.table == table]
            bars = axes.barh([y for y, _ in rows], [n for _, n in rows], color=colour, label=table, height=0.65)
            axes.bar_label(bars, [words.count(n) for _, n in rows], padding=3)
        axes.set_yticks(range(len(found)), [words.plain(r.reason) for r in found])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlim(0.7, 3 * max(r.rows for r in found))
        _logarithmic(axes.xaxis)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("rows, logarithmic")
        most = max(found, key=lambda r: r.rows)
        says = f"Most often: {words.plain(most.reason)}, in {most.table}"
        axes.set_title(says)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        return plot.svg(f"Bars: rejected rows by reason. {says}.")


def weekly(traffic: Traffic) -> Markup:
    """Events of each type by week, on a logarithmic axis: views outnumber purchases by far."""
    weeks = sorted({week for by_week in traffic.weeks.values() for week in by_week})
    with canvas("weekly") as plot:
        axes = plot.axes
        for (kind, by_week), colour in zip(traffic.weeks.items(), cycle(SERIES)):
            axes.plot(
                date2num(weeks),
                [by_week.get(week, np.nan) for week in weeks],
                color=colour,
                label=kind,
                marker="." if len(weeks) < 3 else None,
            )
        locator = AutoDateLocator(minticks=3, maxticks=8)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_yscale("log")
        _logarithmic(axes.yaxis, (1, 2, 5))
        axes.set_ylabel("events a week")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        dated = sum(traffic.events.values()) - traffic.undated
        says = f"{words.count(dated)} events over {len(weeks)} weeks from {weeks[0]}"
        axes.set_title(says)
        return plot.svg(f"Lines: events of each type by week, logarithmic. {says}.")


def long_tail(traffic: Traffic) -> Markup:
    """Interactions of each item against its rank, both logarithmic."""
    counts = traffic.per_item
    top = max(1, round(len(counts) / 10))
    # Ranks evenly spread on the logarithmic axis: a catalogue of millions draws as many points as one of hundreds.
    ranks = np.unique(np.geomspace(1, len(counts), num=200).round().astype(int))
    with canvas("long-tail", PAIR) as plot:
        axes = plot.axes
        axes.plot(ranks, counts[ranks - 1], color=SERIES[0])
        axes.set_xscale("log")
        axes.set_yscale("log")
        _logarithmic(axes.xaxis)
        _logarithmic(axes.yaxis, (1, 2, 5))
        axes.set_xlabel("item, by rank")
        axes.set_ylabel("interactions")
        says = f"{words.share(counts[:top].sum(), counts.sum())} go to the top tenth of items"
        axes.set_title(says)
        return plot.svg(
            f"Line: interactions of each item against its rank, both logarithmic. Of the interactions {says}."
        )


def stars(traffic: Traffic, high: float) -> Markup:
    """Reviews by stars, stacked by language; those of `high` and more are counted in the title."""
    given = sorted({star for by in traffic.stars.values() for star in by if star is not None})
    rated = sum(rows for by in traffic.stars.values() for star, rows in by.items() if star is not None)
    with canvas("stars", PAIR) as plot:
        axes = plot.axes
        bottom = np.zeros(len(given))
        for (language, by_stars), colour in zip(traffic.stars.items(), cycle(SERIES)):
            rows = np.array([by_stars.get(star, 0) for star in given])
            axes.bar([f"{star:g}" for star in given], rows, bottom=bottom, color=colour, label=language)
            bottom += rows
        axes.grid(axis="x", visible=False)
        axes.yaxis.set_major_formatter(_COUNTS)
        axes.set_xlabel("stars")
        axes.set_ylabel("reviews")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        if len(traffic.stars) > 1:
            plot.figure.legend(loc="outside lower left", ncols=3, fontsize=7.5)
        happy = sum(
            rows for by in traffic.stars.values() for star, rows in by.items() if star is not None and star >= high
        )
        says = f"{words.share(happy, rated)} give {high:g} stars or more"
        axes.set_title(says)
        return plot.svg(f"Stacked bars: reviews by stars and language. {says}.")


def lengths(traffic: Traffic) -> Markup:
    """Histogram of the reviews' lengths, up to the 99th percentile."""
    length = np.array(sorted(traffic.lengths))
    rows = np.array([traffic.lengths[int(n)] for n in length])
    below = rows.cumsum() / rows.sum()
    median, longest = int(length[np.searchsorted(below, 0.5)]), int(length[np.searchsorted(below, 0.99)])
    with canvas("lengths", PAIR) as plot:
        axes = plot.axes
        axes.hist(length, bins=30, range=(0, max(longest, 1)), weights=rows, color=SERIES[0])
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(_COUNTS)
        axes.xaxis.set_major_formatter(_COUNTS)
        axes.set_xlabel("characters (the longest 1% is left out)")
        axes.set_ylabel("reviews")
        says = f"Half are within {words.count(median)} characters"
        axes.set_title(says)
        return plot.svg(f"Histogram of review lengths. {says}.")
