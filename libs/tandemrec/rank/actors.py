"""Batch scoring on Ray Data: actors that hold the model, fed with whatever says which rows or users to score.

Nothing but what the actors return travels: examples and text vectors are memory-mapped on the node that reads them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset

from tandemrec.engines.ray import cpus
from tandemrec.errors import ConfigError

READ_CPUS = 0.5  # of a task that reads what the actors work on


def through_actors(
    data: Dataset,
    actor: Callable[..., Any],
    arguments: Mapping[str, Any],
    *,
    actors: int,
    batch_size: int,
    batch_format: str = "numpy",
) -> Dataset:
    """What the actors make of the data, batch by batch, in the order of the data.

    Args:
        data: blocks of rows.
        actor: a class whose instances map a batch to a batch; it also takes `threads`.
        arguments: of its constructor.
        actors: how many; they share the cores of the cluster.
        batch_size: rows in one call.
        batch_format: numpy or pyarrow.
    """
    if actors > cpus():
        raise ConfigError(f"{actors} actors are asked for, expected at most the {cpus()} cores of ray")
    threads = cpus() // actors
    return data.map_batches(
        actor,
        fn_constructor_kwargs={**arguments, "threads": threads},
        batch_size=batch_size,
        batch_format=batch_format,
        compute=ActorPoolStrategy(size=actors),
        num_cpus=cores_held(cpus(), actors),
    )


def cores_held(cores: int, actors: int) -> float:
    """What each actor holds of the cores that Ray counts: together all but one, which Ray takes to list files. Where
    none is left it waits for it without end. Threads are not bound by this.
    """
    share = (cores - 1) / actors
    return float(int(share)) if share >= 1 else int(100 * share) / 100  # Ray takes no fraction above one


def row_numbers(rows: npt.NDArray[np.integer], batch_size: int) -> Dataset:
    """A dataset of row numbers in column `row`, a block for each batch."""
    starts = range(0, len(rows), batch_size)
    return ray.data.from_arrow([pa.table({"row": rows[start : start + batch_size]}) for start in starts])
