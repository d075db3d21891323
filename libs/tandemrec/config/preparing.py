"""Settings of what turns logs into examples: clean and examples."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from tandemrec.config.base import Section
from tandemrec.config.behaviour import BehaviourSettings

Choice = Literal["click", "favourite", "cart", "purchase"]
"""What answers an exposure and has a column of labels of its own in the examples; others stand in `labels`."""


class NearDuplicateSettings(Section):
    """When two reviews of one item count as copies of each other, and how surely copies are found.

    Two texts of similarity s are compared with probability 1 - (1 - s^rows)^bands: .9998 at .8 by the defaults.
    """

    similarity: float = Field(
        default=0.8, gt=0, le=1, description="Jaccard similarity of the sets of shingles, at least"
    )
    shingle: int = Field(default=3, ge=1, le=20, description="words, or Chinese characters, in a row")
    shortest: int = Field(
        default=10, ge=1, description="shingles below which a text is let be: many people write `works as expected`"
    )
    bands: int = Field(
        default=16, ge=1, le=256, description="of a signature; two texts are compared where one band is the same"
    )
    rows: int = Field(default=4, ge=1, le=32, description="hash functions in a band")

    @model_validator(mode="after")
    def _are_found(self) -> "NearDuplicateSettings":
        found = 1 - (1 - self.similarity**self.rows) ** self.bands
        if found < 0.95:
            raise ValueError(
                f"{self.bands} bands of {self.rows} rows find {found:.0%} of the pairs of similarity "
                f"{self.similarity}, expected at least 95%: more bands or fewer rows"
            )
        return self


class CleanSettings(Section):
    """What is rejected of the raw rows, and how the others are converted."""

    now: str | None = Field(
        default=None, description="ISO time after which a date lies in the future; default: when the stage starts"
    )
    earliest: str = Field(default="1995-01-01T00:00:00Z", description="an event before this is rejected")
    rating_min: float = Field(
        default=1.0, description="the worst rating there is; one below it (an event, a review, an aspect) is rejected"
    )
    rating_max: float = Field(
        default=5.0,
        description="the best rating there is; one above it is rejected. Labels of sentiment: positive in the "
        "upper quarter of the range (4 and 5 of 5 stars), negative in the lowest",
    )
    unknown_items: Literal["reject", "keep"] = Field(
        default="reject", description="events and reviews of items that no items source describes, where there is one"
    )
    currency: str = Field(default="USD", description="of prices that name none")
    units: bool = Field(
        default=True, description="attributes that are wholly NUMBER UNIT in one unit a dimension: 12 in as 30.48 cm"
    )
    mask: list[Literal["url", "email", "phone"]] = Field(
        default=["url", "email", "phone"],
        description="what the title and clean_text of reviews show as [url], [email], [phone]; text stays as it came",
    )
    behaviour: BehaviourSettings = BehaviourSettings()
    emoji: Literal["keep", "name"] = Field(
        default="keep", description="name: the title and clean_text of reviews say :thumbs_up_sign: for the sign"
    )
    stop_words: list[str] = Field(default_factory=list, description="beside the library's, for every language")
    min_review_length: int = Field(
        default=0, ge=0, description="letters and digits in clean_text; a review of fewer is rejected"
    )
    near_duplicates: NearDuplicateSettings | None = Field(
        default=None, description="reject reviews that repeat an earlier one of the same item; null: keep them"
    )

    @field_validator("now", "earliest")
    @classmethod
    def _is_iso(cls, text: str | None) -> str | None:
        try:
            datetime.fromisoformat(text or "1970-01-01")
        except ValueError:
            raise ValueError(f"found {text!r}, expected an ISO time such as 2024-05-31T00:00:00Z") from None
        return text

    @model_validator(mode="after")
    def _range(self) -> "CleanSettings":
        if not self.rating_min < self.rating_max:
            raise ValueError(f"rating_min is {self.rating_min}, expected below rating_max, which is {self.rating_max}")
        return self

    @property
    def low_rating(self) -> float:
        """A rating of at most this is negative: of 1 to 5 stars 2, the lowest quarter of the range."""
        return self.rating_min + (self.rating_max - self.rating_min) / 4

    @property
    def high_rating(self) -> float:
        """A rating of at least this is positive: of 1 to 5 stars 4."""
        return self.rating_max - (self.rating_max - self.rating_min) / 4


class ExamplesSettings(Section):
    """Which rows the model learns from and how they are split.

    `positives` are the event types that count as an interaction for next item, histories and candidates; `review`
    stands for a review written, which is how data without behaviour logs (reviews only) is read.
    """

    positives: list[str] = Field(
        default=["click", "favourite", "cart", "purchase", "rating", "review"],
        min_length=1,
        description="event types that count as an interaction; review: a review written",
    )
    targets: list[str] = Field(
        default=[],
        description="positives that next item predicts; default: all of them",
    )
    exposure: Literal["view"] | None = Field(
        default="view", description="event type that shows an item without choosing it: rows of the choices"
    )
    choices: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={"click": 24.0, "purchase": 168.0},
        description="event types that answer an exposure, any of clean.behaviour.strengths, each a label of its own, "
        "and how many hours after the view",
    )
    open_windows: Literal["count", "leave"] = Field(
        default="count",
        description="views whose hours for a choice are not over when their split, or the log, ends: count: 0 where "
        "nothing came of them by then; leave: no label, whatever came of them",
    )
    negatives: int = Field(
        default=0,
        ge=0,
        description="without exposures: random items a positive is set against, for each of the choices",
    )
    history_length: int = Field(
        default=20, ge=1, le=1000, description="a user's last items that an example and a prediction know"
    )
    user_reviews: int = Field(default=8, ge=0, le=1000, description="a user's last reviews an example refers to")
    item_reviews: int = Field(default=8, ge=0, le=1000, description="an item's last reviews an example refers to")
    split: Literal["time", "leave_one_out", "random", "given"] = Field(
        default="time", description="given: by the column `split` of the sources"
    )
    known: Literal["before", "train"] = Field(
        default="before",
        description="what a row's history and references hold: what came before it; train: all that the training "
        "split holds but the row itself, whatever its time, as the protocol of random splits has it",
    )
    valid_share: float = Field(default=0.1, gt=0, lt=0.5, description="of time or random: the share of events")
    test_share: float = Field(default=0.1, gt=0, lt=0.5, description="the same of the test split")
    min_category_items: int = Field(default=1, ge=1, description="rarer categories share one index")
    attributes: dict[str, Literal["index", "one_hot"]] = Field(
        default_factory=dict,
        description="attributes of items that become features, {colour: one_hot}: index is the place in the "
        "vocabulary, one_hot a 0 or 1 for each value in it",
    )
    item_labels: list[str] = Field(
        default=[],
        description="what is known of items that becomes a label of their reviews, `item.NAME`, for tasks that read "
        "these: brand, price (its tenth among the prices of its currency, from 1), some of attributes",
    )
    one_hot_values: int = Field(default=256, ge=1, description="an attribute with more values is refused as one_hot")

    @model_validator(mode="after")
    def _names_fit(self) -> "ExamplesSettings":
        if taken := {"user", "item", "text", "category", "brand"}.intersection(self.attributes):
            raise ValueError(f"attributes has {sorted(taken)}, which stand for columns of silver, expected other names")
        known = {"brand", "price", *self.attributes}
        if unknown := sorted(set(self.item_labels) - known):
            raise ValueError(f"item_labels has {unknown}, expected some of {sorted(known)}; category is a label always")
        if extra := set(self.targets) - set(self.positives):
            raise ValueError(f"targets has {sorted(extra)}, which positives lacks")
        if self.known == "train" and self.split not in ("random", "given"):
            raise ValueError(f"known is train and split is {self.split}, expected random or given: time tells the rest")
        return self
