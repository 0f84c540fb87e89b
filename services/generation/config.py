"""Shape of the generator, as `[architecture]` of model.toml states it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = 4
"""Of every group norm."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """A convolutional generator from 4 px upwards, twice as wide and high with each stage."""

    widths: tuple[int, ...]
    """Channels at 4, 8, 16, ... px; the picture is twice as large as the last of them."""
    detail_width: int
    """Channels at the size of the picture."""
    mapping_width: int
    """Numbers of the code that modulates every block."""
    styles: int
    """The first numbers of the noise; the largest of them decides the style where the text names none."""
    noise_width: int
    """Numbers of the noise, at least `styles` + 4."""
    space_width: int
    """Numbers of a vector of the joint space."""

    def __post_init__(self) -> None:
        if odd := [width for width in self.widths if width % GROUPS]:
            raise ValueError(f"widths: expected multiples of {GROUPS}, found {odd[0]}")
        if self.noise_width < self.styles + 4:
            raise ValueError(f"noise_width: expected at least styles + 4 = {self.styles + 4}, found {self.noise_width}")

    @property
    def pixels(self) -> int:
        """Side of the picture."""
        return 4 << len(self.widths)


PRESETS: dict[str, dict[str, int | tuple[int, ...]]] = {
    # 7.4 M parameters, 0.42 GMAC a picture
    "pictograms": dict(
        widths=(384, 256, 128, 64), detail_width=16, mapping_width=256, styles=11, noise_width=64, space_width=256
    ),
    # 2.0 M, 7.7 M and 18.4 M; the last paints 128 pixels
    "small": dict(
        widths=(192, 128, 64, 32), detail_width=16, mapping_width=128, styles=7, noise_width=64, space_width=256
    ),
    "base": dict(
        widths=(384, 256, 128, 64), detail_width=16, mapping_width=256, styles=7, noise_width=64, space_width=256
    ),
    "large": dict(
        widths=(512, 384, 256, 128, 64), detail_width=24, mapping_width=512, styles=7, noise_width=64, space_width=256
    ),
    # 13 k: tests only
    "tiny": dict(widths=(16, 8, 8), detail_width=4, mapping_width=16, styles=11, noise_width=16, space_width=32),
}
"""Named shapes."""
