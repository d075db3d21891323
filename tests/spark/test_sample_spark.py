"""The sample written by Spark: one content at any partitioning, its dirt found again, its skew as stated."""

import json
from collections import Counter
from pathlib import Path

import pytest

from jobs import clean, ingest
from tandemrec.config import load_settings
from tandemrec.errors import ConfigError
from tandemrec.lake import Lake
from tandemrec.sample import dirt
from tandemrec.sample.spark import generate

CONF = Path(__file__).parents[2] / "conf" / "local.yaml"
SIZES = {"users": 300, "items": 1500, "events": 30_000, "reviews": 1_000, "seed": 5}


@pytest.fixture(scope="module")
def sample(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "out"
    return folder, generate(spark, folder, **SIZES, partitions=7)


def lines_of(folder: Path) -> dict[str, Counter[str]]:
    """The lines of each set of files, wherever they stand."""
    found: dict[str, Counter[str]] = {}
    for path in folder.rglob("*.*"):
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        found.setdefault(str(path.parent.relative_to(folder)), Counter()).update(lines)
    return found


def test_content_is_the_same_at_any_partitioning_and_another_with_another_seed(spark, sample, tmp_path):
    folder, planted = sample
    assert generate(spark, tmp_path / "one", **SIZES, partitions=1) == planted
    assert len(list((folder / "events").iterdir())) == 7
    assert len(list((tmp_path / "one" / "events").iterdir())) == 1
    assert lines_of(tmp_path / "one") == lines_of(folder)
    generate(spark, tmp_path / "other", **SIZES | {"seed": 6, "events": 1000})
    first = lines_of(tmp_path / "other")["events"]
    assert sum((first & lines_of(folder)["events"]).values()) < 20


def test_items_are_skewed_as_stated(sample):
    """Item 0 has 3%; the others fall off as (rank + 9)^-1.1, within the noise of so many draws."""
    drawn: Counter[int] = Counter()
    for line, times in lines_of(sample[0])["events"].items():
        try:
            item = (json.loads(line).get("sku") or "").strip()
        except (ValueError, AttributeError):
            continue
        if item.startswith("S"):
            drawn[int(item[1:])] += times
    total = sum(drawn.values())
    assert drawn.most_common(1)[0][0] == 1
    assert drawn[1] / total == pytest.approx(0.03, abs=0.004)

    # A visit shows three items, one of them three times: some 18,000 draws.
    def mass(low: int, high: int) -> float:
        return (low + 9) ** -0.1 - (high + 9) ** -0.1

    for low, high in ((1, 10), (10, 100), (100, 1000), (1000, 1500)):
        expected = 0.97 * mass(low, high) / mass(1, 1500)
        assert sum(drawn[rank + 1] for rank in range(low, high)) / total == pytest.approx(expected, rel=0.1)


@pytest.mark.slow
def test_what_was_planted_is_what_is_found(spark, sample, tmp_path):
    folder, planted = sample
    assert json.loads((folder / "planted.json").read_text())["events"]["kept"] == SIZES["events"]
    for table, rates in (("events", dirt.EVENT_RATES), ("reviews", dirt.REVIEW_RATES)):
        counts = {**getattr(planted, table).merged, **getattr(planted, table).rejected}
        for code, rate in rates.items():
            expected = rate * SIZES[table]
            assert abs(counts[code] - expected) < 5 * expected**0.5, (table, code)
    settings = load_settings(
        CONF, [f"data.root={folder}", f"lake.root={tmp_path / 'lake'}", f"clean.now='{planted.now}'"]
    )
    ingest.run(spark, settings)
    figures = clean.run(spark, settings)
    for table in ("events", "items", "reviews"):
        expected = getattr(planted, table)
        assert figures[table] == {
            "in": expected.rows,
            "kept": expected.kept,
            **({"former": expected.former} if table == "items" else {}),
            "merged": sum(expected.merged.values()),
            "rejected": {reason: count for reason, count in expected.rejected.items() if count},
        }, table
    items = Lake(str(tmp_path / "lake")).read("items").to_pylist()
    assert sum(item["price"] is None for item in items) == planted.prices_unreadable
    assert len({item["brand"] for item in items}) == planted.brands


def test_refuses_more_events_than_the_year_has_seconds(spark, tmp_path):
    with pytest.raises(ConfigError, match="events is 31536001, expected at most 31536000"):
        generate(spark, tmp_path / "out", **SIZES | {"events": 31_536_001})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["users", "items"])
def test_lines_of_nobody_and_of_nothing_are_not_written(tmp_path, name):
    sizes = {"users": 9, "items": 9, "events": 9, "reviews": 9, "seed": 1, name: 0}
    with pytest.raises(ConfigError, match=f"^{name} is 0, expected 1 or more"):
        generate(None, tmp_path / "out", **sizes)
