"""The sample against a small reader of its own: nothing here calls the generator's code to judge what it wrote."""

import csv
import gzip
import hashlib
import html
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter, defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tandemrec.config import load_settings
from tandemrec.errors import ConfigError
from tandemrec.sample import generate

SIZES = {"users": 300, "items": 200, "events": 9_000, "reviews": 1_200, "seed": 7}
NOW, EARLIEST = datetime(2026, 1, 1, tzinfo=UTC), datetime(1995, 1, 1, tzinfo=UTC)
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "out"
    return folder, generate(folder, **SIZES)


def lines_of(folder: Path) -> list[str]:
    lines = []
    for path in sorted(folder.iterdir()):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8", newline="\n") as file:
            lines += file.read().split("\n")[:-1]
    return lines


def parsed(line: str) -> dict | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def moment(value) -> tuple[datetime | None, str]:
    """The moment and which of the three formats it is written in."""
    if isinstance(value, int):
        return datetime.fromtimestamp(value / 1000, tz=UTC), "epoch_ms"
    for pattern, name in (("%Y-%m-%dT%H:%M:%SZ", "iso"), ("%d/%m/%Y %H:%M:%S", "slash")):
        try:
            return datetime.strptime(value or "", pattern).replace(tzinfo=UTC), name
        except ValueError:
            continue
    return None, "none"


def blank(value) -> bool:
    return value is None or not value.strip()


def plain(text: str) -> tuple[str, str]:
    """The words in lower case, once with tags and unseen characters left out and once with a space in their place.

    A cleaner may do either, so what is planted must read the same under both.
    """
    readings = []
    for gap in ("", " "):
        resolved = html.unescape(re.sub(r"<[^>]*>", gap, text))
        seen = "".join(gap if unicodedata.category(c) in ("Cc", "Cf") and c != "\n" else c for c in resolved)
        readings.append(" ".join(seen.split()).lower())
    return readings[0], readings[1]


def time_problem(when: datetime | None) -> str | None:
    if when is None:
        return "time_unreadable"
    return "time_in_future" if when >= NOW else "time_too_early" if when < EARLIEST else None


def item_ids(folder: Path) -> set[str]:
    return {row["sku"] for row in item_rows(folder) if not blank(row["sku"])}


def item_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "items" / "items.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check(counts, rows: int, kept: int, merged: Counter, rejected: Counter, former: int = 0) -> None:
    assert (counts.rows, counts.kept, counts.former) == (rows, kept, former)
    assert dict(counts.merged) == dict(merged)
    assert dict(counts.rejected) == dict(rejected)
    assert counts.rows == counts.kept + former + sum(counts.merged.values()) + sum(counts.rejected.values())
    assert all(n >= 2 for n in (*counts.merged.values(), *counts.rejected.values()))


def event_reason(record: dict | None, known: set[str]) -> str | None:
    if record is None:
        return "broken_json"
    if blank(record.get("uid")):
        return "user_id_missing"
    if blank(record.get("sku")):
        return "item_id_missing"
    if (record["action"] or "").lower() not in ("pv", "click", "fav", "cart", "buy", "rate"):
        return "event_type_unknown"
    if problem := time_problem(moment(record["ts"])[0]):
        return problem
    if record["action"].lower() == "rate" and record.get("stars") not in (1, 2, 3, 4, 5):
        return "rating_out_of_range"
    return None if record["sku"].strip() in known else "item_unknown"


def event_key(record: dict) -> tuple:
    return record["uid"].strip(), record["sku"].strip(), record["action"].lower(), moment(record["ts"])[0]


def clean_events(folder: Path) -> dict[tuple, dict]:
    known = item_ids(folder)
    records = [record for record in map(parsed, lines_of(folder / "events")) if event_reason(record, known) is None]
    return {event_key(record): record for record in records}


def test_events_hold_what_was_planted(sample):
    folder, planted = sample
    known, rejected, merged, formats, seen = item_ids(folder), Counter(), Counter(), Counter(), {}
    lines = lines_of(folder / "events")
    for line in lines:
        record = parsed(line)
        if record is not None and moment(record["ts"])[0] is not None:
            formats[moment(record["ts"])[1]] += 1
        if reason := event_reason(record, known):
            rejected[reason] += 1
        else:
            seen.setdefault(event_key(record), []).append(line)
    for copies in seen.values():
        assert len(copies) <= 2
        if len(copies) == 2:
            merged["exact" if copies[0] == copies[1] else "near"] += 1
    check(planted.events, len(lines), len(seen), merged, rejected)
    assert dict(planted.time_formats) == dict(formats)
    assert SIZES["events"] * 0.97 < planted.events.kept <= SIZES["events"]


def test_reviews_and_items_hold_what_was_planted(sample):
    folder, planted = sample
    known, rejected, merged, seen, texts = item_ids(folder), Counter(), Counter(), {}, []
    lines = lines_of(folder / "reviews")
    for line in lines:
        record = parsed(line)
        if record is None:
            reason = "broken_json"
        else:
            texts.append(record["body"])
            reason = (
                ("user_id_missing" if blank(record.get("uid")) else None)
                or ("item_id_missing" if blank(record.get("sku")) else None)
                or time_problem(moment(record["posted"])[0])
                or ("rating_out_of_range" if record["stars"] not in (1, 2, 3, 4, 5) else None)
                or ("text_empty" if plain(record["headline"] + record["body"]) == ("", "") else None)
                or (None if record["sku"] in known else "item_unknown")
            )
        if reason:
            rejected[reason] += 1
        else:
            key = record["uid"], record["sku"], plain(record["headline"]), plain(record["body"])
            seen.setdefault(key, []).append((record["rid"], line))
    for copies in seen.values():
        if len(copies) == 2:
            exact = copies[0] == copies[1]
            assert exact or copies[0][0] != copies[1][0]
            merged["exact" if exact else "near"] += 1
    check(planted.reviews, len(lines), len(seen), merged, rejected)
    assert planted.reviews.kept == SIZES["reviews"]
    assert len({key[:2] for key in seen}) == len(seen)

    rows = item_rows(folder)
    by_id = defaultdict(list)
    for row in rows:
        by_id[row["sku"].strip()].append(row)
    without_id = by_id.pop("")
    twice = [copies for copies in by_id.values() if len(copies) == 2]
    exact = sum(first == second for first, second in twice)
    rejected = Counter(item_id_missing=len(without_id))
    check(planted.items, len(rows), SIZES["items"], Counter(exact=exact), rejected, former=len(twice) - exact)
    assert planted.items.former >= 2
    latest = [max(copies, key=lambda row: row["updated"]) for copies in by_id.values()]
    assert all(first == second or first["updated"] != second["updated"] for first, second in twice)
    assert planted.prices_unreadable == sum(not re.fullmatch(r"\d+\.\d\d", row["price_usd"]) for row in latest) > 0
    assert planted.brands == len({row["maker"].strip().lower() for row in latest})
    assert any("\n" in row["details"] and "," in row["details"] for row in rows)

    texts += [row["details"] for row in rows]
    tag_or_entity = re.compile(r"<[^<>]+>|&(#\d+|\w+);")
    assert planted.html == sum(bool(tag_or_entity.search(text)) for text in texts) > 0
    unseen = [any(unicodedata.category(c) in ("Cc", "Cf") and c != "\n" for c in text) for text in texts]
    assert planted.control_characters == sum(unseen) > 0
    assert json.loads((folder / "planted.json").read_text())["reviews"]["kept"] == planted.reviews.kept


def test_the_funnel_runs_in_order_and_reviews_come_after(sample):
    folder, _ = sample
    times = defaultdict(list)
    for user, item, action, when in clean_events(folder):
        times[user, item, action].append(when)

    def latest_before(user, item, action, when):
        return max((t for t in times[user, item, action] if t < when), default=None)

    follows = {"click": ("pv", 180), "fav": ("click", 300), "cart": ("click", 1500), "buy": ("cart", 2 * 86_400)}
    checked = Counter()
    for (user, item, action), moments in list(times.items()):
        for when in moments:
            if action in follows:
                cause, within = follows[action]
                assert any(0 < (when - t).total_seconds() <= within for t in times[user, item, cause])
            elif action == "rate":
                assert latest_before(user, item, "buy", when)
            checked[action] += 1
    assert all(checked[action] > 100 for action in (*follows, "rate"))
    assert all(len(moments) == 1 for (_, _, action), moments in times.items() if action in ("buy", "rate"))

    stars = {key[:2]: record["stars"] for key, record in clean_events(folder).items() if key[2] == "rate"}
    agreeing = Counter()
    for record in filter(None, map(parsed, lines_of(folder / "reviews"))):
        when = moment(record["posted"])[0]
        pair = record.get("uid"), record.get("sku")
        if record["stars"] in (1, 2, 3, 4, 5) and time_problem(when) is None and pair in stars:
            agreeing[stars[pair] == record["stars"]] += 1
            assert latest_before(*pair, "buy", when)
    assert agreeing[False] == 0 < agreeing[True]


def digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        total.update(path.relative_to(folder).as_posix().encode() + (path.read_bytes() if path.is_file() else b""))
    return total.hexdigest()


def test_the_same_arguments_give_the_same_bytes_in_another_process(sample, tmp_path):
    folder, _ = sample
    code = f"from tandemrec.sample import generate; generate('again', **{SIZES!r})"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONHASHSEED": "123"})
    assert digest(tmp_path / "again") == digest(folder)
    generate(tmp_path / "again", **SIZES | {"seed": 8})
    assert digest(tmp_path / "again") != digest(folder)


def test_a_run_that_fails_leaves_nothing_half(tmp_path, monkeypatch):
    monkeypatch.setattr("tandemrec.sample.generator.write_reviews", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        generate(tmp_path / "out", **SIZES)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_other_files_and_tiny_sizes_are_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds files that are no sample"):
        generate(tmp_path, **SIZES)
    with pytest.raises(ConfigError, match="items is 3, expected at least"):
        generate(tmp_path / "out", **SIZES | {"items": 3})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_local_settings_name_the_fields_that_the_sample_writes(sample):
    folder, planted = sample
    settings = load_settings(REPOSITORY / "conf" / "local.yaml")
    assert settings.clean.now == planted.now
    events, items, reviews = settings.sources
    assert set(items.columns.values()) == set(item_rows(folder)[0])
    for source, lines in ((events, lines_of(folder / "events")), (reviews, lines_of(folder / "reviews"))):
        fields = {field for record in filter(None, map(parsed, lines)) for field in record}
        assert set(source.columns.values()) == fields - {"sid"}
        assert list(folder.glob(source.path))
    assert set(events.event_types) == {key[2] for key in clean_events(folder)}
