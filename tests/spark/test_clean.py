"""The stage: bronze to silver and quarantine, balanced, and nothing changes when it runs again."""

import json

import pytest

from jobs import clean, ingest
from tandemrec.clean.balance import Balance
from tandemrec.config import parse_settings
from tandemrec.errors import ConfigError, SourceError, TableError
from tandemrec.lake import Lake

AT = "2025-03-01T12:34:56Z"
WRITTEN = ("events", "items", "items_history", "categories", "reviews", "quarantine")
GOOD = {"u": "a", "i": "1", "t": "click", "at": AT}


def settings(folder, *, items=True, columns=None, **sections):
    columns = columns or {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at"}
    events = {"name": "logs", "table": "events", "kind": "json", "path": "logs.json", "columns": columns}
    shop = {
        "name": "shop",
        "table": "items",
        "kind": "csv",
        "path": "shop.csv",
        "columns": {"item_id": "id", "title": "name"},
    }
    return parse_settings(
        {
            "data": {"root": str(folder)},
            "lake": {"root": str(folder / "lake")},
            "sources": [events, shop] if items else [events],
        }
        | sections
    )


def write(folder, events):
    (folder / "logs.json").write_text("".join(f"{json.dumps(event)}\n" for event in events))
    (folder / "shop.csv").write_text("id,name\n1,Pedal\n2,Amp\n")


def rows(folder, table):
    return Lake(str(folder / "lake")).read(table).to_pylist()


def test_a_run_balances_and_a_second_changes_no_row(spark, tmp_path, capsys):
    unheard_of = [GOOD | {"t": name} for name in ("buy", "Buy", "pv", "a", "b", None, None)]
    write(tmp_path, [GOOD, GOOD, GOOD | {"i": "zzz"}, GOOD | {"u": None}, GOOD | {"i": "2"}, *unheard_of])
    chosen = settings(tmp_path, clean={"now": "2026-01-01"})
    ingest.run(spark, chosen)
    figures = clean.run(spark, chosen)
    assert figures["events"] == {
        "in": 12,
        "kept": 2,
        "merged": 1,
        "rejected": {"event_type_unknown": 7, "item_unknown": 1, "user_id_missing": 1},
    }
    assert figures["items"] == {"in": 2, "kept": 2, "merged": 0, "rejected": {}}
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "events: 12 in = 2 kept + 1 merged + 9 rejected" in said
    place = "map it in sources.logs.event_types"
    of_types = said[next(n for n, line in enumerate(said) if line.startswith("event_type_unknown")) + 1 :]
    assert of_types[:3] == [f"'buy' 2: {place}", f"'a' 1: {place}", f"'b' 1: {place}"]
    assert of_types[3].startswith("item_unknown")
    quarantine = rows(tmp_path, "quarantine")
    assert {(row["file"], row["line"], row["reason"]) for row in quarantine} == {
        ("logs.json", 3, "item_unknown"),
        ("logs.json", 4, "user_id_missing"),
        *(("logs.json", line, "event_type_unknown") for line in range(6, 13)),
    }
    assert json.loads(next(row["raw"] for row in quarantine if row["line"] == 3)) == GOOD | {"i": "zzz"}
    before = {table: rows(tmp_path, table) for table in WRITTEN}
    versions = {table: Lake(str(tmp_path / "lake")).version(table) for table in before}
    assert clean.run(spark, chosen) == figures
    assert {table: rows(tmp_path, table) for table in before} == before
    assert {table: Lake(str(tmp_path / "lake")).version(table) for table in before} == versions
    assert before["reviews"] == []


def test_times_that_no_format_reads_are_shown_with_the_setting(spark, tmp_path, capsys):
    days = [{"t": "click", "at": AT}, {"t": "click", "at": "1 March"}, {"t": "buy", "at": "2 March"}]
    german = [{"t": "click", "at": f"{day:02d}.03.2025 08:15"} for day in range(1, 5)]
    without = [{"t": "click", "at": at} for at in (None, " ")]
    write(tmp_path, [{"u": "a", "i": "1", "days": some} for some in (days, german, without)])
    columns = {"user_id": "^u", "item_id": "^i", "event_type": "t", "event_time": "at"}
    chosen = settings(tmp_path, items=False, columns=columns, clean={"now": "2026-01-01"})
    source = chosen.sources[0].model_copy(update={"explode": ["days"]})
    chosen = chosen.model_copy(update={"sources": [source]})
    ingest.run(spark, chosen)
    # Of a line with several records the one that is good and the one with another fault are not shown.
    assert clean.run(spark, chosen)["events"]["rejected"] == {"event_type_unknown": 1, "time_unreadable": 7}
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    of_times = said[next(n for n, line in enumerate(said) if line.startswith("time_unreadable")) + 1 :]
    place = "name its pattern in sources.logs.time_formats"
    assert of_times[:2] == [f"'01.03.2025 08:15' 4: {place}", f"'1 March' 1: {place}"]
    assert not of_times[2].startswith("'")


def test_without_a_catalogue_items_are_those_that_people_dealt_with(spark, tmp_path):
    write(tmp_path, [GOOD, GOOD | {"i": "zzz"}, GOOD | {"i": "no", "at": "never"}])
    (tmp_path / "shop.csv").write_text("id,name\n1,Pedal\n9,Nobody\n")
    kept = settings(tmp_path, clean={"unknown_items": "keep"})
    ingest.run(spark, kept)
    assert clean.run(spark, kept)["items"] == {"in": 2, "kept": 2, "merged": 0, "rejected": {}, "from_behaviour": 1}
    assert {row["item_id"]: row["title"] for row in rows(tmp_path, "items")} == {
        "1": "Pedal",
        "9": "Nobody",
        "zzz": None,
    }
    assert clean.run(spark, settings(tmp_path, items=False))["items"] == {"from_behaviour": 2}
    assert {row["item_id"] for row in rows(tmp_path, "items")} == {"1", "zzz"}


def test_wrong_columns_and_patterns_are_named(spark, tmp_path):
    write(tmp_path, [GOOD])
    columns = {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at", "value": "stars"}
    wrong = settings(tmp_path, items=False, columns=columns)
    ingest.run(spark, wrong)
    with pytest.raises(SourceError, match=r"source logs: no line of logs.json has 'stars'"):
        clean.run(spark, wrong)
    assert not Lake(str(tmp_path / "lake")).exists("events")
    wrong = settings(tmp_path, items=False)
    source = wrong.sources[0].model_copy(update={"time_formats": ["iso", "nonsense pattern"]})
    with pytest.raises(ConfigError, match=r"sources.logs.time_formats: 'nonsense pattern' is neither"):
        clean.run(spark, wrong.model_copy(update={"sources": [source]}))


@pytest.mark.parametrize(
    ("held", "message"),
    [
        ({"bronze": 6}, "events: 5 lines of bronze were judged, expected 6"),
        ({"silver": 1}, "events: 1 rows are in silver, expected 2"),
        ({"quarantine": 0}, "events: 0 rows are in quarantine, expected 1"),
        ({"history": 2}, "events: 2 versions are in the history, expected 3"),
    ],
)
def test_an_imbalance_is_an_error(held, message):
    moves = {(None, "kept"): 2, (None, "former"): 1, (None, "merged"): 1, (None, "broken_json"): 1}
    balance = Balance(table="events", moves=moves, lines=5)
    balance.check(bronze=5, silver=2, quarantine=1, history=3)
    assert balance.sentence() == "events: 5 in = 2 kept + 1 former + 1 merged + 1 rejected"
    with pytest.raises(TableError, match=message):
        balance.check(**({"bronze": 5, "silver": 2, "quarantine": 1, "history": 3} | held))
