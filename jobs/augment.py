"""Stage augment: texts made from reviews of the training split, with the labels of the reviews they come from.

They go to gold.synthetic_texts with their source, are numbered in texts_vocabulary and encoded like any text; `train`
reads them as further rows. Reviews of which nothing passes are noted in gold.synthetic_tried and not asked again. A
killed run goes on from its last commit.
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tandemrec import console
from tandemrec.augment import LABELS, Made, Probes, Sources, crop_and_shuffle, synthesise, training_reviews
from tandemrec.augment.synthesis import Method
from tandemrec.config import AugmentSettings, GeneratorSettings, Settings, Task
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures, fingerprint
from tandemrec.lake.types import arrow_schema
from tandemrec.pipeline import run_identity, stage_main
from tandemrec.text.encoder import Encoder
from tandemrec.text.generator import Generator
from tandemrec.text.identity import Device, device_of, embedding_identity, generator_identity
from tandemrec.text.pending import encode_each

REVIEWS_A_COMMIT = 256


def depends_on(settings: Settings) -> list[str]:
    """The files of the encoder and of the generator are outside the lake."""
    if settings.augment is None:
        return []
    generator = settings.augment.generator
    return [embedding_identity(settings.embed), *([] if generator is None else [generator_identity(generator)])]


def run(settings: Settings) -> Figures:
    """Make what is not there yet; drop what was made by other settings, or from reviews that are training rows no more,
    say something else by now or have other labels.

    Returns:
        reviews; kept: those with texts of before; tried: those of which nothing passed before; made and dropped: texts;
        rejected: by method and reason; encoder: whose vectors they have.

    Raises:
        ModelError: there are reviews in the training split, and none of them has a vector.
    """
    options = settings.augment
    if options is None:
        console.line("  nothing: augment is null in the settings")
        return {"made": 0}
    lake = Lake.of(settings.lake)
    device = device_of(settings.embed)
    judged, identity = _judged(settings.tasks), embedding_identity(settings.embed)
    how = fingerprint(depends_on(settings), _how(options, judged), settings.seed)
    sources = training_reviews(lake, identity, options.reviews)
    recipes = _recipes(how, sources)
    there, dropped = _still(lake, "synthetic_texts", recipes)
    vain, _ = _still(lake, "synthetic_tried", recipes)
    kept, tried, told = (set(rows.to_pylist()) for rows in (there["review_id"], vain["review_id"], there["text_hash"]))
    figures: Figures = {"reviews": len(sources.ids), "kept": len(kept), "tried": len(tried)}
    figures |= {"made": 0, "dropped": dropped, "encoder": identity}
    pending = [place for place, name in enumerate(sources.ids) if name not in kept | tried]
    rejected: dict[str, Counter[str]] = {}
    if pending:
        generator = None if options.generator is None else _generator(options.generator, device)
        wrote = {} if options.generator is None else {"paraphrase": generator_identity(options.generator)}
        encoder = Encoder(settings.embed.encoder, device=device, tokens_per_batch=settings.embed.tokens_per_batch)
        labels = {name: sources.labels[name] for name in judged}
        probes = Probes(sources.vectors, labels, seed=settings.seed)
        methods = _methods(options, generator, settings.seed)
        run_id = run_identity(settings, "augment")
        with console.meter("reviews", len(pending)) as meter:
            for start in range(0, len(pending), REVIEWS_A_COMMIT):
                places = pending[start : start + REVIEWS_A_COMMIT]
                made = synthesise(
                    sources,
                    places,
                    methods,
                    partial(_encode, encoder),
                    probes,
                    told,
                    variants=options.variants,
                    similarity=options.similarity,
                )
                _write(lake, sources, made, encoder.identity, wrote, recipes, run_id)
                vainly = [sources.ids[place] for place in sorted(set(places) - set(made.source))]
                _note(lake, {name: recipes[name] for name in vainly})
                figures["made"] += len(made.text)
                for name, reasons in made.rejected.items():
                    rejected.setdefault(name, Counter()).update(reasons)
                meter.advance(len(places))
    figures["rejected"] = {name: dict(reasons) for name, reasons in rejected.items()}
    console.line(f"  {figures['made']:,} texts made from {len(pending):,} reviews; {len(kept):,} reviews had theirs")
    return figures


def _judged(tasks: Sequence[Task]) -> list[str]:
    """The labels that probes judge: those of tasks on texts that tell classes."""
    judged = {task.column for task in tasks if "review" in task.reads and task.kind in ("binary", "multiclass")}
    return sorted(judged.intersection(LABELS))


def _how(options: AugmentSettings, judged: Sequence[str]) -> dict[str, Any]:
    """What decides what becomes of a review: not how many there are."""
    own = {"cosines": "of centred vectors", "clauses": "of Chinese in NFKC", "judged": judged}
    return options.model_dump(mode="json", exclude={"reviews"}) | own


def _recipes(how: str, sources: Sources) -> dict[str, str]:
    """By review, what its texts rest on: how they are made, what it says, and the labels that they take from it."""
    labels = zip(*(label.tolist() for label in sources.labels.values()), strict=True)
    said = zip(sources.ids, sources.texts, labels, strict=True)
    return {name: fingerprint(how, text, *label) for name, text, label in said}


def _generator(settings: GeneratorSettings, device: Device) -> Generator:
    how = settings.model_dump(include={"max_tokens", "temperature", "top_p", "batch"})
    return Generator(settings.model, device=device, **how)


def _still(lake: Lake, table: str, recipes: Mapping[str, str]) -> tuple[pa.Table, int]:
    """The rows of a table that stay, of these reviews and by their recipes, and how many others were dropped."""
    if not lake.exists(table):
        return arrow_schema(lake.table(table)).empty_table(), 0
    rows = lake.read(table)
    expected = pa.array([recipes.get(name) for name in rows["review_id"].to_pylist()], pa.string())
    left = rows.filter(pc.equal(rows["recipe"], expected))
    if left.num_rows < rows.num_rows:
        lake.overwrite(table, left)
    return left, rows.num_rows - left.num_rows


def _note(lake: Lake, recipes: Mapping[str, str]) -> None:
    columns = {"review_id": [*recipes], "recipe": [*recipes.values()]}
    lake.merge("synthetic_tried", pa.table(columns, arrow_schema(lake.table("synthetic_tried"))))


def _methods(options: AugmentSettings, generator: Generator | None, seed: int) -> dict[str, Method]:
    """In the order in which they are tried. What is made depends on what the review says alone."""
    methods: dict[str, Method] = {}
    if generator is not None and options.generator is not None:
        asked = options.generator

        def paraphrase(texts: Sequence[str], variant: int) -> list[str | None]:
            prompts = [asked.prompt.replace("{text}", text[: asked.characters]) for text in texts]
            seeds = [crc32(f"{seed}|{variant}|{text}".encode()) for text in texts]
            return list(generator.write_each(prompts, seeds=seeds))

        methods["paraphrase"] = paraphrase
    if options.crop_shuffle:

        def crop(texts: Sequence[str], variant: int) -> list[str | None]:
            draws = [np.random.default_rng([seed, variant, crc32(text.encode())]) for text in texts]
            return [crop_and_shuffle(text, options.keep, draw) for text, draw in zip(texts, draws, strict=True)]

        methods["crop_shuffle"] = crop
    return methods


def _encode(encoder: Encoder, texts: Sequence[str]) -> npt.NDArray[np.float32]:
    """Vectors; zeros, which are near nothing, of texts that the encoder fails on."""
    vectors, _ = encode_each(encoder.encode, texts)
    return np.zeros((len(texts), encoder.dimension), np.float32) if vectors is None else vectors


def _write(
    lake: Lake,
    sources: Sources,
    made: Made,
    encoder: str,
    wrote: Mapping[str, str],
    recipes: Mapping[str, str],
    run_id: str,
) -> None:
    """Vectors and numbers first: a text that is there can be read."""
    if not made.text:
        return
    hashes, count = made.text_hash, len(made.text)
    vectors = {"text_hash": hashes, "encoder": [encoder] * count, "vector": [v.tolist() for v in made.vector]}
    lake.merge("text_vectors", pa.table(vectors, arrow_schema(lake.table("text_vectors"))), update=False)
    number = _numbered(lake, hashes)
    ids = [sources.ids[place] for place in made.source]
    rows = [
        {
            "synthetic_id": sha256(f"{source}|{method}|{variant}|{recipes[source]}".encode()).hexdigest(),
            "review_id": source,
            "text": text,
            "text_hash": text_hash,
            "text_index": number[text_hash],
            "method": method,
            "generator": wrote.get(method),
            "similarity": similarity,
            "recipe": recipes[source],
            "run_id": run_id,
            **{name: _or_none(label[place]) for name, label in sources.labels.items()},
        }
        for source, place, method, variant, text, text_hash, similarity in zip(
            ids, made.source, made.method, made.variant, made.text, hashes, made.similarity, strict=True
        )
    ]
    lake.merge("synthetic_texts", pa.Table.from_pylist(rows, arrow_schema(lake.table("synthetic_texts"))))


def _numbered(lake: Lake, hashes: Sequence[str]) -> dict[str, int]:
    """Numbers of texts in texts_vocabulary, the next ones for those that are new."""
    known = lake.read("texts_vocabulary", where=pc.field("text_hash").isin(list(hashes)))
    number = dict(zip(known["text_hash"].to_pylist(), known["text_index"].to_pylist(), strict=True))
    largest = pc.max(lake.read("texts_vocabulary", ["text_index"])["text_index"]).as_py() or 0
    fresh = {text_hash: largest + place for place, text_hash in enumerate(sorted(set(hashes) - set(number)), 1)}
    if fresh:
        rows = pa.table({"text_hash": list(fresh), "text_index": pa.array(fresh.values(), pa.int32())})
        lake.merge("texts_vocabulary", rows, update=False)
    return number | fresh


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def main(argv: Sequence[str] | None = None) -> int:
    return stage_main("augment", argv)


if __name__ == "__main__":
    sys.exit(main())
