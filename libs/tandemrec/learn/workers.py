"""What data-parallel workers tell one another; alone, each function does nothing.

Gradients are summed here rather than by DistributedDataParallel. Each worker's loss is its share of a sum over the
global batch, divided by global counts: a plain sum of gradients is then that of one worker with the whole batch,
whatever labels are missing where. DDP averages instead, waits for parameters that a worker without labels of a task
never touched, and hides the gradients of single tasks, which balancing methods need summed before they decide.
"""

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

BUCKET = 16 * 1024 * 1024  # numbers in one message


def rank() -> int:
    """Number of this worker, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many workers there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def sum_over_workers(tensor: Tensor) -> Tensor:
    """The tensor, summed over the workers in place."""
    if count() > 1:
        dist.all_reduce(tensor)
    return tensor


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Sum each gradient over the workers, in few large messages. A worker without one counts as zero.

    What no worker has a gradient of stays without one: on zeros optimizers with a momentum would still move it.
    """
    asked = list(parameters)
    if count() == 1 or not asked:
        return
    held = torch.tensor([parameter.grad is not None for parameter in asked], device=asked[0].device, dtype=torch.int32)
    bucket: list[nn.Parameter] = []
    for parameter, holders in zip(asked, sum_over_workers(held).tolist(), strict=True):
        if holders == 0:
            continue
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        bucket.append(parameter)
        if sum(waiting.numel() for waiting in bucket) >= BUCKET:
            _sum(bucket)
            bucket = []
    if bucket:
        _sum(bucket)


def share(rows: int) -> slice:
    """Which of a number of rows are for this worker: contiguous parts, in the order of the workers."""
    return slice(rows * rank() // count(), rows * (rank() + 1) // count())


def _sum(bucket: list[nn.Parameter]) -> None:
    gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
    flat = sum_over_workers(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    for gradient, summed in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(summed.view_as(gradient))
