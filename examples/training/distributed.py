"""One process, or several that ``torchrun`` started."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from nirbridge.errors import InputError


@dataclass(frozen=True)
class Processes:
    """Where this process stands among all.

    Attributes:
        rank: its number.
        count: how many there are.
        device: the one that it computes on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def wrapped(self, network: nn.Module) -> nn.Module:
        """``network`` on the device, its gradients averaged over the processes."""
        network = network.to(self.device)
        return network if self.count == 1 else nn.parallel.DistributedDataParallel(network)

    def total(self, sums: Tensor) -> Tensor:
        """The sums of all processes."""
        if self.count == 1:
            return sums
        # NCCL adds on its GPU alone.
        moved = sums.to(self.device)
        distributed.all_reduce(moved)
        return moved.cpu()

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


@contextmanager
def processes(device: str = "auto") -> Iterator[Processes]:
    """Joins the processes that ``torchrun`` started, or stands alone.

    Args:
        device: "auto" (CUDA where it is there), "cpu", "cuda" or "cuda:1".

    Raises:
        InputError: the device is not there.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    chosen = _device(device, local)
    if count == 1:
        yield Processes(0, 1, chosen)
        return
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    # Its functions take the world as it is at their import for a default. Imported later, by DistributedDataParallel,
    # they keep the world's threads beyond its end; one that frees a tensor while Python exits aborts the process.
    from torch.distributed.nn import functional  # noqa: F401

    distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(rank, count, chosen)
    finally:
        distributed.destroy_process_group()


def _device(name: str, local: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"device '{name}'", "is unknown", "Use auto, cpu or cuda") from error
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", local)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = f"is not there, {torch.cuda.device_count()} GPU(s) found"
        raise InputError(f"device '{device}'", found, "Use --device cpu, or fewer processes")
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"device '{name}'", "is not supported", "Use auto, cpu or cuda")
    return device
