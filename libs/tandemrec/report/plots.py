"""The page's plots. Each returns an SVG element; titles say what was found, axes carry units."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tandemrec.lake import runs
from tandemrec.report import words
from tandemrec.report.drawing import FAINT, INK, SERIES, SMALL, canvas
from tandemrec.report.intake import Intake
from tandemrec.report.learning import Panel
from tandemrec.report.scores import MODEL, Comparison
from tandemrec.report.traffic import Traffic

_COUNTS = FuncFormatter(lambda value, _: words.count(value))


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
        says = f"{words.duration(total)} in all, most of it in {longest.stage}"
        axes.set_title(says)
        return plot.svg(f"Bars: duration of each stage. {says}.")


def intake(found: Sequence[Intake]) -> Markup:
    """What became of the rows of each table, as shares: the tables differ in size by orders of magnitude."""
    total, rejected = sum(i.rows_in for i in found), sum(i.rejected_rows for i in found)
    parts = ("kept", "merged", "rejected")
    with canvas("intake", (7.0, 1.1 + 0.35 * len(found))) as plot:
        axes = plot.axes
        left = np.zeros(len(found))
        values = {"kept": [i.kept for i in found], "merged": [i.merged for i in found]}
        values["rejected"] = [i.rejected_rows for i in found]
        for part, colour in zip(parts, (SERIES[0], SERIES[5], SERIES[3]), strict=True):
            shares = np.array(
                [100 * v / i.rows_in if i.rows_in else 0 for v, i in zip(values[part], found, strict=True)]
            )
            axes.barh([i.table for i in found], shares, left=left, color=colour, label=part, height=0.6)
            left += shares
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("share of the rows that came in, %")
        says = f"{words.share(rejected, total)} of {words.count(total)} rows were rejected"
        axes.set_title(says)
        axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0)
        return plot.svg(f"Stacked bars: share of rows kept, merged and rejected by table. {says}.")


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
        axes.yaxis.set_major_formatter(_COUNTS)
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
    with canvas("long-tail", (3.4, 2.7)) as plot:
        axes = plot.axes
        axes.plot(ranks, counts[ranks - 1], color=SERIES[0])
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(_COUNTS)
        axes.yaxis.set_major_formatter(_COUNTS)
        axes.set_xlabel("item, by rank")
        axes.set_ylabel("interactions")
        says = f"The top tenth of items has {words.share(counts[:top].sum(), counts.sum())}"
        axes.set_title(says)
        return plot.svg(f"Line: interactions of each item against its rank, both logarithmic. {says} of interactions.")


def stars(traffic: Traffic) -> Markup:
    """Reviews by stars, stacked by language."""
    given = sorted({star for by in traffic.stars.values() for star in by if star is not None})
    rated = sum(rows for by in traffic.stars.values() for star, rows in by.items() if star is not None)
    with canvas("stars", (3.4, 2.7)) as plot:
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
        axes.legend(title="language", loc="best")
        happy = sum(
            rows for by in traffic.stars.values() for star, rows in by.items() if star is not None and star >= 4
        )
        says = f"{words.share(happy, rated)} give 4 or 5 stars"
        axes.set_title(says)
        return plot.svg(f"Stacked bars: reviews by stars and language. {says}.")


def lengths(traffic: Traffic) -> Markup:
    """Histogram of the reviews' lengths, up to the 99th percentile."""
    length = np.array(sorted(traffic.lengths))
    rows = np.array([traffic.lengths[int(n)] for n in length])
    below = rows.cumsum() / rows.sum()
    median, longest = int(length[np.searchsorted(below, 0.5)]), int(length[np.searchsorted(below, 0.99)])
    with canvas("lengths", (3.4, 2.7)) as plot:
        axes = plot.axes
        axes.hist(length, bins=30, range=(0, max(longest, 1)), weights=rows, color=SERIES[0])
        axes.yaxis.set_major_formatter(_COUNTS)
        axes.xaxis.set_major_formatter(_COUNTS)
        axes.set_xlabel("characters (the longest 1% is left out)")
        axes.set_ylabel("reviews")
        says = f"Half of the reviews are within {words.count(median)} characters"
        axes.set_title(says)
        return plot.svg(f"Histogram of review lengths. {says}.")


def curve(panel: Panel, best_epoch: int | None) -> Markup:
    """One task's training loss or validation metric over the epochs, the kept epoch marked."""
    epochs, values = zip(*panel.points, strict=True)
    name = f"{words.plain(panel.task)}: {panel.metric if panel.is_loss else 'valid ' + words.metric(panel.metric)}"
    with canvas(f"curve-{panel.task}-{'loss' if panel.is_loss else 'metric'}", SMALL) as plot:
        axes = plot.axes
        axes.plot(epochs, values, color=FAINT if panel.is_loss else SERIES[0], marker="." if len(epochs) < 3 else None)
        says = f"{name} from {words.figure(values[0])} to {words.figure(values[-1])} in {len(epochs)} epochs"
        if best_epoch is not None and best_epoch in epochs:
            best = values[epochs.index(best_epoch)]
            axes.axvline(best_epoch, color=SERIES[3], linewidth=0.8, linestyle=":")
            axes.plot([best_epoch], [best], marker="o", markersize=4, color=SERIES[3])
            says += f"; {words.figure(best)} at the best epoch, {best_epoch}"
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
        axes.set_xlabel("epoch")
        axes.set_title(name)
        return plot.svg(f"Line over the epochs: {says}.")


def ranking(found: Sequence[Comparison], models: Sequence[str]) -> Markup:
    """Ranking metrics of every model as points, with whiskers for the 95% intervals."""
    present = [name for name in models if any(name in c.scores for c in found)]
    with canvas("ranking", (7.0, 1.2 + 0.2 * len(found) * len(present))) as plot:
        axes = plot.axes
        spread = np.linspace(-0.28, 0.28, len(present)) if len(present) > 1 else [0.0]
        for name, offset, colour in zip(present, spread, cycle(SERIES)):
            rows = [(y + offset, c.scores[name]) for y, c in enumerate(found) if name in c.scores]
            for y, score in rows:
                if score.low is not None and score.high is not None:
                    axes.plot([score.low, score.high], [y, y], color=colour, linewidth=1.2)
            axes.plot(
                [s.value for _, s in rows],
                [y for y, _ in rows],
                linestyle="none",
                color=colour,
                marker="o" if name == MODEL else "s",
                markersize=5.5 if name == MODEL else 4,
                label=words.plain(name),
            )
        axes.set_yticks(range(len(found)), [words.metric(c.metric) for c in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("value, higher is better; whiskers: 95% interval")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        lost = [words.metric(c.metric) for c in found if c.lost_to]
        says = f"A baseline is better in {', '.join(lost)}" if lost else "No baseline is better than the model"
        axes.set_title(says)
        return plot.svg(f"Points with whiskers: ranking metrics of the model and the baselines. {says}.")


def task_metrics(task: str, found: Sequence[Comparison], models: Sequence[str]) -> Markup:
    """The metrics of one task as bars, one a model, with its value."""
    present = [name for name in models if any(name in c.scores for c in found)]
    height = 0.8 / len(present)
    with canvas(f"metrics-{task}", (3.4, 0.9 + 0.17 * len(found) * max(2, len(present)))) as plot:
        axes = plot.axes
        for number, (name, colour) in enumerate(zip(present, cycle(SERIES))):
            rows = [
                (y - 0.4 + height * (number + 0.5), c.scores[name].value)
                for y, c in enumerate(found)
                if name in c.scores
            ]
            bars = axes.barh(
                [y for y, _ in rows], [v for _, v in rows], height=height * 0.9, color=colour, label=words.plain(name)
            )
            axes.bar_label(bars, [f"{v:.3f}" for _, v in rows], padding=3, fontsize=7, color=INK)
        axes.set_yticks(range(len(found)), [_with_direction(c) for c in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_xlim(0, 1.25 * max(s.value for c in found for s in c.scores.values()) or 1)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
        if len(present) > 1:
            plot.figure.legend(loc="outside lower left", ncols=2, fontsize=7.5)
        lost = [words.metric(c.metric) for c in found if c.lost_to]
        axes.set_title(f"{words.plain(task)}{': behind in ' + ', '.join(lost) if lost else ''}")
        values = "; ".join(
            f"{words.metric(c.metric)} " + ", ".join(f"{words.plain(n)} {s.value:.3f}" for n, s in c.scores.items())
            for c in found
        )
        return plot.svg(f"Bars: metrics of the task {words.plain(task)}. {values}.")


def _with_direction(comparison: Comparison) -> str:
    return words.metric(comparison.metric) + (" (lower is better)" if comparison.better(0, 1) else "")
