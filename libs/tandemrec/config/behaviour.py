"""Settings of behaviour: which kinds of events there are, what each is worth, and what is no person's doing."""

from pydantic import Field, field_validator, model_validator

from tandemrec.config.base import Section

STRENGTHS = {"view": 0.1, "click": 1.0, "favourite": 2.0, "cart": 3.0, "purchase": 4.0, "rating": 5.0}


class BehaviourSettings(Section):
    """What cleaning makes of events. Rules of time spare sources that have no time."""

    strengths: dict[str, float] = Field(
        default=STRENGTHS,
        min_length=1,
        description="the event types, and how much one says of a preference (column strength); of two at the same "
        "time the weaker comes first. `rating` carries stars; examples give view, click and purchase their meaning",
    )
    session_gap_minutes: float = Field(default=30.0, gt=0, description="a session ends with a pause longer than this")
    repeat_seconds: dict[str, float] = Field(
        default={},
        description="by event type: the same on the same item, at most this long after the one before, is one event "
        "with a count; types that are not named are never merged",
    )
    max_events_per_minute: int | None = Field(
        default=None,
        ge=1,
        description="a user's events of a calendar minute that holds more are rejected: too_fast; null: no limit",
    )
    max_user_share: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="a user with a larger share of all events is rejected whole: user_outlier; null: no limit",
    )

    @field_validator("strengths")
    @classmethod
    def _names_are_plain(cls, strengths: dict[str, float]) -> dict[str, float]:
        if odd := [name for name in strengths if name != name.strip().lower() or not name]:
            raise ValueError(f"has {odd}, expected names in lower case without spaces around them")
        if "review" in strengths:
            raise ValueError("has 'review', expected another name: it stands for a review written")
        return strengths

    @model_validator(mode="after")
    def _repeats_are_known(self) -> "BehaviourSettings":
        if unknown := sorted(set(self.repeat_seconds) - set(self.strengths)):
            raise ValueError(f"repeat_seconds has {unknown}, expected some of {list(self.strengths)}")
        if short := {name: seconds for name, seconds in self.repeat_seconds.items() if seconds <= 0}:
            raise ValueError(f"repeat_seconds has {short}, expected more than 0")
        return self

    @property
    def event_types(self) -> tuple[str, ...]:
        """From the weakest to the strongest."""
        return tuple(sorted(self.strengths, key=lambda name: (self.strengths[name], name)))
