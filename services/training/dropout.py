"""Dropout for training models that serve without: hooks, which their weights and their files do not know of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def add_dropout(model: nn.Module, share: float) -> None:
    """Leaves out a share of the activations behind every GELU and before `projection` while `model` trains.

    Srivastava et al. 2014; Vaswani et al. 2017, section 5.4. Processes that train together leave out different ones.
    """
    if not share:
        return

    def after(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return functional.dropout(output, share, module.training)

    def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(functional.dropout(one, share, module.training) for one in inputs)

    for name, module in model.named_modules():
        if isinstance(module, nn.GELU):
            module.register_forward_hook(after)
        elif name.rsplit(".", 1)[-1] == "projection":
            module.register_forward_pre_hook(before)
