# Databricks notebook source
# MAGIC %md
# MAGIC # First steps
# MAGIC From raw logs to recommendations, one stage a cell. On a laptop: `make install`, then
# MAGIC `.venv/bin/python notebooks/first_steps.py` or open it as a notebook. `TANDEMREC_CONFIG` names the settings.

# COMMAND ----------
import os
from pathlib import Path

from tandemrec.config import load_settings
from tandemrec.engines.spark import build_session
from tandemrec.lake import Lake
from tandemrec.lake import spark as lake_spark
from tandemrec.pipeline import run_stage, stage
from tandemrec.sample import generate

settings = load_settings(os.environ.get("TANDEMREC_CONFIG", "conf/local.yaml"))
lake = Lake.of(settings.lake)
spark = build_session(settings.spark)  # on a cluster: the session that is there

# COMMAND ----------
# MAGIC %md ## Raw files
# MAGIC Invented logs, as a company's would look, with dirt in known numbers.

# COMMAND ----------
if not Path(settings.data.root).exists():
    generate(settings.data.root)

# COMMAND ----------
# MAGIC %md ## Bronze and silver
# MAGIC A stage whose inputs, settings and code are unchanged is skipped.

# COMMAND ----------
for name in ("ingest", "clean"):
    run_stage(settings, stage(name), spark=spark)

lake_spark.read(spark, lake, "quarantine").groupBy("table_name", "reason").count().show(50, truncate=False)

# COMMAND ----------
# MAGIC %md ## Vectors, examples, model

# COMMAND ----------
for name in ("embed", "examples", "train"):
    run_stage(settings, stage(name), spark=spark)

lake_spark.read(spark, lake, "examples").groupBy("kind", "split").count().orderBy("kind", "split").show()

# COMMAND ----------
# MAGIC %md ## What it is worth, and what people get

# COMMAND ----------
for name in ("evaluate", "predict", "publish", "report"):
    run_stage(settings, stage(name), spark=spark)

lake_spark.read(spark, lake, "recommendations").where("rank <= 3").orderBy("user_id", "rank").show(12, truncate=False)
