"""Write the three sets of files, and planted.json from figures taken while they are written."""

from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import Column, DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from tandemrec.errors import ConfigError
from tandemrec.sample.behaviour import YEAR
from tandemrec.sample.dirt import EVENT_RATES, HTML, REVIEW_RATES, UNSEEN, by_code
from tandemrec.sample.files import MARKER, whole_or_nothing, write_text
from tandemrec.sample.item_list import NO_PRICE
from tandemrec.sample.listing import COLUMNS
from tandemrec.sample.moments import FORMATS
from tandemrec.sample.planted import Planted
from tandemrec.sample.spark.events import event_lines
from tandemrec.sample.spark.items import RATES, item_rows
from tandemrec.sample.spark.reviews import review_lines

LINES_PER_FILE = 500_000


def generate(
    spark: SparkSession,
    out: str | Path,
    *,
    users: int,
    items: int,
    events: int,
    reviews: int,
    seed: int,
    partitions: int | None = None,
) -> Planted:
    """Write out/events/*.jsonl, out/items/items.csv, out/reviews/*.jsonl and planted.json, as `sample.generate` does.

    `out` is a folder that the driver and all executors see. Duplicates, broken lines and the like come at the rates of
    `sample.dirt`, each beside the good line that it was copied from, so that what cleaning has to find is known.

    Args:
        partitions: of each set of files; default: a file for each half a million good lines. It decides how the lines
            are spread over files and nothing else.

    Raises:
        ConfigError: no user or no item, more events or reviews than the year has seconds, or `out` holds something else
            than a sample.
    """
    for name, size in (("users", users), ("items", items)):
        if size < 1:
            raise ConfigError(f"{name} is {size}, expected 1 or more: each line is of one")
    for name, size in (("events", events), ("reviews", reviews)):
        if size > YEAR:
            raise ConfigError(f"{name} is {size}, expected at most {YEAR}: one for each second of the year")

    def numbered(rows: int) -> DataFrame:
        return spark.range(0, rows, 1, partitions or -(-rows // LINES_PER_FILE) or 1)

    with whole_or_nothing(Path(out)) as folder:
        lines = event_lines(numbered(events), users=users, items=items, events=events, seed=seed)
        of_events = _write_lines(lines, folder / "events", EVENT_RATES, _time_formats())
        rows = item_rows(numbered(items), items=items, seed=seed)
        described = _write_table(rows, folder / "items", RATES, _marks("details") | _catalogue())
        lines = review_lines(numbered(reviews), users=users, items=items, reviews=reviews, seed=seed)
        of_reviews = _write_lines(lines, folder / "reviews", REVIEW_RATES, _marks("body"))
        planted = Planted(
            events=by_code(of_events["kept"], of_events, EVENT_RATES),
            items=by_code(described["kept"], described, RATES),
            reviews=by_code(of_reviews["kept"], of_reviews, REVIEW_RATES),
            time_formats={form: of_events[form] for form in FORMATS},
            html=described["html"] + of_reviews["html"],
            control_characters=described["control_characters"] + of_reviews["control_characters"],
            prices_unreadable=described["prices_unreadable"],
            brands=described["brands"].bit_count(),
        )
        write_text(folder / MARKER, planted.to_json())
    return planted


def _write_lines(
    lines: DataFrame, folder: Path, rates: Mapping[str, float], figures: Mapping[str, Column]
) -> dict[str, int]:
    counted, seen = _observed(lines, rates, figures)
    counted.select("value").write.text(str(folder))
    for number, part in enumerate(sorted(folder.glob("part-*")), start=1):
        part.rename(folder / f"{folder.name}-{number:04d}.jsonl")
    _drop_marks(folder)
    return {name: int(value or 0) for name, value in seen.get.items()}


def _write_table(
    rows: DataFrame, folder: Path, rates: Mapping[str, float], figures: Mapping[str, Column]
) -> dict[str, int]:
    """One file: a csv with line breaks inside its cells is read by one task anyway."""
    counted, seen = _observed(rows, rates, figures)
    as_it_is = {"ignoreLeadingWhiteSpace": "false", "ignoreTrailingWhiteSpace": "false"}
    counted.select(*COLUMNS).coalesce(1).write.csv(str(folder), header=True, escape='"', **as_it_is)
    next(folder.glob("part-*")).rename(folder / f"{folder.name}.csv")
    _drop_marks(folder)
    return {name: int(value or 0) for name, value in seen.get.items()}


def _observed(
    lines: DataFrame, rates: Mapping[str, float], figures: Mapping[str, Column]
) -> tuple[DataFrame, Observation]:
    """Lines that are counted when they are written: by defect, `kept`, and these figures."""
    by_defect = {code: F.count_if(F.col("defect") == code) for code in rates} | {
        "kept": F.count_if(F.col("defect").isNull())
    }
    seen = Observation()
    return lines.observe(seen, *[value.alias(name) for name, value in {**by_defect, **figures}.items()]), seen


def _time_formats() -> dict[str, Column]:
    return {form: F.count_if(F.col("form") == form) for form in FORMATS}


def _marks(text: str) -> dict[str, Column]:
    patterns = {"html": f"(?i){HTML.pattern}", "control_characters": UNSEEN.pattern}
    return {name: F.count_if(F.col(text).rlike(pattern)) for name, pattern in patterns.items()}


def _catalogue() -> dict[str, Column]:
    """Items that stay: how many have no price, and a set of their brands' numbers as bits."""
    stays = F.col("defect").isNull()
    return {
        "prices_unreadable": F.count_if(stays & F.col("price_usd").isin(*NO_PRICE)),
        "brands": F.bit_or(F.when(stays, F.expr("shiftleft(1L, brand)"))),
    }


def _drop_marks(folder: Path) -> None:
    """Spark's own marks of success and its checksums."""
    for path in [*folder.glob("_*"), *folder.glob(".*.crc")]:
        path.unlink()
