"""Settings of what comes after training: evaluate, predict, publish, report."""

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from tandemrec.config.base import Section
from tandemrec.config.places import in_the_way


def _is_page(path: str) -> str:
    if "://" in path or not path.endswith(".html"):
        raise ValueError(f"found {path!r}, expected a file of this machine whose name ends with .html")
    if (file := in_the_way(os.path.dirname(path) or ".")) is not None:
        raise ValueError(f"found {path!r}, and {file} is no folder, expected one")
    return path


Page = Annotated[str, AfterValidator(_is_page)]


class EvaluateSettings(Section):
    """How the model is measured on the test split, and against which baselines."""

    cutoffs: list[Annotated[int, Field(ge=1)]] = Field(
        default=[5, 10, 20], min_length=1, description="k of the ranking metrics"
    )
    baselines: list[Literal["popularity", "majority", "bias", "matrix_factorisation", "ease", "tfidf"]] = Field(
        default=["popularity", "majority", "bias", "matrix_factorisation", "ease", "tfidf"],
        description="what the model is compared with, each for the tasks that it can answer",
    )
    resamples: int = Field(default=500, ge=0, description="bootstrap resamples of the 95% intervals; 0: none")
    batch_size: int = Field(default=1024, ge=1, description="examples in one scoring batch")
    actors: int = Field(default=1, ge=1, description="processes that score, each with the model; they share the cores")


class PredictSettings(Section):
    """What is recommended to whom."""

    k: int = Field(default=20, ge=1, le=10_000, description="items that are recommended to each user, at most")
    exclude_seen: bool = Field(default=True, description="leave out what the user has already interacted with")
    batch_size: int = Field(default=1024, ge=1, description="users in one scoring batch")
    actors: int = Field(default=1, ge=1, description="processes that score, each with the model; they share the cores")


class ReportSettings(Section):
    """The HTML page."""

    path: Page | None = Field(
        default=None,
        description="the page, an .html file; what compare and transfer find lies beside it. A relative one counts "
        "from the working directory; null: reports/NAME/index.html, NAME the last folder of lake.root",
    )
    users: int = Field(default=6, ge=0, description="users shown with history and recommendations")
