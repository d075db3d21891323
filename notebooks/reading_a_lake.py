# Databricks notebook source
# MAGIC %md
# MAGIC # Reading a lake
# MAGIC What runs left in the tables of gold, on your own lake: which models there are, what each is worth, what
# MAGIC somebody gets. Nothing is written and neither Spark nor Ray is started. `TANDEMREC_CONFIG` names the settings.

# COMMAND ----------
import os

import pandas as pd
import pyarrow.compute as pc

from tandemrec.config import load_settings
from tandemrec.lake import Lake, runs
from tandemrec.report import recommendations

settings = load_settings(os.environ.get("TANDEMREC_CONFIG", "conf/local.yaml"))
lake = Lake.of(settings.lake)
tables = pd.DataFrame([{"table": one.name, "rows": one.rows, "version": one.version} for one in lake.tables()])
print(tables.to_string(index=False))

# COMMAND ----------
# MAGIC %md
# MAGIC ## Models
# MAGIC Every finished training, the newest first. `gold.runs` has its settings whole, and the versions of the tables
# MAGIC that it read; here that of `examples`.

# COMMAND ----------
trained = runs.finished(lake, "train")
columns = ["run_id", "started_at", "seconds", "examples"]
rows = [(run.run_id, run.started_at, run.seconds, run.inputs.get("examples")) for run in trained]
models = pd.DataFrame(rows, columns=columns)
print(models.to_string(index=False))

# COMMAND ----------
# MAGIC %md
# MAGIC ## What each is worth
# MAGIC One line a metric, one column a model. Of runs on different examples the figures are of different test rows:
# MAGIC look at the version of `examples` above before comparing them.

# COMMAND ----------
metrics = lake.read("metrics").to_pandas()
test = metrics[(metrics["split"] == "test") & ~metrics["metric"].str.contains("@(?!10)")]
test = test[test["run_id"].isin(run.run_id for run in trained)]
print(test[test["model"] == "tandemrec"].pivot(index=["task", "metric"], columns="run_id", values="value"))

# COMMAND ----------
# MAGIC %md
# MAGIC The newest that was evaluated, beside its baselines: `lead` is how much better the model is on the same rows,
# MAGIC whichever way the metric goes; where its interval holds 0, the two are level.

# COMMAND ----------
newest = next((run.run_id for run in trained if run.run_id in set(test["run_id"])), None)
against = test[(test["run_id"] == newest) & test["lead"].notna()]
print(against[["task", "metric", "model", "value", "lead", "lead_low", "lead_high"]].to_string(index=False))

# COMMAND ----------
# MAGIC %md
# MAGIC ## What somebody gets
# MAGIC What was published last, with titles and reasons; `tandemrec show recommendations --json` is the same for other
# MAGIC programs. Tables are plain Delta: a service may read `gold/recommendations` by its path, where the rows of
# MAGIC former models stay. `Lake.read` reads only the columns and files that it needs.

# COMMAND ----------
user = lake.read("recommendations", ["user_id"], limit=1)["user_id"][0].as_py()
print(pd.DataFrame(recommendations(settings, user)).to_string(index=False))

# COMMAND ----------
columns = ["run_id", "rank", "item_id", "score", "reason"]
published = lake.read("recommendations", columns, where=pc.field("user_id") == user).to_pandas()
print(published.sort_values(["run_id", "rank"]).to_string(index=False))
