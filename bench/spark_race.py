"""Clean of events against a plain copy and against a textbook job, in one session, in turn, the best round of each.

- ours: the job `clean` on the events in bronze, with its checks of conservation; silver and quarantine are written.
- floor: the same JSON files read with a schema and their five columns, as strings, written to Delta.
- textbook: the same files read with a schema, a chain of try_to_timestamp over the formats, filters, dropDuplicates,
  a count, then a write to Delta.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs import clean, ingest
from tandemrec.config import Settings, load_settings
from tandemrec.config.root import SparkSettings
from tandemrec.engines.spark import spark_session

ROOT = Path(__file__).parents[1]
SCHEMA = "uid string, sku string, action string, ts string, stars string"
OURS = {"pv": "view", "click": "click", "fav": "favourite", "cart": "cart", "buy": "purchase", "rate": "rating"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--lake", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="3g")
    parser.add_argument("--master", default="local[1]")
    arguments = parser.parse_args()
    settings = load_settings(
        ROOT / "conf" / "local.yaml", [f"data.root={arguments.data}", f"lake.root={arguments.lake}"]
    )
    events = [source for source in settings.sources if source.table == "events"]
    settings = settings.model_copy(update={"sources": events})
    session = SparkSettings(
        master=arguments.master,
        driver_memory=arguments.memory,
        shuffle_partitions=8,
        conf={"spark.driver.maxResultSize": "64m"},
    )
    with spark_session(session) as spark:
        lines = ingest.run(spark, settings)["events"]["rows"]
        files, out = str(arguments.data / "events"), str(arguments.lake / "other")
        contestants: dict[str, Callable[[], object]] = {
            "floor": lambda: write(read(spark, files), out),
            "textbook": lambda: textbook(spark, files, out),
            "ours": lambda: ours(spark, settings),
        }
        best = dict.fromkeys(contestants, float("inf"))
        for number in range(arguments.rounds):
            for name, contestant in contestants.items():
                for folder in ("other", "silver", "quarantine"):
                    shutil.rmtree(arguments.lake / folder, ignore_errors=True)
                started = time.perf_counter()
                contestant()
                took = time.perf_counter() - started
                best[name] = min(best[name], took)
                print(f"round {number + 1}, {name}: {took:.1f} s, {lines / took:,.0f} lines a second", flush=True)
    for name, seconds in best.items():
        print(f"measured rows_per_s_{name}_events {lines / seconds:.0f}")
    print(f"measured clean_vs_floor {best['ours'] / best['floor']:.3f}")
    print(f"measured clean_vs_textbook {best['textbook'] / best['ours']:.3f}")


def ours(spark: SparkSession, settings: Settings) -> None:
    clean.run(spark, settings)


def read(spark: SparkSession, files: str) -> DataFrame:
    return spark.read.schema(SCHEMA).json(files)


def write(rows: DataFrame, out: str) -> None:
    rows.write.format("delta").mode("overwrite").save(out)


def textbook(spark: SparkSession, files: str, out: str) -> None:
    formats = ("yyyy-MM-dd'T'HH:mm:ss'Z'", "yyyy-MM-dd HH:mm:ss", "dd/MM/yyyy HH:mm:ss", "yyyy-MM-dd")
    tried = [F.try_to_timestamp(F.col("ts"), F.lit(format_)) for format_ in formats]
    epoch = F.timestamp_millis(F.col("ts").try_cast("bigint"))
    types = F.create_map(*[F.lit(word) for pair in OURS.items() for word in pair])
    events = read(spark, files).select(
        F.trim("uid").alias("user_id"),
        F.trim("sku").alias("item_id"),
        types[F.lower("action")].alias("event_type"),
        F.coalesce(*tried, epoch).alias("event_time"),
        F.col("stars").try_cast("double").alias("value"),
    )
    good = events.where(
        (F.col("user_id") != "")
        & (F.col("item_id") != "")
        & F.col("event_type").isNotNull()
        & F.col("event_time").between(F.lit("1995-01-01"), F.lit("2026-01-01"))
        & ((F.col("event_type") != "rating") | F.col("value").between(1, 5))
    ).dropDuplicates(["user_id", "item_id", "event_type", "event_time"])
    print(f"  textbook keeps {good.count():,}")
    write(good, out)


if __name__ == "__main__":
    main()
