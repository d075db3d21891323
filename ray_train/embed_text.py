"""Stage embed: a vector for each text of silver.reviews and silver.items that has none of this encoder.

Ray Data reads the tables, leaves one row a text, and hands blocks of them to actors that each hold an encoder; of a
large lake in rounds, so that memory hardly grows with it. What comes back is committed every `embed.commit_every`
texts: a run that is killed loses at most those, and the next one encodes only what has no vector.
"""

import math
import sys
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy, Dataset
from ray.exceptions import RayActorError

from tandemrec import console
from tandemrec.config import EmbedSettings, Settings
from tandemrec.engines.ray import cpus
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.pipeline import stage_main
from tandemrec.text.identity import device_of, embedding_identity
from tandemrec.text.pending import encode_each, one_each, vector_column

TEXTS_A_BLOCK = 512  # what an actor gets at a time: enough to sort by length
ROWS_IN_A_ROUND = 100_000  # of silver tables: what is held in the object store at a time, up to sixteen rounds
ROWS_IN_ONE_BLOCK = 200_000  # above this, the texts of a round are sorted by hash across the cluster
READ_ROWS, READ_BYTES = 8192, 2**20  # of a file at a time
FAILURES_SHOWN = 20

SOURCES = {"reviews": "clean_text", "items": "text"}

TextFile = tuple[ds.Fragment, str | None]  # a file of a table, and its column of texts: none where it has vectors


def depends_on(settings: Settings) -> str:
    """The encoder's files are outside the lake: other weights in the same folder are another encoder."""
    return embedding_identity(settings.embed)


def run(settings: Settings) -> Figures:
    """Encode what has no vector, and put the texts that the encoder fails on into gold.texts_failed; counts."""
    lake, embed = Lake.of(settings.lake), settings.embed
    identity = embedding_identity(embed)
    threads = _threads(embed)
    lake.ensure("text_vectors")
    names = _sources(lake, embed)
    rows = sum(lake.info(name).rows for name in names)
    rounds = _rounds(rows)
    one_block = rows <= ROWS_IN_ONE_BLOCK * len(rounds)
    failures: dict[str, str] = {}
    total, encoded, started = 0, 0, time.monotonic()
    for number, hashes in enumerate(rounds, 1):
        label = f"texts, round {number} of {len(rounds)}" if len(rounds) > 1 else "texts"
        count, blocks = _without_vector(_texts(lake, identity, names, hashes, one_block))
        made, failed = _encode(blocks, lake, embed, identity, threads, label)
        del blocks  # the object store lets this round's texts go before it takes the next one's
        total, encoded, failures = total + count, encoded + made, failures | failed
    seconds = time.monotonic() - started
    if failures and len(failures) == total:
        raise ModelError(f"encoder {embed.encoder.model} fails on every text, first: {next(iter(failures.values()))}")
    _keep_failures(lake, identity, failures)
    for text_hash, error in sorted(failures.items())[:FAILURES_SHOWN]:
        console.warn(f"text {text_hash} has no vector: {error}")
    return {
        "encoder": identity,
        "model": embed.encoder.model,
        "dimension": _dimension(lake, identity),
        "texts": total,
        "encoded": encoded,
        "failed": len(failures),
        "texts_per_s": round(encoded / seconds, 1) if encoded else None,
    }


def _encode(
    blocks: Dataset, lake: Lake, embed: EmbedSettings, identity: str, threads: int, label: str
) -> tuple[int, dict[str, str]]:
    """Encode texts and commit their vectors part by part; how many got one, and the errors of the others by hash."""
    failures: dict[str, str] = {}
    encoded, started, pending = 0, time.monotonic(), blocks.count()
    if not pending:
        return 0, failures
    with console.meter(label, pending) as meter:
        for part in _parts(_made(_vectors(blocks, embed, identity, threads)), embed.commit_every):
            good, bad = (part.filter(chosen(part["error"])) for chosen in (pc.is_null, pc.is_valid))
            lake.merge("text_vectors", _rows(good, identity), update=False)
            failures |= dict(zip(bad["text_hash"].to_pylist(), bad["error"].to_pylist(), strict=True))
            encoded += good.num_rows
            meter.advance(part.num_rows)
            meter.note(f"{encoded / (time.monotonic() - started):,.0f} a second")
    return encoded, failures


class TextEncoder:
    """The actor: an encoder that stays in memory between blocks."""

    def __init__(self, embed: EmbedSettings, identity: str, threads: int) -> None:
        import torch

        from tandemrec.text.encoder import Encoder

        torch.set_num_threads(threads)
        self.encoder = Encoder(embed.encoder, device=device_of(embed), tokens_per_batch=embed.tokens_per_batch)
        if self.encoder.identity != identity:
            raise ModelError(
                f"encoder {embed.encoder.model} is {self.encoder.identity} on this node and {identity} where the stage "
                "started: other files or another processor; set encoder.dtype"
            )

    def __call__(self, block: pa.Table) -> pa.Table:
        """text_hash and text in; text_hash, vector and error (null for a good one) out."""
        vectors, errors = encode_each(self.encoder.encode, block["text"].to_pylist())
        if vectors is None:
            vectors = np.zeros((block.num_rows, self.encoder.dimension), np.float32)
        error = pa.nulls(block.num_rows, pa.string())
        if errors:
            error = pa.array([errors.get(row) for row in range(block.num_rows)], pa.string())
        return pa.table({"text_hash": block["text_hash"], "vector": vector_column(vectors), "error": error})


def _sources(lake: Lake, embed: EmbedSettings) -> list[str]:
    """The tables whose texts are encoded."""
    names = [name for name in SOURCES if lake.exists(name) and (name != "items" or embed.items)]
    if not names:
        lake.open("reviews")  # says that it does not exist
    return names


def _rounds(rows: int) -> list[pc.Expression | None]:
    """What each round reads, by the first digit of the hash: as many rounds as keep each small, a power of two up to
    sixteen, for each reads all files again. None: everything.
    """
    count = next((n for n in (1, 2, 4, 8) if rows <= n * ROWS_IN_A_ROUND), 16)
    starts = [f"{16 // count * number:x}" for number in range(1, count)]
    text_hash = pc.field("text_hash")
    from_here = [None, *(text_hash >= start for start in starts)]
    to_here = [*(text_hash < start for start in starts), None]
    both = zip(from_here, to_here, strict=True)
    return [low if high is None else high if low is None else low & high for low, high in both]


def _texts(lake: Lake, identity: str, names: list[str], hashes: pc.Expression | None, one_block: bool) -> Dataset:
    """One row a text of a round: text_hash, text, and `known` where it has a vector; in the object store."""
    encoded = lake.dataset("text_vectors").get_fragments(pc.field("encoder") == identity)
    files: list[TextFile] = [(file, None) for file in encoded]
    files += [(file, SOURCES[name]) for name in names for file in lake.dataset(name).get_fragments()]
    if one_block:
        one = ray.data.range(1, override_num_blocks=1)
        return one.map_batches(lambda _: one_each(_rows_of(files, hashes)), batch_format="pyarrow").materialize()
    numbers = ray.data.range(len(files), override_num_blocks=len(files))
    numbers.context.target_max_block_size = None  # else what is sorted is parted anywhere, amid the rows of a text too
    read = partial(_read, files=files, hashes=hashes)
    together = numbers.map_batches(read, batch_format="pyarrow", batch_size=None).sort("text_hash")
    return together.map_batches(one_each, batch_format="pyarrow", batch_size=None).materialize()


def _read(numbers: pa.Table, files: list[TextFile], hashes: pc.Expression | None) -> pa.Table:
    return _rows_of([files[number] for number in numbers["id"].to_pylist()], hashes)


def _rows_of(files: list[TextFile], hashes: pc.Expression | None) -> pa.Table:
    """text_hash and text of a round's rows of files; `text` null where a file has vectors, not texts."""
    parts = [pa.schema([("text_hash", pa.string()), ("text", pa.string())]).empty_table()]
    wanted = pc.field("text_hash").is_valid() if hashes is None else hashes
    for file, column in files:
        for batch in _in_pieces(file, ["text_hash", *([column] if column else [])]):
            text = batch[column] if column else pa.nulls(batch.num_rows)
            # Plain strings first: of a delta-rs merge they are string_view, which Arrow cannot compare.
            rows = pa.table({"text_hash": batch["text_hash"], "text": text}).cast(parts[0].schema)
            parts.append(rows.filter(wanted))
    return pa.concat_tables(parts)


def _in_pieces(file: ds.Fragment, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Rows of a file, few at a time: the reader of a dataset decodes a whole row group first, maybe all of the file."""
    with file.filesystem.open_input_file(file.path) as opened:
        yield from pq.ParquetFile(opened, buffer_size=READ_BYTES).iter_batches(READ_ROWS, columns=columns)


def _without_vector(texts: Dataset) -> tuple[int, Dataset]:
    """How many texts there are, and those to encode, in blocks as the actors take them.

    They are materialised before the actors start: these may hold every core, and a task that feeds them would wait.
    Nobody holds `texts` afterwards, so that the object store has each text once and not twice.
    """
    pending = texts.map_batches(_unknown, batch_format="pyarrow", batch_size=None)
    return texts.count(), pending.repartition(target_num_rows_per_block=TEXTS_A_BLOCK).materialize()


def _vectors(blocks: Dataset, embed: EmbedSettings, identity: str, threads: int) -> Dataset:
    """What the actors make of the texts."""
    resources = {"num_gpus": embed.gpus_per_actor} if embed.gpus_per_actor else {"num_cpus": threads}
    return blocks.map_batches(
        TextEncoder,
        fn_constructor_kwargs={"embed": embed, "identity": identity, "threads": threads},
        batch_format="pyarrow",
        batch_size=None,
        compute=ActorPoolStrategy(size=embed.actors),
        **resources,
    )


def _unknown(rows: pa.Table) -> pa.Table:
    return rows.filter(pc.invert(rows["known"])).select(["text_hash", "text"])


def _made(vectors: Dataset) -> Iterator[pa.Table]:
    """What the actors make, block by block.

    Raises:
        ModelError: an actor cannot be made. One that ends later is made again, and its block given to it.
    """
    try:
        yield from vectors.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
    except RayActorError as error:
        *_, cause = str(error).strip().splitlines()  # of a traceback
        raise ModelError(cause.removeprefix(f"{ModelError.__module__}.{ModelError.__name__}: ")) from error


def _parts(batches: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The rows in tables of at least `rows` rows; the last has the rest."""
    held: list[pa.Table] = []
    for batch in batches:
        held.append(batch)
        if sum(table.num_rows for table in held) >= rows:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _rows(good: pa.Table, identity: str) -> pa.Table:
    """Rows of text_vectors; the vectors' values are not copied."""
    vector = good["vector"].combine_chunks()
    width = vector.type.list_size
    offsets = pa.array(np.arange(good.num_rows + 1, dtype=np.int32) * width)
    encoder = pa.repeat(identity, good.num_rows)
    lists = pa.ListArray.from_arrays(offsets, vector.flatten())
    return pa.table({"text_hash": good["text_hash"], "encoder": encoder, "vector": lists})


def _keep_failures(lake: Lake, identity: str, failures: dict[str, str]) -> None:
    """Put a run's failures in the place of the encoder's former ones: it tried every text without a vector."""
    former = lake.exists("texts_failed") and lake.read("texts_failed", where=pc.field("encoder") == identity).num_rows
    if failures or former:
        hashes, errors = list(failures), list(failures.values())
        rows = pa.table({"text_hash": hashes, "encoder": [identity] * len(hashes), "error": errors})
        lake.overwrite("texts_failed", rows, where=f"encoder = '{identity}'")


def _dimension(lake: Lake, identity: str) -> int | None:
    vectors = lake.dataset("text_vectors").head(1, columns=["vector"], filter=pc.field("encoder") == identity)
    return len(vectors["vector"][0]) if vectors.num_rows else None


def _threads(embed: EmbedSettings) -> int:
    """Threads of each actor; refuses actors that would wait for ever for resources that the cluster lacks."""
    threads = embed.threads_per_actor or max(1, cpus() // embed.actors)
    gpus = math.floor(ray.cluster_resources().get("GPU", 0.0))
    if embed.gpus_per_actor * embed.actors > gpus:
        raise ConfigError(
            f"embed.actors is {embed.actors} with {embed.gpus_per_actor:g} GPUs each, expected at most {gpus} in all"
        )
    if not embed.gpus_per_actor and threads * embed.actors > cpus():
        raise ConfigError(
            f"embed.actors is {embed.actors} with {threads} threads each, expected at most the {cpus()} cores of ray"
        )
    return threads


def main(argv: list[str] | None = None) -> int:
    return stage_main("embed", argv)


if __name__ == "__main__":
    sys.exit(main())
