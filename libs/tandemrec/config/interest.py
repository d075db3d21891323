"""Settings of what users are interested in, told from reviews: profiles, their summaries, an input of the model."""

import string
from datetime import UTC, datetime

from pydantic import Field, field_validator

from tandemrec.config.base import Section
from tandemrec.config.text import ModelName

PLACEHOLDERS = ("keywords", "reviews", "language")


class SummarySettings(Section):
    """A paragraph on each user by a language model that generates. Seconds a user on a processor."""

    model: ModelName = Field(
        default="package:smollm2_135m_instruct",
        description="a decoder, named as in embed.encoder.model",
    )
    template: str = Field(
        default="Here is what a customer of a shop cares about, and some of the customer's reviews.\n"
        "Keywords: {keywords}\nReviews (language: {language}):\n{reviews}\n"
        "Say in one paragraph what this customer is interested in and what they like and dislike.",
        description="the prompt, with {keywords}, {reviews} and {language} where they shall stand",
    )
    reviews: int = Field(default=3, ge=0, le=100, description="of the user, the last ones, that a prompt quotes")
    characters: int = Field(default=300, ge=1, le=10_000, description="of each of these that are quoted, at most")
    max_tokens: int = Field(default=80, ge=1, le=2048, description="of a summary")
    users: int = Field(default=1000, ge=1, description="those with the most reviews get one, the others none")
    commit_every: int = Field(default=50, ge=1, description="summaries in one commit: what a killed run loses at most")

    @field_validator("template")
    @classmethod
    def _is_filled(cls, template: str) -> str:
        try:
            names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
            if names <= set(PLACEHOLDERS):  # `{keywords:d}` is told here, and not by the first prompt
                template.format(**dict.fromkeys(PLACEHOLDERS, "some words"))
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"found {template!r}, expected a template: {error}") from None
        if not names or not names <= set(PLACEHOLDERS):
            raise ValueError(f"found placeholders {sorted(names)}, expected some of {list(PLACEHOLDERS)}")
        return template


class ProfileSettings(Section):
    """What a user's reviews tell of the user: terms with weight and sentiment.

    A term is a word or a phrase of a few words between stop words and punctuation. One that few people use says
    little of an interest and much of a person, so it is none.
    """

    max_keywords: int = Field(default=20, ge=1, le=1000, description="of a profile, the heaviest")
    half_life: float = Field(default=365.0, gt=0, description="days after which a review counts half")
    min_count: int = Field(default=1, ge=1, description="reviews of a user that name a term, for it to be a keyword")
    min_users: int = Field(default=2, ge=1, description="users that name a term, for it to be one")
    max_terms: int = Field(default=20_000, ge=1, le=1_000_000, description="those of the most users")
    longest: int = Field(default=3, ge=1, le=10, description="words of a phrase")
    prior: float = Field(default=2.0, ge=0, description="reviews that a user's mean weighs in the sentiment of a term")
    as_of: str | None = Field(default=None, description="ISO time: reviews strictly before it; null: all")
    summary: SummarySettings | None = Field(default=None, description="null: none is written")

    @field_validator("as_of")
    @classmethod
    def _is_iso(cls, text: str | None) -> str | None:
        if text is not None:
            moment_of(text)
        return text

    @property
    def moment(self) -> datetime | None:
        return None if self.as_of is None else moment_of(self.as_of)


class InterestSettings(Section):
    """Terms that the user's last reviews name, as an input of the user: a learned vector a term."""

    half_life: float = Field(default=4.0, gt=0, description="reviews after which a term counts half")


def moment_of(text: str) -> datetime:
    """An ISO time, UTC where it names no zone.

    Raises:
        ValueError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"found {text!r}, expected an ISO time such as 2024-05-31T00:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
