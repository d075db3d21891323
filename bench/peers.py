"""The same cleaning of events by duckdb or polars, to Parquet; run by an environment that has them, one thread.

peers.py duckdb|polars FOLDER_OF_JSON OUT
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 3
SQL = r"""
COPY (
  WITH lines AS (
    SELECT trim(uid) AS user_id, trim(sku) AS item_id, lower(trim(action)) AS action, stars AS value,
      CASE
        WHEN regexp_full_match(ts, '\d{{12,14}}') THEN epoch_ms(ts::BIGINT)
        WHEN ts[5] = '-' THEN try_strptime(ts, '%Y-%m-%dT%H:%M:%SZ')
        ELSE try_strptime(ts, '%d/%m/%Y %H:%M:%S')
      END AS event_time
    FROM read_json('{files}/*.jsonl', format = 'newline_delimited', ignore_errors = true,
      columns = {{uid: 'VARCHAR', sku: 'VARCHAR', action: 'VARCHAR', ts: 'VARCHAR', stars: 'DOUBLE'}})
  ), typed AS (
    SELECT *, CASE action WHEN 'pv' THEN 'view' WHEN 'click' THEN 'click' WHEN 'fav' THEN 'favourite'
      WHEN 'cart' THEN 'cart' WHEN 'buy' THEN 'purchase' WHEN 'rate' THEN 'rating' END AS event_type FROM lines
  )
  SELECT user_id, item_id, event_type, event_time, any_value(value) AS value FROM typed
  WHERE user_id <> '' AND item_id <> '' AND event_type IS NOT NULL
    AND event_time BETWEEN TIMESTAMP '1995-01-01' AND TIMESTAMP '2026-01-01'
    AND (event_type <> 'rating' OR value BETWEEN 1 AND 5)
  GROUP BY ALL
) TO '{out}/events.parquet' (FORMAT parquet)
"""


def with_duckdb(files: str, out: str) -> int:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET threads = 1; SET preserve_insertion_order = false")
    connection.execute(SQL.format(files=files, out=out))
    return connection.execute(f"SELECT count(*) FROM '{out}/events.parquet'").fetchone()[0]


def with_polars(files: str, out: str) -> int:
    import polars as pl

    # Its reader of JSON lines stops at the first broken one, so lines are read as text and the whole ones decoded.
    record = pl.Struct({"uid": pl.String, "sku": pl.String, "action": pl.String, "ts": pl.String, "stars": pl.Float64})
    raw = pl.scan_csv(f"{files}/*.jsonl", has_header=False, separator="\x01", quote_char=None, new_columns=["raw"])
    whole = raw.filter(pl.col("raw").str.starts_with("{") & pl.col("raw").str.ends_with("}"))
    lines = whole.select(pl.col("raw").str.json_decode(record).alias("record")).unnest("record")
    types = {"pv": "view", "click": "click", "fav": "favourite", "cart": "cart", "buy": "purchase", "rate": "rating"}
    ts = pl.col("ts")
    time_ = pl.coalesce(
        ts.str.to_datetime("%Y-%m-%dT%H:%M:%SZ", strict=False, time_unit="us"),
        ts.str.to_datetime("%d/%m/%Y %H:%M:%S", strict=False, time_unit="us"),
        pl.from_epoch(ts.cast(pl.Int64, strict=False), time_unit="ms").cast(pl.Datetime("us")),
    )
    events = lines.select(
        pl.col("uid").str.strip_chars().alias("user_id"),
        pl.col("sku").str.strip_chars().alias("item_id"),
        pl.col("action").str.strip_chars().str.to_lowercase().replace_strict(types, default=None).alias("event_type"),
        time_.alias("event_time"),
        pl.col("stars").alias("value"),
    )
    good = events.filter(
        (pl.col("user_id") != "")
        & (pl.col("item_id") != "")
        & pl.col("event_type").is_not_null()
        & pl.col("event_time").is_between(pl.datetime(1995, 1, 1), pl.datetime(2026, 1, 1))
        & ((pl.col("event_type") != "rating") | pl.col("value").is_between(1, 5))
    )
    unique = good.unique(["user_id", "item_id", "event_type", "event_time"], keep="any")
    unique.sink_parquet(f"{out}/events.parquet")
    return pl.scan_parquet(f"{out}/events.parquet").select(pl.len()).collect().item()


def main() -> None:
    name, files, out = sys.argv[1:]
    os.environ["POLARS_MAX_THREADS"] = "1"
    clean: dict[str, Callable[[str, str], int]] = {"duckdb": with_duckdb, "polars": with_polars}
    lines = 0
    for path in Path(files).iterdir():
        with path.open("rb") as file:
            lines += sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))
    best = float("inf")
    for _ in range(ROUNDS):
        shutil.rmtree(out, ignore_errors=True)
        Path(out).mkdir(parents=True)
        started = time.perf_counter()
        kept = clean[name](files, out)
        best = min(best, time.perf_counter() - started)
    print(f"{name}: {kept:,} kept of {lines:,}, {lines / best:,.0f} lines a second, one thread")
    print(f"measured rows_per_s_{name}_events {lines / best:.0f}")


if __name__ == "__main__":
    main()
