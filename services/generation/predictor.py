"""Points of the joint space and seeds to picture files, in the model process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from services.generation.config import GeneratorConfig
from services.generation.items import PaintedImage, PaintItem
from services.generation.model import Generator
from services.generation.rendering import Renderer
from shared.codes import Reason
from shared.images import encode_image
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import Failure, Padding, RuntimeOptions
from shared.inference.runtime import Runtime, resolve_runtime
from shared.inference.weights import load_weights


def load(directory: Path, options: RuntimeOptions) -> GenerationPredictor:
    """Reads and verifies a model directory. Raises ConfigurationError, ModelDirectoryError among them."""
    runtime = resolve_runtime(options)
    model_directory = ModelDirectory.read(directory, task="generation")
    model_directory.verify()
    model = Generator(model_directory.config(GeneratorConfig))
    load_weights(model, model_directory)
    return GenerationPredictor(model_directory, model, runtime)


class GenerationPredictor:
    """The same seed gives the same pixels in any batch."""

    def __init__(self, directory: ModelDirectory, model: Generator, runtime: Runtime) -> None:
        self.info = replace(directory.info(), image_side=model.config.pixels)
        self.device = str(runtime)
        self.padding = Padding()
        microbatch = directory.microbatch or directory.bucket_sizes[-1]
        self._render = Renderer(model, runtime, microbatch=microbatch, sizes=directory.bucket_sizes)
        self._config = model.config

    def warmup(self) -> None:
        """Runs each number of rows of each part of the pass, and each coder."""
        self._render.warm(self._draw)
        vector = np.zeros(self._config.space_width, "<f4")
        vector[0] = 1
        self.predict([PaintItem(vector=vector.tobytes(), seed=1)])
        self.predict([PaintItem(vector=vector.tobytes(), seed=1, file_format="JPEG", quality=90)])
        self.predict([PaintItem(vector=vector.tobytes(), seed=1, file_format="WEBP", quality=90)])

    def predict(self, batch: Sequence[PaintItem], /) -> list[PaintedImage | Failure]:
        """A picture for each item; a Failure for a vector of another length or with numbers that are not finite."""
        vectors = [self._read_vector(item) for item in batch]
        good = [(vector, item.seed) for vector, item in zip(vectors, batch, strict=True) if isinstance(vector, Tensor)]

        pictures = iter(self._paint(good) if good else ())
        self.padding = Padding(items=self._render.padding(len(good)))

        return [
            vector if isinstance(vector, Failure) else self._answer(item, next(pictures))
            for vector, item in zip(vectors, batch, strict=True)
        ]

    def _read_vector(self, item: PaintItem) -> Tensor | Failure:
        wanted = self._config.space_width
        if len(item.vector) != 4 * wanted:
            message = f"vector has {len(item.vector) // 4} numbers; the model's space has {wanted}"
            return Failure(reason=Reason.ENCODING_INVALID, message=message)
        vector = torch.from_numpy(np.frombuffer(item.vector, "<f4").astype(np.float32))
        if not torch.isfinite(vector).all() or not vector.any():
            return Failure(reason=Reason.ENCODING_INVALID, message="vector is zero or has numbers that are not finite")
        return torch.nn.functional.normalize(vector, dim=0)

    def _paint(self, inputs: Sequence[tuple[Tensor, int]]) -> Tensor:
        """At least one vector and seed -> (N, 3, H, W) float32."""
        noise = torch.stack([self._noise(seed) for _, seed in inputs])
        return self._render(torch.stack([vector for vector, _ in inputs]), noise)

    def _draw(self, rows: int) -> tuple[Tensor, Tensor]:
        """Random points of the joint space, and noise."""
        vectors = torch.randn(rows, self._config.space_width, generator=torch.Generator().manual_seed(rows))
        return torch.nn.functional.normalize(vectors), torch.stack([self._noise(seed) for seed in range(rows)])

    def _noise(self, seed: int) -> Tensor:
        """(Z,) standard normal, float32, drawn on the CPU so that it is the same on every device.

        NumPy's frozen generator, because torch's takes only the low 32 bits of a seed on the CPU.
        """
        frozen = np.random.RandomState(np.random.MT19937(np.random.SeedSequence(seed)))
        return torch.from_numpy(frozen.standard_normal(self._config.noise_width).astype(np.float32))

    def _answer(self, item: PaintItem, picture: Tensor) -> PaintedImage | Failure:
        """(3, H, W) in [-1, 1] as a file."""
        if not torch.isfinite(picture).all():
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the generator's output is not finite")
        pixels = (picture.permute(1, 2, 0) * 127.5 + 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
        height, width, _ = pixels.shape
        return PaintedImage(
            data=encode_image(pixels, item.file_format, item.quality),
            pixel_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
            width=width,
            height=height,
        )
