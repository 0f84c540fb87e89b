"""Turns RuntimeOptions into a device, a precision and a number of threads; nothing is probed at import.

No other module asks which device there is: predictors run a Forward (`passes.py`) through `Runtime.passes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from shared.cpus import available_cpus
from shared.errors import ConfigurationError
from shared.inference.cuda import CudaPasses, use_device
from shared.inference.passes import EagerPasses, Forward, Passes
from shared.inference.predictor import RuntimeOptions

Network = TypeVar("Network", bound=nn.Module)

CPU_INFO = Path("/proc/cpuinfo")
NATIVE_BF16 = frozenset({"amx_bf16", "avx512_bf16", "bf16"})
"""Flags of x86 (the first two) and Arm CPUs that multiply bf16 in hardware."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Where and how a model runs."""

    device: torch.device
    dtype: torch.dtype
    threads: int
    graphs: bool
    """Passes are recorded and replayed: a Forward must not look at its numbers to decide what to do next."""

    def place(self, module: Network) -> Network:
        """The module on the device, in the precision, ready for inference; parts that say `exact` in float32."""
        exact = [one for part in module.modules() if getattr(part, "exact", False) for one in part.parameters()]
        whole = [one.detach().float().clone() for one in exact]
        module.to(self.device, self.dtype).eval()
        for parameter, value in zip(exact, whole, strict=True):
            parameter.data = value.to(self.device)
        return module

    def passes(self, forward: Forward) -> Passes:
        """What runs `forward` here."""
        if self.device.type == "cuda":
            return CudaPasses(forward, device=self.device, graphs=self.graphs)
        return EagerPasses(forward)

    def __str__(self) -> str:
        precision = "bf16" if self.dtype is torch.bfloat16 else "fp32"
        return f"{self.device} {precision} {self.threads} threads"


def resolve_runtime(options: RuntimeOptions) -> Runtime:
    """Decides every `auto` and makes torch of this process keep to it.

    Raises ConfigurationError for a device this machine or build of torch lacks.
    """
    device = _device(options.device)
    threads = options.threads or max(1, available_cpus() - 1)
    torch.set_num_threads(threads)
    bf16 = options.precision == "bf16" or (options.precision == "auto" and _multiplies_bf16(device))
    on_gpu = device.type == "cuda"
    if on_gpu:
        use_device(device, memory_fraction=options.gpu_memory_fraction)
    return Runtime(
        device=device,
        dtype=torch.bfloat16 if bf16 else torch.float32,
        threads=threads,
        graphs=on_gpu and options.cuda_graphs,
    )


def channels_last(module: Network) -> Network:
    """The same module with its convolutions' weights laid out as CPUs and GPUs convolve fastest."""
    return module.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]  # stubs lack it


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigurationError(f"device {name!r}: expected auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and not 0 <= (device.index or 0) < torch.cuda.device_count():
        raise ConfigurationError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def _multiplies_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        lines = CPU_INFO.read_text("utf-8").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return not NATIVE_BF16.isdisjoint(flags.split())
