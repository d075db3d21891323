"""Plots of what the model learned and what it is worth beside its baselines."""

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from tandemrec.report import words
from tandemrec.report.drawing import FAINT, INK, PAIR, SERIES, SMALL, canvas
from tandemrec.report.learning import Panel
from tandemrec.report.scores import MODEL, Comparison, Curve, Standing


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
        says = standings(next((c for c in found if c.metric.startswith("ndcg@")), found[0]))
        axes.set_title(says)
        return plot.svg(f"Points with whiskers: ranking metrics of the model and the baselines. {says}.")


def task_metrics(task: str, found: Sequence[Comparison], models: Sequence[str]) -> Markup:
    """The metrics of one task as bars, one a model, with its value."""
    present = [name for name in models if any(name in c.scores for c in found)]
    height = 0.8 / len(present)
    with canvas(f"metrics-{task}", (PAIR[0], 0.9 + 0.17 * len(found) * max(2, len(present)))) as plot:
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
        behind = [words.metric(c.metric) for c in found if c.baselines("behind")]
        axes.set_title(f"{words.plain(task)}{': behind in ' + ', '.join(behind) if behind else ''}")
        values = "; ".join(
            f"{words.metric(c.metric)} " + ", ".join(f"{words.plain(n)} {s.value:.3f}" for n, s in c.scores.items())
            for c in found
        )
        return plot.svg(f"Bars: metrics of the task {words.plain(task)}. {values}.")


def standings(comparison: Comparison) -> str:
    """`NDCG@10: ahead of popularity, level with ease`."""
    of: dict[Standing, str] = {"ahead": "ahead of", "level": "level with", "behind": "behind"}
    told = [
        f"{words_of} {', '.join(map(words.plain, names))}"
        for standing, words_of in of.items()
        if (names := comparison.baselines(standing))
    ]
    return words.metric(comparison.metric) + (f": {', '.join(told)}" if told else "")


def experience(curve: Curve, models: Sequence[str]) -> Markup:
    """A line a model over the number of training interactions, the model's own with its 95% intervals."""
    bands = curve.bands
    comparison = Comparison(task=curve.task, metric=curve.metric)
    with canvas(f"experience-{curve.task}-{curve.who}", PAIR) as plot:
        axes = plot.axes
        told = []
        for name, colour in zip((m for m in models if m in curve.scores), cycle(SERIES)):
            places = [(x, curve.scores[name][band]) for x, band in enumerate(bands) if band in curve.scores[name]]
            axes.plot([x for x, _ in places], [s.value for _, s in places], ".-", color=colour, label=words.plain(name))
            for x, score in places:
                if name == MODEL and score.low is not None and score.high is not None:
                    axes.plot([x, x], [score.low, score.high], color=colour, linewidth=0.9)
            told.append(f"{words.plain(name)} " + ", ".join(f"{bands[x]} {words.figure(s.value)}" for x, s in places))
        rows = {band: max(s[band].rows or 0 for s in curve.scores.values() if band in s) for band in bands}
        axes.set_xticks(range(len(bands)), [f"{band}\n{words.short(rows[band])}" for band in bands])
        axes.set_xlabel(f"training interactions of the {curve.who}, and below them test rows")
        axes.set_title(f"{words.plain(curve.task)}: {_with_direction(comparison)}")
        axes.legend(fontsize=7)
        return plot.svg(f"Lines: {words.metric(curve.metric)} by interactions of the {curve.who}. {'; '.join(told)}.")


def _with_direction(comparison: Comparison) -> str:
    return words.metric(comparison.metric) + (" (lower is better)" if comparison.better(0, 1) else "")
