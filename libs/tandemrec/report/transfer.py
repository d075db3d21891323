"""One page of what tasks gain by being learned together: lifts, which task helps which, and the trade-off of two."""

from collections.abc import Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tandemrec.config import Settings
from tandemrec.evaluate.compare import LEAST
from tandemrec.evaluate.transfer import Lift, undominated
from tandemrec.metrics import direction
from tandemrec.report import words
from tandemrec.report.drawing import FAINT, PAIR, RULE, SERIES, canvas


@dataclass(frozen=True, kw_only=True)
class Point:
    """Test figures of two tasks where the first has this share of the weight: means over seeds, and those of each."""

    share: float
    x: float
    y: float
    seeds: Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class TransferReport:
    """What the page tells. `parts`: all tasks together, by training interactions of the user and of the item. The two
    tasks of `points`, if any, are those of `pair`.
    """

    tasks: Sequence[str]
    lifts: Sequence[Lift]
    parts: Sequence[Lift]
    pair: Sequence[str]
    points: Sequence[Point]
    seeds: int
    passes: int
    settings: Settings


def render(report: TransferReport) -> str:
    """The page as text."""
    environment = Environment(
        loader=PackageLoader("tandemrec.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(words, name) for name in ("figure", "metric", "plain")}
    joint = [one for one in report.lifts if len(one.together) == len(report.tasks)]
    pairs = {(one.task, _other(one)): one for one in report.lifts if len(one.together) == 2}
    return environment.get_template("transfer.html").render(
        report=report,
        least=LEAST,
        joint=joint,
        pairs=pairs,
        lift_plot=lifts_plot(joint),
        part_plots=[parts_plot(report.parts, *key) for key in dict.fromkeys((p.task, _who(p)) for p in report.parts)],
        pareto_plot=pareto_plot(report) if report.points else None,
    )


def lifts_plot(lifts: Sequence[Lift]) -> Markup:
    """A point a task for its lift in per cent of the metric alone, with the interval."""
    with canvas("lift", (PAIR[0] * 1.4, 1.0 + 0.32 * len(lifts))) as plot:
        axes = plot.axes
        axes.axvline(0, color=FAINT, linewidth=0.8)
        for y, one in enumerate(lifts):
            share, colour = (
                100 / (abs(one.alone) or 1),
                {"helps": SERIES[2], "hurts": SERIES[3]}.get(one.verdict, FAINT),
            )
            if one.low is not None and one.high is not None:
                axes.plot([share * one.low, share * one.high], [y, y], color=colour)
            axes.plot([share * one.lift], [y], "o", color=colour)
        axes.set_yticks(range(len(lifts)), [f"{words.plain(one.task)} ({words.metric(one.metric)})" for one in lifts])
        axes.set_ylim(len(lifts) - 0.5, -0.5)
        axes.set_xlabel("lift over the task alone, % (right is better)")
        axes.set_title("All tasks together")
        told = "; ".join(f"{words.plain(one.task)} {one.lift:+.4f}, {one.verdict}" for one in lifts)
        return plot.svg(f"Points with intervals: lift of each task. {told}.")


def parts_plot(parts: Sequence[Lift], task: str, who: str) -> Markup:
    """Lift of a task over itself alone by training interactions, a point a band with its interval; a faint one has
    none.
    """
    shown = [one for one in parts if (one.task, _who(one)) == (task, who)]
    with canvas(f"lift-{task}-{who}", PAIR) as plot:
        axes = plot.axes
        axes.axhline(0, color=FAINT, linewidth=0.8)
        for x, one in enumerate(shown):
            if one.low is not None and one.high is not None:
                axes.plot([x, x], [one.low, one.high], color=SERIES[0])
            axes.plot([x], [one.lift], "o", color=FAINT if one.low is None else SERIES[0])
        labels = [f"{one.part.partition(' ')[2]}\n({one.rows:,})" for one in shown]
        axes.set_xticks(range(len(shown)), labels)
        axes.set_xlabel(f"training interactions of the {who} (test rows)")
        axes.set_ylabel(f"lift in {words.metric(shown[0].metric)}")
        axes.set_title(words.plain(task).capitalize())
        told = "; ".join(f"{one.part} {one.lift:+.4f}, {one.verdict}" for one in shown)
        return plot.svg(f"Points with intervals: lift of {words.plain(task)} by interactions of the {who}. {told}.")


def pareto_plot(report: TransferReport) -> Markup:
    """Two tasks' metrics on the test rows, a point for each weight, with lines to the figures of the single seeds; the
    undominated means are joined.
    """
    metrics = {one.task: one.metric for one in report.lifts}
    alone = {one.task: one.alone for one in report.lifts}
    first, second = report.pair
    signs = [direction(metrics[name]) for name in (first, second)]
    points = sorted(report.points, key=lambda point: point.x)
    front = [points[n] for n in undominated([(signs[0] * p.x, signs[1] * p.y) for p in points])]
    with canvas("pareto", PAIR) as plot:
        axes = plot.axes
        for point in points:
            for x, y in point.seeds:
                axes.plot([point.x, x], [point.y, y], color=FAINT, linewidth=0.6, marker=".", markevery=[1])
        axes.plot([p.x for p in front], [p.y for p in front], color=SERIES[0], linewidth=1)
        axes.plot([p.x for p in points], [p.y for p in points], "o", color=SERIES[0])
        for point in points:
            axes.annotate(f"{point.share:g}", (point.x, point.y), textcoords="offset points", xytext=(4, 4), fontsize=7)
        axes.axvline(alone[first], color=RULE)
        axes.axhline(alone[second], color=RULE)
        for axis, name, sign in ((axes.xaxis, first, signs[0]), (axes.yaxis, second, signs[1])):
            better = "" if sign > 0 else ", lower is better"
            axis.set_label_text(f"{words.plain(name)}: {words.metric(metrics[name])}{better}")
            axis.set_inverted(sign < 0)
        axes.set_title(f"Weight of {words.plain(first)}, of 1")
        told = "; ".join(f"{p.share:g}: {_spread(p, 0)} and {_spread(p, 1)}" for p in points)
        return plot.svg(f"Points: {words.plain(first)} and {words.plain(second)} by weight of the first. {told}.")


def _spread(point: Point, axis: int) -> str:
    """The mean, and the least and the most of the seeds."""
    ends = [each[axis] for each in point.seeds]
    return f"{words.figure((point.x, point.y)[axis])} ({words.figure(min(ends))} to {words.figure(max(ends))})"


def _who(one: Lift) -> str:
    return one.part.partition(" ")[0]


def _other(one: Lift) -> str:
    return next(name for name in one.together if name != one.task)
