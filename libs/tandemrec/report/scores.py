"""The model against its baselines: who is better in what, and whether what is expected of the model holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow.compute as pc

from tandemrec.config import Task
from tandemrec.lake import Lake
from tandemrec.metrics import direction
from tandemrec.report.words import figure, metric, signed

MODEL = "tandemrec"
HEADLINE_CUTOFF = 10
SENTIMENT_F1 = 0.8


Standing = Literal["ahead", "level", "behind"]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A figure with its 95% interval, where it has one, and the rows or users it rests on. `lead` of a baseline is how
    much better the model is on the same rows, whichever way the metric goes.
    """

    value: float
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    lead: float | None = None
    lead_low: float | None = None
    lead_high: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Score":
        """From a row of gold.metrics."""
        return cls(**{name: row[name] for name in cls.__dataclass_fields__})

    @property
    def standing(self) -> Standing | None:
        """Of the model against this baseline: level where the interval of the lead holds 0, None where there is no
        interval: whether such a lead is more than chance nothing tells.
        """
        if self.lead_low is None or self.lead_high is None:
            return None
        if self.lead_low > 0:
            return "ahead"
        return "behind" if self.lead_high < 0 else "level"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One metric of one task for every model that has it."""

    task: str
    metric: str
    scores: dict[str, Score] = field(default_factory=dict)

    def better(self, a: float, b: float) -> bool:
        return direction(self.metric) * a > direction(self.metric) * b

    @property
    def best(self) -> frozenset[str]:
        """The models that no other beats; several where they are equal."""
        values = {name: score.value for name, score in self.scores.items()}
        return frozenset(n for n, v in values.items() if not any(self.better(other, v) for other in values.values()))

    def baselines(self, standing: Standing) -> list[str]:
        """Those that the model is ahead of, level with, or behind."""
        return [name for name, score in self.scores.items() if score.standing == standing]


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What is expected of the model. It is not shown where the interval of the lead allows both answers or there is
    none, and not measured where no lead was.
    """

    text: str
    answer: Literal["yes", "no", "not shown", "not measured"]
    because: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One metric of one task by number of training interactions of the user or the item: model -> band -> score."""

    task: str
    who: str
    metric: str
    scores: dict[str, dict[str, Score]] = field(default_factory=dict)

    @property
    def bands(self) -> list[str]:
        """From cold to warm."""
        return sorted({band for of_model in self.scores.values() for band in of_model}, key=_first_number)


def comparisons(lake: Lake, run_id: str | None, tasks: Sequence[Task]) -> list[Comparison]:
    """Every metric of the test split of a training run, tasks in the order of the settings."""
    rows = _measured(lake, run_id, pc.field("split") == "test")
    order = {task.name: number for number, task in enumerate(tasks)}
    rows.sort(key=lambda r: (order.get(r["task"], len(order)), r["task"], _cutoff(r["metric"]), r["metric"]))
    found: dict[tuple[str, str], Comparison] = {}
    for row in rows:
        key = (row["task"], row["metric"])
        comparison = found.setdefault(key, Comparison(task=key[0], metric=key[1]))
        comparison.scores[row["model"]] = Score.of(row)
    return list(found.values())


def distinct(found: Sequence[Comparison]) -> list[Comparison]:
    """Without recall@k where it is HR@k for every model: where each query asks for one item."""
    values = {(c.task, c.metric): {name: score.value for name, score in c.scores.items()} for c in found}

    def twin(c: Comparison) -> bool:
        name, _, cutoff = c.metric.partition("@")
        return name == "recall" and values.get((c.task, f"hr@{cutoff}")) == values[c.task, c.metric]

    return [c for c in found if not twin(c)]


def curves(lake: Lake, run_id: str | None, tasks: Sequence[Task]) -> list[Curve]:
    """The metrics of a training run by number of training interactions, tasks in the order of the settings."""
    order = {task.name: number for number, task in enumerate(tasks)}
    found: dict[tuple[str, str], Curve] = {}
    rows = _measured(lake, run_id, pc.starts_with(pc.field("split"), "test, "))
    rows.sort(key=lambda r: (order.get(r["task"], len(order)), r["task"], _first_number(r["split"])))
    for row in rows:
        who, _, band = row["split"].removeprefix("test, ").partition(" ")
        curve = found.setdefault((row["task"], who), Curve(task=row["task"], who=who, metric=row["metric"]))
        of_model = curve.scores.setdefault(row["model"], {})
        of_model[band] = Score.of(row)
    return [curve for curve in found.values() if len(curve.bands) > 1]


def models(found: Sequence[Comparison]) -> list[str]:
    """Every model that was measured, ours first."""
    return sorted({name for c in found for name in c.scores}, key=lambda name: (name != MODEL, name))


def at_cutoff(found: Sequence[Comparison], task: str) -> list[Comparison]:
    """The ranking metrics of a task at the headline's cut-off: 10, or the one nearest to it that was measured."""
    cutoffs = {_cutoff(c.metric) for c in found if c.task == task} - {0}
    if not cutoffs:
        return []
    chosen = min(cutoffs, key=lambda k: (abs(k - HEADLINE_CUTOFF), k))
    return [c for c in found if c.task == task and _cutoff(c.metric) == chosen]


def expectations(found: Sequence[Comparison], tasks: Sequence[Task]) -> list[Expectation]:
    """That the ranking beats popularity and a lone matrix factorisation, and that sentiment is read well; of these
    what the tasks and the baselines let one ask, which is what was measured.
    """
    ndcg, f1 = _ndcg(found, tasks), _one(found, "sentiment", "f1")
    expected = [
        _beats(ndcg, baseline, text)
        for baseline, text in (
            ("popularity", "beats popularity"),
            ("matrix_factorisation", "beats lone matrix factorisation"),
        )
        if ndcg is not None and {MODEL, baseline} <= set(ndcg.scores)
    ]
    if f1 is not None and MODEL in f1.scores:
        value = f1.scores[MODEL].value
        answer: Literal["yes", "no"] = "yes" if value > SENTIMENT_F1 else "no"
        expected.append(Expectation(text=f"sentiment F1 above {SENTIMENT_F1}", answer=answer, because=figure(value)))
    return expected


def headlines(found: Sequence[Comparison], tasks: Sequence[Task]) -> list[Comparison]:
    """The few figures of the model to show first: NDCG, sentiment's F1, error of the regressions and, of tabular data,
    how well yes or no, or one of several, is told.
    """
    wanted = [_ndcg(found, tasks), _one(found, "sentiment", "f1")]
    wanted += [_one(found, task.name, "rmse") for task in tasks if task.kind == "regression"]
    told = {"binary": "auc", "multiclass": "accuracy"}
    wanted += [_one(found, t.name, told[t.kind]) for t in tasks if "row" in t.reads and t.kind in told]
    return [comparison for comparison in wanted if comparison is not None and MODEL in comparison.scores]


def _measured(lake: Lake, run_id: str | None, split: Any) -> list[dict[str, Any]]:
    if run_id is None or not lake.exists("metrics"):
        return []
    rows: list[dict[str, Any]] = lake.read("metrics", where=(pc.field("run_id") == run_id) & split).to_pylist()
    return rows


def _first_number(band: str) -> int:
    """Of `item 11-20` or `11-20`: 11."""
    return int(band.rpartition(" ")[2].partition("-")[0].rstrip("+"))


def _ndcg(found: Sequence[Comparison], tasks: Sequence[Task]) -> Comparison | None:
    """NDCG of the first next-item task at the headline's cut-off."""
    task = next((task.name for task in tasks if task.kind == "next_item"), "")
    return next((c for c in at_cutoff(found, task) if c.metric.startswith("ndcg@")), None)


def _one(found: Sequence[Comparison], task: str, name: str) -> Comparison | None:
    return next((c for c in found if (c.task, c.metric) == (task, name)), None)


def _beats(ndcg: Comparison, baseline: str, text: str) -> Expectation:
    ours, theirs = ndcg.scores[MODEL], ndcg.scores[baseline]
    because = f"{metric(ndcg.metric)} {figure(ours.value)} against {figure(theirs.value)}"
    if theirs.lead_low is not None and theirs.lead_high is not None:
        because += f", a lead of {signed(theirs.lead)} ({signed(theirs.lead_low)} to {signed(theirs.lead_high)})"
    answer: Literal["yes", "no", "not shown", "not measured"] = "not shown"
    if theirs.lead is None:
        answer = "not measured"
    elif theirs.standing == "ahead":
        answer = "yes"
    elif theirs.standing == "behind" or ours.value <= theirs.value:
        answer = "no"
    return Expectation(text=text, answer=answer, because=because)


def _cutoff(name: str) -> int:
    cutoff = name.partition("@")[2]
    return int(cutoff) if cutoff.isdigit() else 0
