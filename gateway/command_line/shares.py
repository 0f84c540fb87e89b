"""What of this machine each model process gets, when several of a service run on it: CPU threads, and a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.cpus import available_cpus

GPUS = Path("/proc/driver/nvidia/gpus")
"""A folder a GPU, wherever NVIDIA's driver is; asking it needs no PyTorch."""


class Given(BaseSettings):
    """What the environment decides already."""

    model_config = SettingsConfigDict(frozen=True)

    diptych_threads: str = "0"
    diptych_device: str = "auto"
    cuda_visible_devices: str | None = None


def shares(
    replicas: Mapping[str, int],
    environment: Mapping[str, str],
    *,
    cpus: int | None = None,
    gpus: list[str] | None = None,
) -> dict[str, list[dict[str, str]]]:
    """Variables for each replica, by service.

    The CPUs are divided among the replicas of a service, since threads that outnumber them make all slower; services
    as such have all of them each, since most wait while one works. GPUs go round. As CUDA_VISIBLE_DEVICES: the device
    stays `auto`, and a PyTorch without CUDA computes on the CPU as ever.

    Args:
        replicas: how many, by service.
        environment: variables of all servers, beside those of this process; what is decided there is left alone.
        cpus: that this process may use; found out if not said.
        gpus: as CUDA_VISIBLE_DEVICES names them; found out if not said.
    """
    decided = {name.lower(): value for name, value in environment.items() if name.lower() in Given.model_fields}
    given = Given(**decided)
    cpus = available_cpus() if cpus is None else cpus
    free = (visible_gpus(given) if gpus is None else gpus) if given.diptych_device in ("auto", "cuda") else []
    turns = cycle(free)
    found: dict[str, list[dict[str, str]]] = {}
    for service, count in replicas.items():
        threads = {"DIPTYCH_THREADS": str(max(1, cpus // count))} if count > 1 and given.diptych_threads == "0" else {}
        found[service] = [
            {**threads, **({"CUDA_VISIBLE_DEVICES": next(turns)} if len(free) > 1 else {})} for _ in range(count)
        ]
    return found


def visible_gpus(given: Given, folder: Path = GPUS) -> list[str]:
    """Those that PyTorch would see."""
    if given.cuda_visible_devices is not None:
        return [name for name in given.cuda_visible_devices.split(",") if name]
    return [str(number) for number, _ in enumerate(folder.iterdir())] if folder.is_dir() else []
