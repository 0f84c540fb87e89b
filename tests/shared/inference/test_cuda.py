"""On a GPU: recorded passes answer as the CPU does, as the same kernels unrecorded do, and keep no caller's answer."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from services.captioning.items import CaptionItem
from services.classification.items import ImageItem
from services.generation.items import PaintItem
from services.training.tiny import write_tiny_models
from shared.encodings import Encoding
from shared.inference.cuda import CudaPasses
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

TASKS = ("text", "classification", "generation", "captioning")


@pytest.fixture(scope="module")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_tiny_models(tmp_path_factory.mktemp("tiny"))


def predictor(task: str, directory: Path, **options: Any) -> Any:
    loaded = importlib.import_module(f"services.{task}.predictor").load(directory, RuntimeOptions(**options))
    loaded.warmup()
    return loaded


def _vector(seed: int) -> bytes:
    drawn = np.random.default_rng(seed).standard_normal(32)
    return (drawn / np.linalg.norm(drawn)).astype("<f4").tobytes()


def _picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def _encoding(seed: int) -> Encoding:
    tokens = np.random.default_rng(seed).standard_normal((4, 16)).astype("<f2").tobytes()
    return Encoding(space="tiny", vector=_vector(seed), tokens=tokens, token_width=16)


ITEMS: dict[str, Callable[[int], Any]] = {
    "text": lambda seed: "a cat and a dog " * (1 + seed % 5),
    "classification": lambda seed: ImageItem(image=_picture(seed), top_k=4, language="en", include_encoding=True),
    "generation": lambda seed: PaintItem(vector=_vector(seed), seed=seed),
    "captioning": lambda seed: CaptionItem(encoding=_encoding(seed), language="en", candidates=1 + seed % 5),
}


def numbers(task: str, answer: Any) -> np.ndarray[Any, Any]:
    """What may differ a little between two kinds of hardware; pixels are scaled to [0, 1]."""
    if task == "text":
        return np.frombuffer(answer.vector, "<f4")
    if task == "classification":
        return np.frombuffer(answer.encoding.vector, "<f4")
    if task == "generation":
        return np.asarray(Image.open(io.BytesIO(answer.data)), np.float32) / 255
    return np.array([answer[0].score])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("task", TASKS)
def test_gpu_answers_as_the_cpu_does(task: str, precision: str, tiny_models: dict[str, Path]) -> None:
    batch = [ITEMS[task](seed) for seed in range(7)]
    cpu, gpu = (
        predictor(task, tiny_models[task], device=device, precision=precision).predict(batch)
        for device in ("cpu", "cuda")
    )
    for one, other in zip(cpu, gpu, strict=True):
        tolerance = 1e-3 if precision == "fp32" else 0.08
        assert np.abs(numbers(task, one) - numbers(task, other)).max() <= tolerance


@pytest.mark.parametrize("task", TASKS)
def test_recorded_passes_answer_bit_for_bit_as_unrecorded_ones(task: str, tiny_models: dict[str, Path]) -> None:
    graphs, eager = (
        predictor(task, tiny_models[task], device="cuda", precision="bf16", cuda_graphs=graphs)
        for graphs in (True, False)
    )
    for size in graphs.info.bucket_sizes:
        batch = [ITEMS[task](seed) for seed in range(size)]
        assert graphs.predict(batch) == eager.predict(batch)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("task", ["text", "generation"])
def test_answer_of_an_item_does_not_hang_on_its_batch(task: str, precision: str, tiny_models: dict[str, Path]) -> None:
    loaded = predictor(task, tiny_models[task], device="cuda", precision=precision)
    batch = [ITEMS[task](seed) for seed in range(loaded.info.max_batch_size)]
    together = loaded.predict(batch)
    assert together == [loaded.predict([item])[0] for item in batch]


def test_answer_outlives_the_next_pass_and_other_shapes_run_unrecorded() -> None:
    resolve_runtime(RuntimeOptions(device="cuda"))
    passes = CudaPasses(lambda numbers: (numbers + 1,), device=torch.device("cuda", 0), graphs=True)
    passes.warm(torch.zeros(4))
    (first,) = passes(torch.arange(4.0))
    (second,) = passes(torch.full((4,), 7.0))
    assert (first.tolist(), second.tolist()) == ([1, 2, 3, 4], [8] * 4)
    assert passes(torch.zeros(2))[0].tolist() == [1, 1]
