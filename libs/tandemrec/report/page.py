"""The report: one HTML file that asks no other host for anything. What is known goes in, what is not is said so."""

from collections import Counter
from datetime import timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

import tandemrec
from tandemrec.config import Settings
from tandemrec.ease import LARGEST
from tandemrec.lake import Lake, runs
from tandemrec.report import data_plots, model_plots, words
from tandemrec.report.intake import intakes, judgements, rejections
from tandemrec.report.learning import learning
from tandemrec.report.people import people, recommending_run, spread
from tandemrec.report.reproduce import libraries, settings_text
from tandemrec.report.scores import MODEL, at_cutoff, comparisons, curves, distinct, expectations, headlines, models
from tandemrec.report.tables import listed
from tandemrec.report.traffic import traffic

CONTACTS = 8
PICKS = 5


def render(lake: Lake, settings: Settings) -> str:
    """The page as text. The same lake and settings give the same page: it tells times of runs, not its own."""
    found = {stage: run for stage, run in runs.newest(lake).items() if stage != "report"}
    parts = _summary(found, settings) | _came_in(lake, found) | _data(lake, settings)
    parts |= _learned(found, settings) | _worth(lake, found, settings) | _people(lake, settings)
    return template("page.html").render(
        **parts,
        tables=listed(lake),
        settings_text=settings_text(settings),
        libraries=libraries(),
        seed=settings.seed,
        tabular=settings.tabular is not None,
    )


def template(name: str) -> Template:
    """A page of this package, with the filters that all pages share."""
    environment = Environment(
        loader=PackageLoader("tandemrec.report"),
        autoescape=True,  # titles and reviews are written by strangers
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("count", "figure", "share", "duration", "size", "moment", "day", "metric", "plain", "signed", "visible")
    environment.filters |= {name: getattr(words, name) for name in names}
    return environment.get_template(name)


def _summary(found: dict[str, runs.Run], settings: Settings) -> dict[str, Any]:
    stages = list(found.values())
    return {
        "stages": stages,
        "finished": max((run.started_at + timedelta(seconds=run.seconds) for run in stages), default=None),
        "durations": data_plots.durations(stages) if stages else None,
        "train": found.get("train"),
        "code_version": tandemrec.__version__,
        "sources": settings.sources,
        "data_root": settings.data.root.rstrip("/").rpartition("/")[2],
    }


def _came_in(lake: Lake, found: dict[str, runs.Run]) -> dict[str, Any]:
    figures = found["clean"].figures if "clean" in found else {}
    came_in = intakes(figures)
    rejected = rejections(lake, came_in)
    return {
        "intakes": came_in,
        "from_behaviour": (figures.get("items") or {}).get("from_behaviour", 0),
        "intake_plot": data_plots.intake(came_in) if came_in else None,
        "rejections": rejected,
        "judgements": judgements(lake),
        "reasons": data_plots.reasons(rejected) if rejected else None,
    }


def _data(lake: Lake, settings: Settings) -> dict[str, Any]:
    seen = traffic(lake, settings.examples.positives)
    return {
        "traffic": seen,
        "weekly": data_plots.weekly(seen) if seen.weeks else None,
        "long_tail": data_plots.long_tail(seen) if len(seen.per_item) > 1 else None,
        "stars": data_plots.stars(seen, settings.clean.high_rating)
        if any(s is not None for by in seen.stars.values() for s in by)
        else None,
        "lengths": data_plots.lengths(seen) if seen.lengths else None,
    }


def _learned(found: dict[str, runs.Run], settings: Settings) -> dict[str, Any]:
    figures = found["train"].figures if "train" in found else {}
    learned = learning(figures, settings.tasks, settings.train.stop_on)
    drawn = [model_plots.curve(panel, learned.best_epoch) for panel in learned.panels] if learned else []
    return {"learning": learned, "curves": drawn, "stop_on": settings.train.stop_on}


def _worth(lake: Lake, found: dict[str, runs.Run], settings: Settings) -> dict[str, Any]:
    run_id = found["train"].run_id if "train" in found else None
    compared = distinct(comparisons(lake, run_id, settings.tasks))
    names = models(compared)
    of_tasks = {name: [c for c in compared if c.task == name] for name in dict.fromkeys(c.task for c in compared)}
    ranked = [task.name for task in settings.tasks if task.kind == "next_item"]
    ranking = [c for task in ranked for c in at_cutoff(compared, task)]
    others = [name for name in of_tasks if name not in ranked]
    return {
        "of_tasks": {name: (found, models(found)) for name, found in of_tasks.items()},
        "models": names,
        "silent": [name for name in settings.evaluate.baselines if name not in names],
        "largest_of_ease": LARGEST,
        "standings": Counter(score.standing for c in compared for score in c.scores.values()),
        "untold": sum(s.lead is not None and s.standing is None for c in compared for s in c.scores.values()),
        "behind": [c for c in compared if c.baselines("behind")],
        "model": MODEL,
        "ranking_plot": model_plots.ranking(ranking, names) if ranking else None,
        "experience": [model_plots.experience(curve, names) for curve in curves(lake, run_id, settings.tasks)],
        "task_plots": [model_plots.task_metrics(name, of_tasks[name], names) for name in others],
        "expectations": expectations(compared, settings.tasks),
        "headlines": headlines(compared, settings.tasks),
        "resamples": settings.evaluate.resamples,
    }


def _people(lake: Lake, settings: Settings) -> dict[str, Any]:
    run_id = recommending_run(lake)
    chosen = spread(lake, settings.report.users) if run_id is not None else []
    shown = people(lake, chosen, run_id, positives=settings.examples.positives, contacts=CONTACTS, picks=PICKS)
    return {"people": shown, "recommending_run": run_id}
