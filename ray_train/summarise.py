"""Stage summarise: a paragraph on each user by a language model that generates; nothing where profiles.summary is null.

A summary is known by the hash of model, prompt and length. A run drops those of another hash first, and all where there
are to be none, so that none stays beside a profile that it was not written from; then it writes what is not there, in
commits of `profiles.summary.commit_every`.
"""

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.data import ActorPoolStrategy

from tandemrec import console
from tandemrec.config import Settings, SummarySettings
from tandemrec.engines.ray import cpus
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import stage_main
from tandemrec.text.generator import Generator, filled
from tandemrec.text.identity import writer_identity

KEYS = ["user_id", "summary_key"]
ASKED = pa.schema(dict.fromkeys((*KEYS, "prompt"), pa.string()))


def depends_on(settings: Settings) -> str | None:
    """The model's files are outside the lake."""
    summary = settings.profiles.summary
    return None if summary is None else writer_identity(summary.model)


def run(settings: Settings) -> Figures:
    """Drop the summaries that nothing asks for and write those that are not there yet: users who have one, and how many
    of these were written now.
    """
    lake, summary = Lake.of(settings.lake), settings.profiles.summary
    asked = ASKED.empty_table() if summary is None else prompts(lake, summary)
    former = lake.read("user_summaries") if lake.exists("user_summaries") else ASKED.empty_table()
    stays = former.join(asked, KEYS, join_type="left semi")
    pending = asked.join(former, KEYS, join_type="left anti")
    if stays.num_rows < former.num_rows:
        lake.overwrite("user_summaries", stays)
    if summary is not None and pending.num_rows:
        _write(lake, summary, pending)
    if summary is None:
        console.line("  nothing: profiles.summary is null in the settings")
    else:
        console.line(f"  {pending.num_rows:,} paragraphs written, of {asked.num_rows:,} users")
    return {"users": asked.num_rows, "written": pending.num_rows}


class Writer:
    """The actor: a generator that stays in memory between blocks."""

    def __init__(self, summary: SummarySettings, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self.model = summary.model
        self.generator = Generator(summary.model, max_tokens=summary.max_tokens)

    def __call__(self, block: pa.Table) -> pa.Table:
        """user_id, summary_key and prompt in; rows of user_summaries out."""
        said = [self.generator.write(prompt) for prompt in block["prompt"].to_pylist()]
        model = pa.repeat(self.model, block.num_rows)
        return block.drop_columns(["prompt"]).append_column("model", model).append_column("summary", pa.array(said))


def prompts(lake: Lake, summary: SummarySettings) -> pa.Table:
    """user_id, summary_key and prompt of the users who are to have a summary: those with the most reviews."""
    counted = lake.read("user_profiles", ["user_id", "reviews"])
    counted = counted.sort_by([("reviews", "descending"), ("user_id", "ascending")]).slice(0, summary.users)
    users = counted["user_id"].to_pylist()
    columns = ["user_id", "as_of", "language", "keywords"]
    rows = lake.read("user_profiles", columns, where=pc.field("user_id").isin(users)).sort_by("user_id").to_pylist()
    quoted = _last_reviews(lake, users, summary, rows[0]["as_of"] if rows else None)
    model = writer_identity(summary.model)
    asked = []
    for row in rows:
        prompt = filled(
            summary.template,
            keywords=[one["term"] for one in row["keywords"]],
            reviews=quoted[row["user_id"]],
            language=row["language"],
        )
        key = hashlib.sha256(json.dumps([model, prompt, summary.max_tokens]).encode()).hexdigest()
        asked.append({"user_id": row["user_id"], "summary_key": key, "prompt": prompt})
    return pa.Table.from_pylist(asked, ASKED)


def _last_reviews(
    lake: Lake, users: list[str], summary: SummarySettings, as_of: datetime | None
) -> dict[str, list[str]]:
    where = pc.field("user_id").isin(users)
    if as_of is not None:
        where &= pc.field("review_time") < as_of
    rows = lake.read("reviews", ["user_id", "review_time", "review_id", "clean_text"], where=where)
    quoted: dict[str, list[str]] = defaultdict(list)
    for row in rows.sort_by([("review_time", "descending"), ("review_id", "ascending")]).to_pylist():
        if len(quoted[row["user_id"]]) < summary.reviews:
            quoted[row["user_id"]].append(row["clean_text"][: summary.characters])
    return quoted


def _write(lake: Lake, summary: SummarySettings, pending: pa.Table) -> None:
    threads = cpus()
    blocks = ray.data.from_arrow(pending).repartition(target_num_rows_per_block=summary.commit_every).materialize()
    written = blocks.map_batches(
        Writer,
        fn_constructor_kwargs={"summary": summary, "threads": threads},
        batch_format="pyarrow",
        batch_size=None,
        compute=ActorPoolStrategy(size=1),
        num_cpus=threads,
    )
    schema = arrow_schema(lake.table("user_summaries"))
    with console.meter("summaries", pending.num_rows) as meter:
        for block in written.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
            lake.merge("user_summaries", block.select(schema.names).cast(schema))
            meter.advance(block.num_rows)


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("summarise", argv)


if __name__ == "__main__":
    sys.exit(main())
