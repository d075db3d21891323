"""What events of a user say of each other, against a plain account of the same rules, in one batch or in many."""

import random
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import accumulate

import pytest
from pyspark.sql import functions as F

from tandemrec.clean import batches
from tandemrec.clean.behaviour import settle_events
from tandemrec.clean.events import judge_events
from tandemrec.clean.verdicts import KEPT, kept
from tandemrec.config import CleanSettings, Source
from tandemrec.config.behaviour import BehaviourSettings
from tandemrec.lake.contracts import TABLES
from tandemrec.lake.types import ddl

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = datetime(2025, 3, 1, tzinfo=UTC)
RULES = BehaviourSettings(
    session_gap_minutes=2, repeat_seconds={"click": 20, "view": 5}, max_events_per_minute=4, max_user_share=0.35
)
COLUMNS = {"user_id": "u", "item_id": "i", "event_type": "t", "event_time": "at", "value": "v"}
LOGS = Source(name="logs", table="events", kind="json", path="x", columns=COLUMNS)


def some_events(draw, number):
    """(user, item, type, time) in bursts: pauses short and long, minutes too full, exact duplicates."""
    events = []
    for _ in range(number):
        if events and draw.random() < 0.1:
            events.append(draw.choice(events))
            continue
        user = draw.choice("abcdefg" if draw.random() < 0.6 else "a")
        seconds = draw.choice([60, 3600, 7200]) * draw.randrange(4) + draw.randrange(240)
        events.append((user, draw.choice("12"), draw.choice(["click", "view", "purchase"]), seconds))
    return events


def accounted(rows, rules):
    """Brute force: by (file, line) the verdict, and by kept row (session start, count, last time), in seconds."""
    verdict, found, first = {}, {}, {}
    for origin, event in sorted(rows):
        verdict[origin] = "merged" if event in first else KEPT
        first.setdefault(event, origin)
    alive = list(first.items())
    users, minutes = Counter(e[0] for e, _ in alive), Counter((e[0], e[3] // 60) for e, _ in alive)
    for event, origin in alive:
        if rules.max_user_share and users[event[0]] > rules.max_user_share * len(alive):
            verdict[origin] = "user_outlier"
        elif rules.max_events_per_minute and minutes[event[0], event[3] // 60] > rules.max_events_per_minute:
            verdict[origin] = "too_fast"
    alive = [(event, origin) for event, origin in alive if verdict[origin] == KEPT]
    session, by_user, alike = {}, defaultdict(list), defaultdict(list)
    for event, origin in alive:
        by_user[event[0]].append(event[3])
        alike[event[:3]].append((event[3], origin))
    for user, times in by_user.items():
        start = before = None
        for time in sorted(times):
            if before is None or time - before > rules.session_gap_minutes * 60:
                start = time
            session[user, time], before = start, time
    for (user, _, type_), points in alike.items():
        before = head = None
        for time, origin in sorted(points):
            if before is not None and time - before <= rules.repeat_seconds.get(type_, -1):
                verdict[origin], found[head] = "repeated", (found[head][0], found[head][1] + 1, time)
            else:
                head, found[origin] = origin, (session[user, time], 1, time)
            before = time
    return verdict, found


def lines_of(spark, rows):
    records = [
        ("logs", file, line, f'{{"u":"{u}","i":"{i}","t":"{t}","at":"{(START + timedelta(seconds=s)).isoformat()}"}}')
        for (file, line), (u, i, t, s) in rows
    ]
    return spark.createDataFrame(records, "source string, file string, line long, raw string")


def judged(spark, rows):
    clean = CleanSettings(behaviour=RULES)
    return batches.new_rows(judge_events(lines_of(spark, rows), [LOGS], clean, now=NOW, items=None))


def seconds(time):
    return int((time.replace(tzinfo=UTC) - START).total_seconds())


def read(settled):
    verdict = {(row.file, row.line): row.verdict for row in settled}
    found = {
        (row.file, row.line): (seconds(row.session_start), row["count"], seconds(row.last_time))
        for row in settled
        if row.verdict == KEPT
    }
    return verdict, found


@pytest.mark.parametrize(
    "changes", [{}, {"max_user_share": None}, {"repeat_seconds": {}, "max_events_per_minute": None}]
)
def test_verdicts_sessions_and_repeats_are_those_of_the_plain_account(spark, changes):
    rules = RULES.model_copy(update=changes)
    events = some_events(random.Random(1), 400)
    rows = [(("f", line), event) for line, event in enumerate(events, 1)]
    settled = settle_events(judged(spark, rows).repartition(3), rules).collect()
    verdict, found = accounted(rows, rules)
    assert read(settled) == (verdict, found)
    assert {"merged", KEPT} < set(verdict.values()) or not changes
    for row in settled:
        assert row["count"] == 1 + len(row.repeats or [])


def test_events_without_a_time_have_no_session_and_are_never_too_fast(spark):
    pairs = Source(name="logs", table="events", kind="pairs", path="x", constants={"event_type": "click"})
    lines = [("logs", "f", n, f'{{"user_id": "u", "item_id": "{n}"}}') for n in range(1, 10)]
    rows = spark.createDataFrame(lines, "source string, file string, line long, raw string")
    rules = BehaviourSettings(max_events_per_minute=2, repeat_seconds={"click": 60})
    settled = settle_events(judge_events(rows, [pairs], CleanSettings(), now=NOW, items=None), rules).collect()
    assert {(row.verdict, row.session_start, row["count"]) for row in settled} == {(KEPT, None, 1)}


def in_batches(spark, files, rules):
    """Rows of silver, and by origin the reason of what machines have done, after one file of rows upon the other."""
    silver = spark.createDataFrame([], ddl(TABLES["events"]))
    rejected = {}
    everything = dict(row for file in files for row in file)
    for file in files:
        fresh = judged(spark, file)
        if rejected:
            back = judged(spark, [(origin, everything[origin]) for origin in rejected])
            was = spark.createDataFrame(
                [("logs", *origin, 0, reason) for origin, reason in rejected.items()],
                "source string, file string, line long, part int, reason string",
            )
            fresh = fresh.unionByName(batches.again(back.drop("was"), was))
        batch = batches.event_batch(fresh.cache(), silver, rules)
        settled = settle_events(batch.rows, rules, since=batch.since, elsewhere=batch.elsewhere).cache()
        keys = list(TABLES["events"].key)
        silver = silver.join(batch.held.select(keys), keys, "left_anti").unionByName(kept(settled, "events"))
        silver = spark.createDataFrame(silver.collect(), silver.schema)
        for row in settled.collect():
            origin = (row.file, row.line)
            rejected.pop(origin, None)
            if row.verdict in ("too_fast", "user_outlier"):
                rejected[origin] = row.verdict
    return silver.withColumn("verdict", F.lit(KEPT)).collect(), rejected


@pytest.mark.parametrize(("share", "seed"), [(0.09, 5), (None, 6)])
def test_batches_in_any_order_give_what_one_batch_gives(spark, share, seed):
    """Late files, files in another order than their times, rows of earlier batches that lose or gain, and machines that
    come once.
    """
    rules = RULES.model_copy(update={"max_user_share": share})
    draw = random.Random(seed)
    events = some_events(draw, 300)
    files = sorted(events[:60]), events[60:130], sorted(events[130:], key=lambda e: e[3])
    once = [[(f"{name}{n}", "1", "view", second) for name in "xyz" for second in range(5)] for n in range(3)]
    files = [[*file, *machines] for file, machines in zip(files, once, strict=True)]
    rows = [[((f"f{n}", line), event) for line, event in enumerate(file, 1)] for n, file in enumerate(files)]
    draw.shuffle(rows)
    settled, rejected = in_batches(spark, rows, rules)
    verdict, found = accounted([row for file in rows for row in file], rules)
    assert read(settled)[1] == found
    assert rejected == {o: v for o, v in verdict.items() if v in ("too_fast", "user_outlier")}
    assert set(rejected.values()) == ({"too_fast", "user_outlier"} if share else {"too_fast"})
    repeats = {(r.file, r.line) for row in settled for r in row.repeats or []}
    assert repeats == {o for o, v in verdict.items() if v == "repeated"}


def test_a_minute_that_held_too_many_is_asked_again_as_a_whole(spark):
    """What is settled again would begin in the middle of it, and half of a minute holds few enough."""
    machine = [("a", str(second), "click", second) for second in (5, 10, 15, 35, 40, 45)]
    later = [("a", "later", "click", 32 * 60 + 30)]
    rows = [[((f"f{n}", line), event) for line, event in enumerate(file, 1)] for n, file in enumerate((machine, later))]
    rules = BehaviourSettings(session_gap_minutes=30, max_events_per_minute=4)
    settled, rejected = in_batches(spark, rows, rules)
    assert [row.item_id for row in settled] == ["later"] and [*rejected.values()] == 6 * ["too_fast"]


@pytest.mark.parametrize("window", [3600, 1200])
def test_late_events_go_on_with_sessions_that_repeats_keep_open(spark, window):
    """Windows longer and shorter than the gap: an event of long ago is settled again for its last repeat's sake."""
    rules = BehaviourSettings(session_gap_minutes=30, repeat_seconds={"view": window}, max_events_per_minute=4)
    draw, events = random.Random(1), []
    for user in "abc":
        times = accumulate(draw.choice([600, 1200, 1500, 2000]) for _ in range(40))
        events += [(user, draw.choice("123456"), "view", second) for second in times]
    events.sort(key=lambda event: event[3])
    files = events[:70] + events[72:80], events[85:], events[70:72] + events[80:85]
    rows = [[((f"f{n}", line), event) for line, event in enumerate(file, 1)] for n, file in enumerate(files)]
    settled, _ = in_batches(spark, rows, rules)
    assert read(settled)[1] == accounted([row for file in rows for row in file], rules)[1]
