"""Random views of a user's pictures, as options ask for them: equal seeds and places in a batch give equal views."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from shared.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How far views may be from their picture; 0 leaves a property alone."""

    noise: float = 0.0
    """Largest standard deviation of the noise, where white is 1."""
    blur: float = 0.0
    """Largest standard deviation of the blur, in pixels of the model's input."""
    crop: float = 0.0
    """Largest share of the side that is cut away."""
    colour: float = 0.0
    """Largest relative change of brightness, of contrast and of saturation."""

    def __post_init__(self) -> None:
        for name, limit in (("noise", 1.0), ("blur", 8.0), ("crop", 0.9), ("colour", 1.0)):
            if not 0 <= (value := getattr(self, name)) <= limit:
                raise ConfigurationError(f"--{name} {value}: expected 0 to {limit:g}")

    def views(self, pictures: Tensor, seeds: Sequence[str]) -> Tensor:
        """(B, 3, H, W) in [-1, 1] and a seed for each -> (B, 3, H, W) in [-1, 1], on the same device."""
        generators = [_generator(seed) for seed in seeds]
        draws = torch.stack([torch.rand(8, generator=generator) for generator in generators]).to(pictures.device)
        view = self._cropped(pictures, draws[:, :3]) if self.crop else pictures
        view = self._coloured(view, draws[:, 3:6]) if self.colour else view
        view = _blurred(view, self.blur * draws[:, 6]) if self.blur else view
        if self.noise:
            shape = pictures.shape[1:]
            noise = torch.stack([torch.randn(shape, generator=generator) for generator in generators])
            view = view + 2 * self.noise * draws[:, 7, None, None, None] * noise.to(view.device)
        return view.clamp(-1, 1)

    def _cropped(self, pictures: Tensor, draws: Tensor) -> Tensor:
        """A square part, enlarged to the whole; (B, 3) numbers in [0, 1): its size and its place."""
        size = 1 - self.crop * draws[:, 0]  # (B,)
        corner = (1 - size)[:, None] * (2 * draws[:, 1:] - 1)  # (B, 2), the middle of the part
        zero = torch.zeros_like(size)
        rows = torch.stack((size, zero, corner[:, 0], zero, size, corner[:, 1]), dim=1).view(-1, 2, 3)
        grid = functional.affine_grid(rows, list(pictures.shape), align_corners=False)
        return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)

    def _coloured(self, pictures: Tensor, draws: Tensor) -> Tensor:
        """Brightness, contrast around the mean, and saturation around grey; (B, 3) numbers in [0, 1)."""
        factor = (1 + self.colour * (2 * draws - 1))[:, :, None, None, None]  # (B, 3, 1, 1, 1)
        light = (pictures + 1) * factor[:, 0]
        mean = light.mean(dim=(1, 2, 3), keepdim=True)
        light = mean + (light - mean) * factor[:, 1]
        grey = light.mean(dim=1, keepdim=True)
        return grey + (light - grey) * factor[:, 2] - 1


def _blurred(pictures: Tensor, sigma: Tensor) -> Tensor:
    """A Gaussian of (B,) standard deviations in pixels, one axis after the other."""
    batch, colours, height, width = pictures.shape
    reach = min(int(3 * sigma.max().item()) + 1, height - 1, width - 1)
    offsets = torch.arange(-reach, reach + 1, device=pictures.device)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]).square())  # (B, K)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(colours, dim=0)[:, None]  # (3 B, 1, K)
    flat = functional.pad(pictures.reshape(1, -1, height, width), (reach,) * 4, mode="replicate")
    flat = functional.conv2d(flat, kernel[:, :, None, :], groups=batch * colours)
    flat = functional.conv2d(flat, kernel[:, :, :, None], groups=batch * colours)
    return flat.view(batch, colours, height, width)


def _generator(seed: str) -> torch.Generator:
    """On the CPU, so that the device does not matter."""
    digest = hashlib.sha256(seed.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
