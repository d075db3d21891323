"""Settings of what comes after training: evaluate, predict, publish, report."""

from typing import Literal

from pydantic import Field

from tandemrec.config.base import Section


class EvaluateSettings(Section):
    cutoffs: list[int] = Field(default=[5, 10, 20], min_length=1, description="k of the ranking metrics")
    baselines: list[Literal["popularity", "majority", "bias", "matrix_factorisation", "ease", "tfidf"]] = Field(
        default=["popularity", "majority", "bias", "matrix_factorisation", "ease", "tfidf"]
    )
    resamples: int = Field(default=500, ge=0, description="bootstrap resamples of the 95% intervals; 0: none")
    batch_size: int = Field(default=1024, ge=1, description="examples in one scoring batch")
    actors: int = Field(default=1, ge=1)


class PredictSettings(Section):
    k: int = Field(default=20, ge=1, le=10_000)
    exclude_seen: bool = Field(default=True, description="leave out what the user has already interacted with")
    batch_size: int = Field(default=1024, ge=1, description="users in one scoring batch")
    actors: int = Field(default=1, ge=1)


class ReportSettings(Section):
    path: str = Field(default="reports/report/index.html")
    users: int = Field(default=6, ge=0, description="users shown with history and recommendations")
