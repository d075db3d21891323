"""Text encoders set against each other on the lake's own reviews: tandemrec encoders compare --config FILE.

Each is loaded in a process of its own. What is measured goes to the terminal and into one HTML file.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec import console
from tandemrec.config import CleanSettings, EncoderSettings, Settings, parse_settings
from tandemrec.errors import ModelError, TableError
from tandemrec.evaluate.encoders import Candidate, advice, probe, retrieval
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.pipeline.operations import operation_main
from tandemrec.report.encoders import Lost, grid, render
from tandemrec.text.alone import encoded_alone
from tandemrec.text.families import refuse_misfit
from tandemrec.text.identity import embedding_identity

OF_AN_ITEM = 10  # reviews at most: one best seller would be all there is to retrieve
COLUMNS = ["clean_text", "text_hash", "user_id", "item_id", "rating"]


def run(settings: Settings, *, model: Sequence[str] | None = None) -> Figures:
    """Measure every candidate on the same reviews and say which to use.

    Args:
        model: candidates in place of `encoders.candidates`, with the other settings of embed's encoder.

    Returns:
        The candidates and the advice.

    Raises:
        ConfigError: what `model` names is no model.
        TableError: there is no review to measure on.
        ModelError: a candidate is not there or its settings do not fit it; or, once all others are measured and told,
            it could not be loaded.
        MissingDependencyError: its package is not installed.
    """
    lake, compared = Lake.of(settings.lake), settings.encoders
    chosen = _named(settings, model) if model else compared.candidates or [settings.embed.encoder]
    embeds = [settings.embed.model_copy(update={"encoder": one}) for one in chosen]
    identities = [embedding_identity(embed) for embed in embeds]  # before hours of work: each of them is there
    for one in chosen:
        refuse_misfit(one)
    reviews = _labelled(lake, sample(_batches(lake), compared.reviews, settings.seed), settings.clean)
    threads = settings.embed.threads_per_actor or os.cpu_count() or 1
    names, candidates, lost = told_apart(chosen), list[Candidate](), list[Lost]()
    with console.meter("encoders", len(embeds)) as meter:
        for embed, identity, name in zip(embeds, identities, names, strict=True):
            meter.note(name)
            try:
                got = encoded_alone(embed, reviews["clean_text"].tolist(), threads=threads)
            except ModelError as error:
                lost.append(Lost(model=name, reason=str(error)))
                meter.advance()
                continue
            if got.failed:
                console.warn(f"{name} has no vector for {got.failed:,} texts, which count as zero")
            options = {"folds": compared.folds, "seed": settings.seed}
            users, items = reviews["user_id"].tolist(), reviews["item_id"].tolist()
            candidates.append(
                Candidate(
                    model=name,
                    identity=identity,
                    family=got.family,
                    generates=got.generates,
                    dimension=got.vectors.shape[1],
                    texts_per_s=len(reviews) / got.seconds,
                    peak_mb=got.peak_mb,
                    failed=got.failed,
                    sentiment=probe(got.vectors, reviews["sentiment"].tolist(), users, **options),
                    category=probe(got.vectors, reviews["category"].tolist(), items, **options),
                    retrieval=retrieval(got.vectors, items),
                )
            )
            meter.advance()
    found = advice(candidates, tolerance=compared.tolerance)
    console.table(grid(candidates, lost))
    for advised in found:
        console.line(f"{advised.use}: {advised.model or 'none'} ({advised.because})")
    path = settings.encoders_path
    path.parent.mkdir(parents=True, exist_ok=True)
    page = render(candidates, lost, found, reviews=len(reviews), threads=threads, clean=settings.clean)
    path.write_text(page, encoding="utf-8")
    console.line(f"  {path}")
    if lost:
        raise ModelError("; ".join(one.reason for one in lost))
    return {"candidates": [asdict(one) for one in candidates], "advice": [asdict(one) for one in found]}


def _named(settings: Settings, models: Sequence[str]) -> list[EncoderSettings]:
    """Settings of embed's encoder with these models."""
    raw = settings.model_dump(mode="json")
    raw["encoders"]["candidates"] = [raw["embed"]["encoder"] | {"model": name} for name in models]
    return parse_settings(raw, where="--model").encoders.candidates


def told_apart(candidates: Sequence[EncoderSettings]) -> list[str]:
    """Each candidate's model, with its settings by which others of the same model differ from it."""
    every = [one.model_dump(mode="json") for one in candidates]
    names = []
    for one in every:
        others = [other for other in every if other["model"] == one["model"]]
        own = {key: value for key, value in one.items() if any(other[key] != value for other in others)}
        said = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in own.items()]
        names.append(", ".join([one["model"], *said]))
    return names


def sample(batches: Iterable[pa.RecordBatch], count: int, seed: int) -> pd.DataFrame:
    """Reviews of random items, at most `count` and OF_AN_ITEM of each; the same ones in whatever order they come.

    No more than `count` and one batch are in memory.
    """
    kept = pd.DataFrame(columns=[*COLUMNS, "place", "within"])
    for batch in batches:
        frame = batch.to_pandas()
        frame = frame[frame["clean_text"].fillna("").str.strip() != ""]
        hashed = {"index": False, "hash_key": f"{seed % 10**16:016}"}
        frame["place"] = pd.util.hash_pandas_object(frame["item_id"], **hashed)
        frame["within"] = pd.util.hash_pandas_object(frame["text_hash"], **hashed)
        kept = frame if kept.empty else pd.concat([kept, frame])
        kept = kept.sort_values(["place", "within", "user_id"]).drop_duplicates(["item_id", "text_hash"])
        kept = kept[kept.groupby("item_id").cumcount() < OF_AN_ITEM].head(count)
    return kept.drop(columns=["place", "within"]).reset_index(drop=True)


def _batches(lake: Lake) -> Iterable[pa.RecordBatch]:
    yield from lake.dataset("reviews").to_batches(columns=COLUMNS)


def _labelled(lake: Lake, reviews: pd.DataFrame, clean: CleanSettings) -> pd.DataFrame:
    """With `sentiment`, as the examples have it, and `category`, None where unknown."""
    if reviews.empty:
        raise TableError("table reviews has no review with text, expected some to compare encoders on")
    sentiment = pd.Series([None] * len(reviews), dtype=object)
    sentiment = sentiment.mask(reviews["rating"] >= clean.high_rating, "good")
    sentiment = sentiment.mask(reviews["rating"] <= clean.low_rating, "bad")
    category: dict[str, str | None] = {}
    if lake.exists("items"):
        wanted = pc.field("item_id").isin(reviews["item_id"].unique().tolist())
        items = lake.read("items", ["item_id", "category"], where=wanted).to_pylist()
        category = {item["item_id"]: " > ".join(item["category"] or []) or None for item in items}
    return reviews.assign(sentiment=sentiment, category=[category.get(item) for item in reviews["item_id"]])


def main(argv: Sequence[str] | None = None) -> int:
    return operation_main("encoders compare", argv)


if __name__ == "__main__":
    sys.exit(main())
