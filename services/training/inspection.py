"""What a model directory says of itself, and whether it can be served: read, hashed, loaded strictly and run once."""

from __future__ import annotations

import importlib
import io
import math
import time
import tomllib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from safetensors import SafetensorError, safe_open

from services.captioning.items import CaptionItem
from services.classification.items import ClassifiedImage, ImageItem
from services.generation.items import PaintItem
from shared.encodings import Encoding
from shared.errors import DiptychError, ModelDirectoryError
from shared.inference.model_directory import FILE_NAME, ModelDirectory
from shared.inference.predictor import Failure, Predictor, RuntimeOptions

TASKS = ("text", "classification", "generation", "captioning")
"""In the order in which one's answer is another's question."""


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """A model directory, read but not verified."""

    directory: ModelDirectory
    table: Mapping[str, Any]
    """All of model.toml."""

    @property
    def parameters(self) -> int:
        """Weights in their file, by its header; buffers of truths and counts are none. Raises ModelDirectoryError."""
        file = self.directory.weights_path
        try:
            with safe_open(file, "pt") as tensors:
                slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118
                return sum(math.prod(each.get_shape()) for each in slices if each.get_dtype().startswith("F"))
        except (OSError, SafetensorError) as error:
            raise ModelDirectoryError(f"{file}: is not a safetensors file: {error}") from None


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A model directory that can be served."""

    directory: ModelDirectory
    milliseconds: float
    """Of one answer on the CPU, loading apart."""


def inspect(path: Path) -> Inspected:
    """Reads a model directory of any task. Raises ModelDirectoryError, as `ModelDirectory.read` does."""
    file = path / FILE_NAME
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ModelDirectoryError(f"{file}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ModelDirectoryError(f"{file}: is not TOML: {error}") from None
    task = table.get("task")
    if task not in TASKS:
        raise ModelDirectoryError(f"{file}: task: expected one of {', '.join(TASKS)}, found {task!r}")
    directory = ModelDirectory.read(path, task=task)
    data = table.get("data", [])
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise ModelDirectoryError(f"{file}: data: expected tables [[data]], found {data!r}")
    return Inspected(directory=directory, table=table)


def verify(paths: Sequence[Path]) -> list[Verified]:
    """Checks every directory as its service would, with one answer of each, and that all of them pair.

    Where an encoder is among them, its own answer is what the others are asked with. Raises ModelDirectoryError, in one
    line: what `load` of its service says, a folder named after another task, an answer that fails, or two spaces.
    """
    found = sorted((inspect(path) for path in paths), key=lambda one: TASKS.index(one.directory.task))
    for one in found:
        name, task = one.directory.path.resolve().name, one.directory.task
        if name in TASKS and name != task:
            raise ModelDirectoryError(f"{one.directory.path / FILE_NAME}: task: the folder says {name}, found {task}")
    verified, encodings = [], dict[str, Encoding]()
    for one in found:
        predictor = _load(one.directory)
        started = time.perf_counter()
        answer = _ask(one.directory, predictor, encodings)
        verified.append(Verified(directory=one.directory, milliseconds=1000 * (time.perf_counter() - started)))
        if isinstance(answer, ClassifiedImage):
            answer = answer.encoding
        if isinstance(answer, Encoding):
            encodings[one.directory.task] = answer
    spaces = {one.directory.space for one in found}
    if len(spaces) > 1:
        named = ", ".join(f"{one.directory.path}: {one.directory.space}" for one in found)
        raise ModelDirectoryError(f"the models do not pair: they are of {len(spaces)} spaces ({named})")
    return verified


def _load(directory: ModelDirectory) -> Predictor[Any, Any]:
    module = importlib.import_module(f"services.{directory.task}.predictor")
    try:
        predictor: Predictor[Any, Any] = module.load(directory.path, RuntimeOptions(device="cpu", precision="fp32"))
    except DiptychError:
        raise
    except Exception as error:  # tokenizers raises nothing narrower  # noqa: BLE001
        raise ModelDirectoryError(f"{directory.path}: cannot be loaded: {error}") from None
    return predictor


def _ask(directory: ModelDirectory, predictor: Predictor[Any, Any], encodings: Mapping[str, Encoding]) -> Any:
    (answer,) = predictor.predict([_question(directory, encodings)])
    if isinstance(answer, Failure):
        raise ModelDirectoryError(f"{directory.path}: cannot answer: {answer.message}")
    return answer


def _question(directory: ModelDirectory, encodings: Mapping[str, Encoding]) -> Any:
    match directory.task:
        case "text":
            return "a cat"
        case "classification":
            return ImageItem(image=_blank(), top_k=1, language="", include_encoding=True)
        case "generation":
            return PaintItem(vector=encodings.get("text", _encoding(directory)).vector, seed=0)
        case _:
            encoding = encodings.get("classification", _encoding(directory))
            return CaptionItem(encoding=encoding, language=(*directory.languages, "")[0])


def _encoding(directory: ModelDirectory) -> Encoding:
    """A point of the model's space, where no encoder is there to give one."""
    width, token_width = (directory.architecture.get(key, 1) for key in ("space_width", "token_width"))
    vector = array("f", [1.0] + [0.0] * (width - 1))
    tokens = bytes(2 * token_width * directory.architecture.get("memory_tokens", 0))
    return Encoding(space=directory.space, vector=vector.tobytes(), tokens=tokens, token_width=token_width)


def _blank() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(file, "PNG")
    return file.getvalue()
