"""Vectors of encoders that nothing refers to any more: tandemrec embed --gc --config FILE."""

import sys
from collections.abc import Sequence

from tandemrec import console
from tandemrec.config import Settings
from tandemrec.lake import Lake, runs
from tandemrec.lake.runs import Figures
from tandemrec.pipeline.operations import operation_main
from tandemrec.report import words
from tandemrec.text.identity import embedding_identity


def run(settings: Settings, *, yes: bool = False) -> Figures:
    """Drop them, and what is kept of texts that these encoders failed on. Their files go with the next `maintain`.

    Kept are the vectors of the settings' encoder, of the newest finished runs of embed and of augment (which encodes
    what it made once), and of every model that a run of train has left: no stage runs again because of this.

    Args:
        yes: do not ask.

    Returns:
        By encoder, how many vectors were dropped.

    Raises:
        ConfigError: there is nobody to ask.
        TableError: the lake holds no table.
    """
    lake = Lake(settings.lake.root)  # as it is: a version of the past cannot be changed
    lake.refuse_empty()
    counts = _counts(lake)
    needed = _referred_to(lake) | {embedding_identity(settings.embed)}
    needless = {encoder: count for encoder, count in counts.items() if encoder not in needed}
    if not needless:
        console.line(f"every one of {len(counts)} encoders with vectors is referred to")
        return {"dropped": {}}
    named = ", ".join(f"{encoder} ({words.count(count)})" for encoder, count in needless.items())
    if not yes and not console.confirmed(f"Drop the vectors of {named}?", otherwise="--yes"):
        return {"dropped": {}}
    where = "encoder IN ({})".format(", ".join(f"'{encoder}'" for encoder in needless))
    for table in ("texts_failed", "text_vectors"):
        if lake.exists(table):
            lake.drop_unreferenced(table, where)
    console.line(f"dropped the vectors of {named}")
    return {"dropped": needless}


def _counts(lake: Lake) -> dict[str, int]:
    """Vectors by encoder."""
    if not lake.exists("text_vectors"):
        return {}
    counted = lake.read("text_vectors", ["encoder"]).group_by("encoder").aggregate([([], "count_all")])
    return dict(sorted(zip(*(counted[name].to_pylist() for name in ("encoder", "count_all")), strict=True)))


def _referred_to(lake: Lake) -> set[str]:
    newest = [run for stage in ("embed", "augment") if (run := runs.latest(lake, stage)) is not None]
    return {run.figures["encoder"] for run in [*newest, *runs.finished(lake, "train")] if run.figures.get("encoder")}


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("gc", argv)


if __name__ == "__main__":
    sys.exit(main())
