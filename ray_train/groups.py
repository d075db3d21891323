"""How the workers of a training find one another: not at all where there is one, else through a store of the first.

Ray Train has torch open the store, and torch opens it to the whole network. Ours listens on the address by which Ray's
nodes know the first worker's: loopback, where Ray was started here.
"""

import socket
from datetime import timedelta

import ray
import torch.distributed as dist
from ray.train._internal.base_worker_group import BaseWorkerGroup
from ray.train.backend import Backend
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from tandemrec.config import TrainSettings

_hosted: list[TCPStore] = []  # of this worker: it lives as long as the process


class Alone(TorchConfig):
    """Of one worker: no process group."""

    @property
    def backend_cls(self) -> type[Backend]:
        """One that does nothing."""
        return Backend


class Together(TorchConfig):
    """Of several workers: a process group."""

    @property
    def backend_cls(self) -> type[Backend]:
        """One that opens the store and has every worker join."""
        return _Meeting


class _Meeting(_TorchBackend):
    def on_start(self, worker_group: BaseWorkerGroup, backend_config: TorchConfig) -> None:
        place = worker_group.execute_single(0, open_store)
        size, backend, seconds = len(worker_group), backend_config.backend, backend_config.timeout_s
        ray.get(
            [worker_group.execute_single_async(rank, join, place, rank, size, backend, seconds) for rank in range(size)]
        )


def group_of(train: TrainSettings) -> TorchConfig:
    """How the workers find one another."""
    backend = "nccl" if train.gpu else "gloo"
    return Together(backend=backend) if train.workers > 1 else Alone(backend=backend)


def open_store() -> tuple[str, int]:
    """Host a store in this process; the address and port where it listens."""
    address = ray.util.get_node_ip_address()
    listening = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    port = listening.getsockname()[1]
    _hosted.append(TCPStore(address, port, is_master=True, wait_for_workers=False, master_listen_fd=listening.detach()))
    return address, port


def join(place: tuple[str, int], rank: int, size: int, backend: str, seconds: float) -> None:
    """Make this process a member of the group of the store at `place`."""
    timeout = timedelta(seconds=seconds)
    store = TCPStore(*place, is_master=False, timeout=timeout)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=timeout)
