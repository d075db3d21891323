"""What the cleaned data looks like: events by week, popularity of items, languages, stars and lengths of reviews."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec.lake import Lake
from tandemrec.report.scan import count_by

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """`per_item`: interactions of each item that has any, most first. `lengths`: reviews by number of characters."""

    events: Mapping[str, int]
    undated: int
    weeks: Mapping[str, Mapping[date, int]]
    per_item: Counts
    stars: Mapping[str, Mapping[float | None, int]]
    lengths: Mapping[int, int]

    @property
    def reviews(self) -> int:
        return sum(self.lengths.values())


def traffic(lake: Lake, positives: list[str]) -> Traffic:
    """Aggregations over column scans.

    Args:
        positives: the event types, and `review`, that count as an interaction.
    """
    week = pc.floor_temporal(pc.field("event_time"), unit="week").cast(pa.date32())
    by_week = count_by(lake, "events", {"event_type": pc.field("event_type"), "week": week}).to_pylist()
    events: dict[str, int] = {}
    weeks: dict[str, dict[date, int]] = {}
    undated = 0
    for row in sorted(by_week, key=lambda row: (row["event_type"], row["week"])):
        kind, rows = row["event_type"], row["rows"]
        events[kind] = events.get(kind, 0) + rows
        if row["week"].year < 1971:  # 1970-01-01 stands for no time
            undated += rows
        else:
            weeks.setdefault(kind, {})[row["week"]] = rows
    stars: dict[str, dict[float | None, int]] = {}
    for row in count_by(lake, "reviews", {k: pc.field(k) for k in ("language", "rating")}).to_pylist():
        stars.setdefault(row["language"], {})[row["rating"]] = row["rows"]
    lengths = count_by(lake, "reviews", {"length": pc.utf8_length(pc.field("clean_text"))})
    return Traffic(
        events=dict(sorted(events.items(), key=lambda entry: -entry[1])),
        undated=undated,
        weeks=weeks,
        per_item=_per_item(lake, positives),
        stars=dict(sorted(stars.items(), key=lambda entry: -sum(entry[1].values()))),
        lengths=dict(zip(lengths["length"].to_pylist(), lengths["rows"].to_pylist(), strict=True)),
    )


def _per_item(lake: Lake, positives: list[str]) -> Counts:
    done = count_by(lake, "events", {name: pc.field(name) for name in ("event_type", "item_id")})
    chosen = pc.is_in(done["event_type"].cast(pa.string()), pa.array(positives, pa.string()))
    counted = [done.filter(chosen).select(["item_id", "rows"])]
    if "review" in positives:
        counted.append(count_by(lake, "reviews", {"item_id": pc.field("item_id")}))
    item_rows = pa.schema({"item_id": pa.string(), "rows": pa.int64()})
    rows = pa.concat_tables([counts.cast(item_rows) for counts in counted])
    per_item = rows.group_by("item_id").aggregate([("rows", "sum")])["rows_sum"].to_numpy()
    return np.sort(per_item)[::-1].astype(np.int64)
