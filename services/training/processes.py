"""The processes that train one model together, as torchrun starts them; a run without it is a group of one.

Every process computes the gradient of its share of each batch; DistributedDataParallel (Li et al. 2020,
arXiv:2006.15704) averages them, so that all take the same step. Over NCCL on GPUs, over Gloo on CPUs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from shared.errors import ConfigurationError

Value = TypeVar("Value")


@dataclass(frozen=True, kw_only=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this one prints, measures and writes."""
        return self.rank == 0

    def share_of(self, batch: int) -> slice:
        """Which items of a global batch are this process's. Raises ConfigurationError unless all get as many."""
        if batch % self.count:
            raise ConfigurationError(f"--batch {batch}: expected a multiple of the {self.count} processes")
        size = batch // self.count
        return slice(self.rank * size, (self.rank + 1) * size)

    def told(self, value: Value) -> Value:
        """The leading process's value, in all of them."""
        if self.count == 1:
            return value
        holder = [value]
        torch.distributed.broadcast_object_list(holder, src=0)
        return holder[0]

    def gathered(self, value: Value) -> list[Value]:
        """Every process's value, by rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(values, value)
        return values

    def require_equal(self, value: object, what: str) -> None:
        """Raises ConfigurationError, in all of them, where processes have different values."""
        values = self.gathered(value)
        if different := [rank for rank, other in enumerate(values) if other != values[0]]:
            raise ConfigurationError(f"{what} is not the same in process {different[0]} as in the first")

    def rows(self, local: Tensor) -> Tensor:
        """(B, ...) of each process -> (B count, ...) of all, by rank; gradients flow back to whose rows they are."""
        if self.count == 1:
            return local
        parts = [torch.empty_like(local) for _ in range(self.count)]
        torch.distributed.all_gather(parts, local.detach().contiguous())
        # All compute one loss, of which each passes back its own rows' part: the sum of the parts is wanted, not the
        # mean that DistributedDataParallel makes of them.
        parts[self.rank] = local.detach() + self.count * (local - local.detach())
        return torch.cat(parts)

    def mean(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Means of scalars over the processes, without gradient."""
        stacked = torch.stack([value.detach().float() for value in values.values()])
        if self.count > 1:
            torch.distributed.all_reduce(stacked)
        return dict(zip(values, stacked / self.count, strict=True))

    def distribute(self, module: nn.Module) -> nn.Module:
        """A module whose `forward` and `backward` are those of `module` over all processes' batches.

        On GPUs batch norm takes its statistics over all of them; on CPUs, where torch cannot, each process has its own.
        """
        if self.count == 1:
            return module
        if next(module.parameters()).is_cuda:
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
        return cast(nn.Module, DistributedDataParallel(module))


@contextmanager
def joined_processes(device: torch.device) -> Iterator[tuple[Processes, torch.device]]:
    """Joins the group if torchrun started this process, and leaves it in the end; also the device of this process."""
    if not torch.distributed.is_available() or not torch.distributed.is_torchelastic_launched():
        yield Processes(), device
        return
    if device.type == "cuda":
        device = torch.device("cuda", torch.distributed.get_node_local_rank(fallback_rank=0))
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(rank=torch.distributed.get_rank(), count=torch.distributed.get_world_size()), device
    finally:
        torch.distributed.destroy_process_group()
