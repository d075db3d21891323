"""The stages as data: which job runs them, on which engine, what they read, write and depend on."""

from dataclasses import dataclass
from typing import Literal

import tandemrec
from tandemrec.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage. `module` has `run(spark, settings)` or, without Spark, `run(settings)`, and returns its figures.

    `settings` are the sections that a change of makes the stage run again; `reads` are tables whose new version does.
    `reads_model`: the stage reads the newest model, and its tables at the versions that this model was trained on.
    `of_rows`: it has something to do for tabular data, where there are neither users nor items nor texts. `recipe` is
    raised with every change of the code by which the same input becomes other rows: what the stage made before is not
    up to date then.
    """

    name: str
    module: str
    engine: Literal["spark", "ray", "none"]
    does: str
    settings: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    reads_model: bool = False
    of_rows: bool = True
    recipe: int = 1

    @property
    def code(self) -> str:
        """What tells the code of the stage apart, as gold.runs records it."""
        return tandemrec.__version__ if self.recipe == 1 else f"{tandemrec.__version__} recipe {self.recipe}"


_RAW = ("events_raw", "items_raw", "reviews_raw", "relations_raw", "rows_raw")
_SILVER = ("events", "items", "reviews", "rows")  # what examples are made of
_VOCABULARIES = ("users_vocabulary", "items_vocabulary", "texts_vocabulary", "attributes_vocabulary")
_GOLD = (*_VOCABULARIES, "item_features", "user_features", "examples")
_TERMS = ("terms_vocabulary", "text_terms")
# reviews: by models that read words
_LEARNED_FROM = (*_GOLD, "text_vectors", "reviews", "synthetic_texts", *_TERMS)

STAGES: tuple[Stage, ...] = (
    Stage(
        name="ingest",
        module="jobs.ingest",
        engine="spark",
        does="files as they are into bronze tables, each file once",
        settings=("data", "sources"),
        reads=(),
        writes=_RAW,
    ),
    Stage(
        name="clean",
        module="jobs.clean",
        engine="spark",
        does="bronze rows judged, converted and deduplicated into silver tables, with the history of items",
        settings=("sources", "clean", "tabular"),
        reads=_RAW,
        writes=(*_SILVER, "relations", "items_history", "categories", "quarantine"),
    ),
    Stage(
        name="embed",
        module="ray_train.embed_text",
        engine="ray",
        does="a vector for each text that has none",
        settings=("embed",),
        reads=("items", "reviews"),
        writes=("text_vectors", "texts_failed"),
        of_rows=False,
    ),
    Stage(
        name="examples",
        module="jobs.build_examples",
        engine="spark",
        does="vocabularies, histories and references as of each event, labels, splits",
        settings=("seed", "examples", "sources", "clean", "tabular"),
        reads=_SILVER,
        writes=_GOLD,
    ),
    Stage(
        name="augment",
        module="jobs.augment",
        engine="none",
        does="texts made from reviews of the training split, where the settings ask for them",
        settings=("seed", "tasks", "embed", "augment"),
        reads=("reviews", "users_vocabulary", "items_vocabulary", "examples"),
        writes=("synthetic_texts", "synthetic_tried", "texts_vocabulary", "text_vectors"),
        of_rows=False,
    ),
    Stage(
        name="profiles",
        module="jobs.build_profiles",
        engine="spark",
        does="what users are interested in, told from their reviews: keywords, sentiment, a vector",
        settings=("profiles", "clean"),
        reads=("reviews", "users_vocabulary", "texts_vocabulary", "examples", "text_vectors"),
        writes=(*_TERMS, "user_profiles"),
        of_rows=False,
    ),
    Stage(
        name="summarise",
        module="ray_train.summarise",
        engine="ray",
        does="a paragraph on each user by a language model, where profiles.summary asks for it",
        settings=("profiles",),
        reads=("user_profiles", "reviews"),
        writes=("user_summaries",),
        of_rows=False,
    ),
    Stage(
        name="train",
        module="ray_train.train",
        engine="ray",
        does="the multi-task model, with checkpoints",
        settings=("seed", "tasks", "model", "train", "embed", "augment"),
        reads=_LEARNED_FROM,
        writes=(),
    ),
    Stage(
        name="evaluate",
        module="ray_train.evaluate",
        engine="ray",
        does="metrics of the model and of the baselines on the test split",
        settings=("seed", "tasks", "model", "train", "embed", "evaluate"),
        reads=_LEARNED_FROM,
        writes=("metrics",),
        reads_model=True,
    ),
    Stage(
        name="predict",
        module="ray_train.predict",
        engine="ray",
        does="top items for every user and scores of the test pairs, into staging",
        settings=("seed", "tasks", "model", "train", "embed", "predict"),
        reads=_LEARNED_FROM,
        writes=("predictions_staging", "recommendations_staging"),
        reads_model=True,
        of_rows=False,
    ),
    Stage(
        name="publish",
        module="jobs.publish",
        engine="spark",
        does="staged rows merged into predictions and recommendations",
        settings=(),
        reads=("predictions_staging", "recommendations_staging"),
        writes=("predictions", "recommendations"),
        of_rows=False,
    ),
    Stage(
        name="report",
        module="jobs.report",
        engine="none",
        does="one HTML file of what came in, what was learned and what it is worth",
        settings=("report",),
        reads=("events", "items", "reviews", "quarantine", "metrics", "predictions", "recommendations"),
        writes=(),
    ),
)


def stage(name: str) -> Stage:
    for candidate in STAGES:
        if candidate.name == name:
            return candidate
    raise ConfigError(f"no stage {name!r}, expected one of {[s.name for s in STAGES]}")
