"""A generator's forward pass in three parts, so that things which no picture has are not drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import fields

import torch
from torch import Tensor

from services.generation.model import FREE_NOISE, Generator, Sketch
from shared.inference.passes import Forward, chunks, exact_rows
from shared.inference.runtime import Runtime, channels_last

Draw = Callable[[int], Sequence[Tensor]]
"""Makes inputs of so many rows, which all differ."""


class Renderer:
    """Vectors and noise to pictures, each the same in any batch.

    Sketches first; then the things that they have, those of all pictures side by side; then the pages, and all of it
    put together. A picture of one thing takes half the time of one of five.
    """

    def __init__(self, model: Generator, runtime: Runtime, *, microbatch: int, sizes: Sequence[int]) -> None:
        # In full precision: which of two drawings, and whether there is a thing, hangs on one number being the greater.
        planner = deepcopy(model.planner).to(runtime.device).eval()
        self.model = channels_last(runtime.place(model))
        self.model.planner = planner
        self._sketch = _Part(runtime, self._sketched, microbatch, sizes)
        self._things = _Part(runtime, self._drawn, microbatch, sizes)
        self._picture = _Part(runtime, self._composed, microbatch, sizes)

    def warm(self, draw: Draw) -> None:
        """Runs each part with each number of rows, and keeps those that are exact. draw: makes vectors and noises."""
        config, random = self.model.config, torch.Generator().manual_seed(0)
        widths = (config.content_width, config.styles, FREE_NOISE)
        layers = (config.slots, 4, config.pixels, config.pixels)
        self._sketch.warm(draw)
        self._things.warm(lambda rows: [torch.randn(rows, width, generator=random) for width in widths])
        self._picture.warm(lambda rows: [torch.randn(rows, *layers, generator=random), *self._sketch(*draw(rows))])

    def __call__(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """(B, V) of unit norm, (B, Z) standard normal, float32 -> (B, 3, H, W) float32 in [-1, 1]; all on the CPU."""
        numbers = self._sketch(vectors, noise)
        things = self._draw_present(_sketch_of(numbers))
        (pictures,) = self._picture(things, *numbers)
        return pictures

    def _draw_present(self, sketch: Sketch) -> Tensor:
        """(B, K, 4, H, W): zeros where there is no thing."""
        batch, slots = sketch.presence.shape
        side = self.model.config.pixels
        things = torch.zeros(batch * slots, 4, side, side)
        if len(present := sketch.presence.flatten().nonzero().flatten()):
            (things[present],) = self._things(
                sketch.contents.flatten(0, 1)[present],
                sketch.style[present // slots],
                sketch.looks[:, :slots].flatten(0, 1)[present],
            )
        return things.view(batch, slots, 4, side, side)

    def padding(self, count: int) -> int:
        """Pictures that are composed in vain beside `count` of them."""
        return sum(rows for _, rows in chunks(count, self._picture.rows)) - count

    def _sketched(self, vectors: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        sketch = self.model.sketch(vectors, noise)
        return tuple(getattr(sketch, each.name) for each in fields(Sketch))

    def _drawn(self, contents: Tensor, style: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        return (self.model.draw_things(contents, style, noise),)

    def _composed(self, things: Tensor, *numbers: Tensor) -> tuple[Tensor, ...]:
        return (self.model.compose(_sketch_of(numbers), things).clamp(-1, 1),)


class _Part:
    """Passes of `microbatch` rows, or of as many as give the same bits.

    What its rows leave empty is filled with the first of them.
    """

    def __init__(self, runtime: Runtime, forward: Forward, microbatch: int, sizes: Sequence[int]) -> None:
        self._passes, self._microbatch, self._sizes = runtime.passes(forward), microbatch, sizes
        self.rows: tuple[int, ...] = (microbatch,)

    def warm(self, draw: Draw) -> None:
        self.rows = exact_rows(self._passes, draw, microbatch=self._microbatch, sizes=self._sizes)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """At least one row."""
        found = [
            [each[: part.stop - part.start] for each in self._passes(*(_filled(each[part], rows) for each in inputs))]
            for part, rows in chunks(len(inputs[0]), self.rows)
        ]
        return tuple(torch.cat(each) for each in zip(*found, strict=True))


def _filled(some: Tensor, rows: int) -> Tensor:
    return torch.cat((some, some[:1].expand(rows - len(some), *some.shape[1:])))


def _sketch_of(numbers: Sequence[Tensor]) -> Sketch:
    return Sketch(**dict(zip((each.name for each in fields(Sketch)), numbers, strict=True)))
