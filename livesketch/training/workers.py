"""One process, or several that share each batch (``torchrun``, DistributedDataParallel)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from ..errors import ControlError


@dataclass(frozen=True, slots=True)
class Workers:
    """Which of how many processes this is."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes the files and the progress."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module, with gradients averaged over all processes where there are several."""
        if self.count == 1:
            return module
        ids = [self.device.index] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=ids)

    def summed(self, values: Tensor) -> Tensor:
        """Their sum over all processes; no gradients go through."""
        total = values.detach().clone()
        if self.count > 1:
            distributed.all_reduce(total)
        return total

    def agree(self, decision: bool) -> bool:
        """What the first process decided, in all of them."""
        if self.count == 1:
            return decision
        flag = torch.tensor([int(decision)], device=self.device)
        distributed.broadcast(flag, 0)
        return bool(flag.item())

    def wait(self) -> None:
        """Until all processes are here."""
        if self.count > 1:
            distributed.barrier()


def device_of(name: str) -> torch.device:
    """The device of that name.

    Raises:
        ControlError: there is none here.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ValueError) as err:
        reason = str(err).splitlines()[0]
        raise ControlError(f"--device {name!r}: {reason}; expected cpu, or cuda where PyTorch finds a GPU") from err
    if device.type not in {"cpu", "cuda"}:
        raise ControlError(f"--device {name!r}: training does not run on {device.type!r}; expected cpu or cuda")
    return device


@contextmanager
def workers(device: str) -> Iterator[Workers]:
    """This process's place among those that ``torchrun`` started; alone without it."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers(0, 1, device_of(device))
        return
    if "RANK" not in os.environ:
        raise ControlError(f"WORLD_SIZE is {count}, and RANK is not set: start with torchrun, or unset WORLD_SIZE")
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    place = device_of(f"cuda:{local}" if device == "cuda" else device)
    distributed.init_process_group("nccl" if place.type == "cuda" else "gloo")
    try:
        yield Workers(rank, count, place)
    finally:
        distributed.destroy_process_group()
