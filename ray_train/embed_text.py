"""Stage embed: a vector for each text of silver.reviews and silver.items that has none of this encoder.

Ray Data reads the tables, leaves one row a text, and sends blocks of them to actors that each hold an encoder. What
comes back is committed every `embed.commit_every` texts: a run that is killed loses at most those, and the next one
encodes only what has no vector.
"""

import math
import sys
import time
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from ray.data import ActorPoolStrategy, Dataset

from tandemrec import console
from tandemrec.config import EmbedSettings, EncoderSettings, Settings
from tandemrec.engines.ray import cpus
from tandemrec.errors import ConfigError, ModelError
from tandemrec.lake import Lake
from tandemrec.lake.runs import Figures
from tandemrec.pipeline import stage_main
from tandemrec.text.identity import Device, encoder_identity
from tandemrec.text.pending import encode_each, one_each, vector_column

TEXTS_A_BLOCK = 512
ROWS_A_PARTITION = 200_000
HASHES_SHOWN = 20


def depends_on(settings: Settings) -> str:
    """The encoder's files are outside the lake: other weights in the same folder are another encoder."""
    return encoder_identity(settings.embed.encoder, device=_device(settings.embed))


def run(settings: Settings) -> Figures:
    """Encode what has no vector; counts, and the hashes of texts that the encoder fails on."""
    lake, embed = Lake(settings.lake.root), settings.embed
    threads = _threads(embed)
    identity = encoder_identity(embed.encoder, device=_device(embed))
    lake.ensure("text_vectors")
    texts = _texts(lake, embed, identity)
    total = texts.count()
    pending = total - int(texts.sum("known") or 0) if total else 0
    started, failures, encoded, dimension = time.monotonic(), {}, 0, None
    if pending:
        with console.meter("texts", pending) as meter:
            for part in _parts(_encoded(texts, embed, identity, threads), embed.commit_every):
                good = part.filter(pc.is_null(part["error"]))
                bad = part.filter(pc.is_valid(part["error"]))
                failures.update(zip(bad["text_hash"].to_pylist(), bad["error"].to_pylist(), strict=True))
                if good.num_rows:
                    dimension = good["vector"].type.list_size
                    lake.merge("text_vectors", _rows(good, identity), update=False)
                encoded += good.num_rows
                meter.advance(part.num_rows)
                meter.note(f"{encoded / (time.monotonic() - started):,.0f} a second")
    if pending and not encoded:
        raise ModelError(f"encoder {embed.encoder.model} fails on every text: {next(iter(failures.values()), 'no reply')}")
    for text_hash, error in list(failures.items())[:HASHES_SHOWN]:
        console.warn(f"text {text_hash} has no vector: {error}")
    return {
        "encoder": identity,
        "model": embed.encoder.model,
        "dimension": dimension,
        "texts": total,
        "encoded": encoded,
        "failed": len(failures),
        "failed_hashes": sorted(failures)[:HASHES_SHOWN],
        "texts_per_s": round(encoded / (time.monotonic() - started), 1),
    }
