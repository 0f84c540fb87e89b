"""Every `auto` is decided from what the machine has; what it lacks is refused."""

from __future__ import annotations

import pytest
import torch

from shared.errors import ConfigurationError
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime


def test_stated_options_are_kept() -> None:
    runtime = resolve_runtime(RuntimeOptions(device="cpu", precision="bf16", threads=1))
    assert (runtime.device.type, runtime.dtype, runtime.threads) == ("cpu", torch.bfloat16, 1)
    assert str(runtime) == "cpu bf16 1 threads"
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("name", ["toaster", "cuda:999"])
def test_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        resolve_runtime(RuntimeOptions(device=name))
