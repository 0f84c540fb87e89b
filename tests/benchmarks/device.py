"""Items a second of the embedded models on this machine's device: `python -m tests.benchmarks.device [--quick]`.

By batch size: what `predict` does in the model process, files read and written, and the forward passes alone; in fp32
and bf16, and on a GPU with recorded graphs and without. All of one model take turns, so that a slow moment meets all.
"""

from __future__ import annotations

import argparse
import importlib
import io
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from services.captioning.config import CaptionerConfig
from services.captioning.items import CaptionItem
from services.classification.items import ImageItem
from services.generation.items import PaintItem
from shared.encodings import Encoding
from shared.inference.predictor import RuntimeOptions
from shared.inference.runtime import resolve_runtime
from tests.benchmarks.machine import keep, machine, stamp

SERVICES = Path(__file__).parents[2] / "services"
PROMPTS = ("a black cat", "strawberry", "two small birds on a green tree", "一只黑猫")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One model in one way at one batch size: medians."""

    task: str
    precision: str
    graphs: bool
    batch: int
    predict_per_second: float
    """Items."""
    passes_per_second: float
    """Items, the forward passes alone, from CPU to CPU."""


def _vector(number: int, width: int) -> bytes:
    drawn = np.random.default_rng(number).standard_normal(width)
    return (drawn / np.linalg.norm(drawn)).astype("<f4").tobytes()


def _image(number: int) -> ImageItem:
    """A smooth picture of 256 pixels a side as JPEG, some 6 KB."""
    drawn = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(drawn).resize((256, 256), Image.Resampling.BICUBIC).save(file, "JPEG", quality=85)
    return ImageItem(image=file.getvalue(), top_k=5, language="en", include_encoding=True)


def _caption(number: int, predictor: Any) -> CaptionItem:
    config = predictor._model.config
    shape = (config.memory_tokens, config.token_width)
    tokens = np.random.default_rng(number).standard_normal(shape).astype("<f2").tobytes()
    vector = _vector(number, config.space_width)
    encoding = Encoding(space=predictor.info.space, vector=vector, tokens=tokens, token_width=config.token_width)
    return CaptionItem(encoding=encoding, language="en")


ITEMS: Mapping[str, Callable[[int, Any], Any]] = {
    "text": lambda number, _: PROMPTS[number % len(PROMPTS)],
    "classification": lambda number, _: _image(number),
    "generation": lambda number, predictor: PaintItem(
        vector=_vector(number, predictor._config.space_width), seed=number
    ),
    "captioning": _caption,
}
PASSES: Mapping[str, Callable[[Any, int], tuple[torch.Tensor, ...]]] = {
    "text": lambda predictor, rows: predictor._encode(*predictor._draw(rows, length=16)),
    "classification": lambda predictor, rows: predictor._see(
        *(torch.zeros(rows, side, side, 3, dtype=torch.uint8) for side in predictor._model.sides)
    ),
    "generation": lambda predictor, rows: (predictor._render(*predictor._draw(rows)),),
    "captioning": lambda predictor, rows: predictor._write[1](*_pictures(predictor._model.config, rows)),
}
"""One pass of so many rows; text of 16 tokens, captions with one beam; pictures of random points, not of prompts."""


def _pictures(config: CaptionerConfig, rows: int) -> tuple[torch.Tensor, ...]:
    tokens = torch.zeros(rows, config.memory_tokens, config.token_width)
    return tokens, torch.zeros(rows, config.space_width), torch.full((rows,), 2)


def measure(task: str, *, device: str, threads: int, repeats: int) -> list[Measured]:
    """One model in every way that the device has."""
    load = importlib.import_module(f"services.{task}.predictor").load
    on_gpu = resolve_runtime(RuntimeOptions(device=device, threads=threads)).device.type == "cuda"
    ways = list(product(("fp32", "bf16"), (False, True) if on_gpu else (False,)))
    predictors = {}
    for precision, graphs in ways:
        options = RuntimeOptions(device=device, precision=precision, threads=threads, cuda_graphs=graphs)  # type: ignore[arg-type]
        predictors[precision, graphs] = load(SERVICES / task / "weights", options)
        predictors[precision, graphs].warmup()
    first = next(iter(predictors.values()))
    info = first.info
    items = [ITEMS[task](number, first) for number in range(info.max_batch_size)]
    found = []
    for size in info.bucket_sizes:
        seconds: dict[Any, tuple[list[float], list[float]]] = {way: ([], []) for way in ways}
        for _, way in product(range(repeats), ways):
            seconds[way][0].append(_timed(predictors[way].predict, items[:size]))
            seconds[way][1].append(_timed(PASSES[task], predictors[way], size))
        for (precision, graphs), both in seconds.items():
            predict, passes = (round(size / statistics.median(each), 1) for each in both)
            found.append(
                Measured(
                    task=task,
                    precision=precision,
                    graphs=graphs,
                    batch=size,
                    predict_per_second=predict,
                    passes_per_second=passes,
                )
            )
    return found


def _timed(run: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - begin


def main() -> None:
    """Prints a table and, last, a JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0 leaves one of them free")
    parser.add_argument("--quick", action="store_true", help="5 repeats instead of 40")
    chosen = parser.parse_args()
    runtime = resolve_runtime(RuntimeOptions(device=chosen.device, threads=chosen.threads))
    name = torch.cuda.get_device_name(runtime.device) if runtime.device.type == "cuda" else machine()["cpu"]
    repeats = 5 if chosen.quick else 40
    write = sys.stdout.write
    write(f"{name}, {runtime.threads} threads; items a second, medians of {repeats}\n\n")
    write("| model | precision | passes | batch | predict | passes alone |\n|---|---|---|---|---|---|\n")
    runs = []
    for task in ITEMS:
        for one in measure(task, device=chosen.device, threads=chosen.threads, repeats=repeats):
            runs.append(asdict(one))
            way = "graphs" if one.graphs else "eager"
            row = f"{task} | {one.precision} | {way} | {one.batch} | {one.predict_per_second} | {one.passes_per_second}"
            write(f"| {row} |\n")
    keep({**stamp("device"), "device": name, "threads": runtime.threads, "runs": runs}, None)


if __name__ == "__main__":
    main()
