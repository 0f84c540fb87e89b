"""Shape of the generator, as `[architecture]` of model.toml states it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = 4
"""Of every group norm."""


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """A planner, a painter of things and a painter of backgrounds."""

    widths: tuple[int, ...]
    """Channels of a thing at 4, 8, 16, ... px; the picture is twice as large as the last of them."""
    page_widths: tuple[int, ...]
    """The same of the background."""
    detail_width: int
    """Channels at the size of the picture."""
    finish_width: int
    """Channels of what joins things and background."""
    mapping_width: int
    """Numbers of the codes that modulate every block."""
    content_width: int
    """Numbers that say what a thing is."""
    things: int
    """Rows of the table of what the painter can draw."""
    colours: int
    """Rows of the table of what changes its colour."""
    planner_width: int
    planner_layers: int
    planner_heads: int
    slots: int
    """Things that a picture can have."""
    styles: int
    space_width: int
    """Numbers of a vector of the joint space."""

    def __post_init__(self) -> None:
        if odd := [width for width in (*self.widths, *self.page_widths) if width % GROUPS]:
            raise ValueError(f"widths: expected multiples of {GROUPS}, found {odd[0]}")
        if len(self.widths) != len(self.page_widths):
            raise ValueError(f"page_widths: expected {len(self.widths)} numbers, found {len(self.page_widths)}")

    @property
    def pixels(self) -> int:
        """Side of the picture."""
        return 4 << len(self.widths)

    @property
    def noise_width(self) -> int:
        """Numbers of the noise: for the style, and 16 for each slot and the page."""
        return self.styles + 16 * (self.slots + 1)


PRESETS: dict[str, dict[str, int | tuple[int, ...]]] = {
    "scenes": dict(
        widths=(288, 256, 128, 64),
        page_widths=(64, 64, 48, 32),
        detail_width=16,
        finish_width=24,
        mapping_width=256,
        content_width=192,
        things=1507,
        colours=8,
        planner_width=160,
        planner_layers=2,
        planner_heads=4,
        slots=5,
        styles=11,
        space_width=256,
    ),
    # For pictures of one's own, most of which the page alone has to paint.
    "small": dict(
        widths=(64, 64, 48, 32),
        page_widths=(192, 160, 96, 48),
        detail_width=16,
        finish_width=16,
        mapping_width=128,
        content_width=96,
        things=64,
        colours=4,
        planner_width=96,
        planner_layers=2,
        planner_heads=4,
        slots=2,
        styles=11,
        space_width=256,
    ),
    "base": dict(
        widths=(128, 128, 96, 48),
        page_widths=(320, 256, 128, 64),
        detail_width=16,
        finish_width=24,
        mapping_width=256,
        content_width=128,
        things=128,
        colours=4,
        planner_width=128,
        planner_layers=3,
        planner_heads=4,
        slots=3,
        styles=11,
        space_width=256,
    ),
    "large": dict(
        widths=(256, 256, 192, 96, 48),
        page_widths=(512, 384, 256, 128, 64),
        detail_width=24,
        finish_width=32,
        mapping_width=384,
        content_width=192,
        things=256,
        colours=8,
        planner_width=192,
        planner_layers=4,
        planner_heads=6,
        slots=4,
        styles=11,
        space_width=256,
    ),
    # 34 k: tests only
    "tiny": dict(
        widths=(16, 8, 8),
        page_widths=(8, 8, 8),
        detail_width=4,
        finish_width=4,
        mapping_width=16,
        content_width=8,
        things=6,
        colours=3,
        planner_width=16,
        planner_layers=1,
        planner_heads=2,
        slots=2,
        styles=11,
        space_width=32,
    ),
}
"""Named shapes."""
