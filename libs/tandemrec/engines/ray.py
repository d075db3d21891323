"""The only place that starts Ray."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tandemrec.config.root import RaySettings
from tandemrec.engines.quiet import standard_error_in_a_file
from tandemrec.errors import EngineError

# Set before ray is imported: it reads them once.
os.environ.setdefault("RAY_DEDUP_LOGS", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_TRAIN_V2_ENABLED", "1")
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")  # until an end is noticed; Ray's own is 2
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # of its C++ part, which writes to our standard error

_OF_WORKERS = ("GOMP_SPINCOUNT",)  # those of our own Ray inherit it
_CHATTY = ("ray.data", "ray.train", "ray.tune", "ray._private.authentication")


@contextmanager
def ray_cluster(settings: RaySettings) -> Iterator[None]:
    """Ray for the time of a stage: the cluster at `address`, or one of our own; one that runs already is used."""
    import ray

    outer = ray.is_initialized()
    if not outer:
        start(settings)
    try:
        yield
    finally:
        if not outer:
            ray.shutdown()


def start(settings: RaySettings) -> None:
    """Start or join Ray, quietly: its logs go to its own files, warnings to standard error."""
    import ray

    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    own = (
        {"runtime_env": {"env_vars": {name: os.environ[name] for name in _OF_WORKERS if name in os.environ}}}
        if settings.address
        else {
            "num_cpus": settings.cpus,  # none: what Ray finds, which heeds the limits of a container
            "object_store_memory": settings.object_store_mb * 1024 * 1024,
            "include_dashboard": False,
        }
    )
    with standard_error_in_a_file("ray"), nullcontext() if settings.address else _on_loopback():
        try:
            ray.init(address=settings.address or "local", logging_level=logging.WARNING, log_to_driver=False, **own)
        except ConnectionError as error:
            if settings.address is None:
                raise
            said = str(error).partition("\n")[0].rstrip(".")
            raise EngineError(f"ray.address is {settings.address!r}: {said}; expected a cluster that runs") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True  # the same seed gives the same batches


@contextmanager
def _on_loopback() -> Iterator[None]:
    """An instance that is started within listens to this machine alone.

    Asked for 127.0.0.1, Ray takes an address that other machines reach, and listens to all of them. Where it knows no
    clusters (its way on macOS) it takes loopback.
    """
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def cpus() -> int:
    """Cores of the running cluster."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))
