# Databricks notebook source
# MAGIC %md
# MAGIC # First steps
# MAGIC From raw logs to recommendations. On a laptop: `make install`, then
# MAGIC `.venv/bin/python notebooks/first_steps.py` or open it as a notebook. `TANDEMREC_CONFIG` names the settings.

# COMMAND ----------
import os
from contextlib import ExitStack
from pathlib import Path

from tandemrec.config import load_settings
from tandemrec.engines.spark import build_session
from tandemrec.lake import Lake, runs
from tandemrec.lake import spark as lake_spark
from tandemrec.pipeline import STAGES, run_stage
from tandemrec.report import recommendations
from tandemrec.sample import generate

config = os.environ.get("TANDEMREC_CONFIG")
settings = load_settings(config or "conf/local.yaml")
lake = Lake.of(settings.lake)
spark = build_session(settings.spark)  # on a cluster: the session that is there

# COMMAND ----------
# MAGIC %md ## Raw files
# MAGIC Invented logs, as a company's would look, with dirt in known numbers; settings of your own have their own files.

# COMMAND ----------
if config is None and not Path(settings.data.root).exists():
    generate(settings.data.root)

# COMMAND ----------
# MAGIC %md ## The pipeline
# MAGIC A stage whose inputs, settings and code are unchanged is skipped; `summarise` and `augment` do only what the
# MAGIC settings ask for.

# COMMAND ----------
with ExitStack() as engines:
    for one in STAGES:
        run_stage(settings, one, spark=spark, engines=engines)

# COMMAND ----------
# MAGIC %md ## What came in
# MAGIC Rejected rows by reason, and what the model learns from.

# COMMAND ----------
lake_spark.read(spark, lake, "quarantine").groupBy("table_name", "reason").count().show(50, truncate=False)
lake_spark.read(spark, lake, "examples").groupBy("kind", "split").count().orderBy("kind", "split").show()

# COMMAND ----------
# MAGIC %md ## What it is worth
# MAGIC NDCG@10 of the test split beside the baselines, and the model's lead over each with its interval.

# COMMAND ----------
trained = runs.latest(lake, "train")
figures = lake_spark.read(spark, lake, "metrics").where("split = 'test' and metric = 'ndcg@10'")
figures = figures.where(figures.run_id == trained.run_id).select("model", "value", "lead", "lead_low", "lead_high")
figures.orderBy("value", ascending=False).show(truncate=False)

# COMMAND ----------
# MAGIC %md ## What somebody gets

# COMMAND ----------
if lake.exists("recommendations"):  # of a plain table nothing is recommended
    user = lake.read("recommendations", ["user_id"], limit=1)["user_id"][0].as_py()
    for pick in recommendations(settings, user):
        print(f"{pick.rank:>2}  {pick.score:.3f}  {pick.title}  ({pick.reason})")
