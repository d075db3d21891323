"""How the peak memory of the stage embed grows with the number of texts, which the tiny encoder reads.

Each size is a fresh lake of reviews of a hundred words and a process of its own, measured with all of Ray's.
"""

import argparse
import hashlib
import json
import random
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from figures import ROOT, publish
from process_tree import run_measured

from tandemrec.config import parse_settings
from tandemrec.lake import Lake
from tandemrec.lake.types import arrow_schema
from tandemrec.text.tiny import WORDS

AT_ONCE = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments = parser.parse_args()
    figures = {}
    for count in arguments.texts:
        with tempfile.TemporaryDirectory(prefix="tandemrec-bench-") as folder:
            lake = Lake(f"{folder}/lake")
            lake.ensure("reviews")
            schema = arrow_schema(lake.table("reviews"))
            lake.overwrite("reviews", (reviews(schema, start, count) for start in range(0, count, AT_ONCE)))
            path = Path(folder) / "settings.json"
            path.write_text(json.dumps(settings(lake)))
            command = [sys.executable, "-m", "ray_train.embed_text", "--config", str(path)]
            code, peak = run_measured(command, cwd=ROOT)
            if code:
                raise SystemExit(f"embed of {count} texts ended with exit code {code}")
            figures[f"embed_{count}_texts_peak_mb"] = round(peak)
    publish("embed_memory", figures)


def reviews(schema: pa.Schema, start: int, count: int) -> pa.RecordBatch:
    """Reviews number `start` and those after it, the same in every run."""
    draw, words, rows = random.Random(start), WORDS.split(), []
    for number in range(start, min(start + AT_ONCE, count)):
        text = f"{number} {' '.join(draw.choices(words, k=100))}"
        row = {"review_id": str(number), "user_id": "u", "item_id": "i", "language": "en", "source": "s", "file": "f"}
        row |= {"part": 0, "line": number, "review_time": datetime(2024, 1, 1, tzinfo=UTC), "text": text}
        row |= {"clean_text": text, "text_hash": hashlib.sha256(text.encode()).hexdigest()}
        rows.append({name: row.get(name) for name in schema.names})
    return pa.RecordBatch.from_pylist(rows, schema)


def settings(lake: Lake) -> dict[str, object]:
    source = {"name": "r", "table": "reviews", "kind": "json", "path": "x"}
    source["columns"] = dict.fromkeys(("user_id", "item_id", "text", "review_time"), "x")
    embed = {"encoder": {"model": "tiny:0", "max_length": 128}}
    raw = {"data": {"root": "."}, "lake": {"root": lake.root}, "sources": [source], "embed": embed}
    return parse_settings(raw).model_dump(mode="json", exclude_defaults=True)


if __name__ == "__main__":
    main()
