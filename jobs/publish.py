"""Staged predictions and recommendations -> gold, merged by key.

A run's rows replace the rows of the same training run and no others: what another model version recommended stays.
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import MapType

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.lake import Lake, Merged, spark
from tandemrec.lake.runs import Figures
from tandemrec.pipeline import stage_main


def run(session: SparkSession, settings: Settings) -> Figures:
    lake = Lake.of(settings.lake)
    figures: Figures = {}
    for name in ("predictions", "recommendations"):
        merged = publish(session, lake, name)
        figures[name] = asdict(merged)
        console.line(f"  {name}: {merged.inserted:,} inserted, {merged.updated:,} updated, {merged.deleted:,} deleted")
    return figures


def publish(session: SparkSession, lake: Lake, name: str) -> Merged:
    """Make the table hold, for every training run that is staged, exactly the staged rows."""
    staged = spark.read(session, lake, f"{name}_staging")
    staged_runs = [row["run_id"] for row in staged.select("run_id").distinct().collect()]  # one or a few
    lake.ensure(name)
    known = spark.read(session, lake, name).where(F.col("run_id").isin(staged_runs))
    leftovers = known.join(staged, list(lake.table(name).key), "left_anti")
    if not leftovers.isEmpty():
        return spark.merge(session, lake, name, staged, replace=f"t.run_id IN ({', '.join(map(repr, staged_runs))})")
    if _without_maps(staged).subtract(_without_maps(known)).isEmpty():  # a merge would write the same rows once more
        return Merged(inserted=0, updated=0)
    return spark.merge(session, lake, name, staged)


def _without_maps(rows: DataFrame) -> DataFrame:
    """Spark compares no maps; as JSON it does."""
    fields = rows.schema.fields
    return rows.select([F.to_json(f.name) if isinstance(f.dataType, MapType) else F.col(f.name) for f in fields])


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("publish", argv)


if __name__ == "__main__":
    sys.exit(main())
