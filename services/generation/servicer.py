"""Generation: message to queue to message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from grpc.aio import ServicerContext

from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.types.v1 import image_pb2
from services.generation.items import PaintedImage, PaintItem
from services.generation.settings import GenerationSettings
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.submission import (
    capabilities_message,
    check_count,
    encoding_of_space,
    model_message,
    submit_call,
    timings_message,
)

DEFAULT_QUALITY = 90
HIGHEST_QUALITY = 100

FileFormat = Literal["PNG", "JPEG", "WEBP"]
FILE_FORMATS: Mapping[int, FileFormat] = {
    image_pb2.IMAGE_FORMAT_UNSPECIFIED: "PNG",
    image_pb2.IMAGE_FORMAT_PNG: "PNG",
    image_pb2.IMAGE_FORMAT_JPEG: "JPEG",
    image_pb2.IMAGE_FORMAT_WEBP: "WEBP",
}

if TYPE_CHECKING:  # generic in the stubs, not at run time
    _GetModelContext = ServicerContext[generation_pb2.GetModelRequest, generation_pb2.GetModelResponse]
    _Context = ServicerContext[generation_pb2.GenerateImageRequest, generation_pb2.GenerateImageResponse]


class GenerationServicer(generation_pb2_grpc.GenerationServiceServicer):
    """Answers `diptych.generation.v1.GenerationService`."""

    def __init__(
        self, batcher: DynamicBatcher[PaintItem, PaintedImage], info: ModelInfo, settings: GenerationSettings
    ) -> None:
        self._batcher = batcher
        self._info = info
        self._model = model_message(info)
        self._capabilities = capabilities_message(info, max_items=settings.max_seeds)
        self._settings = settings

    async def GenerateImage(
        self, request: generation_pb2.GenerateImageRequest, context: _Context
    ) -> generation_pb2.GenerateImageResponse:
        """One picture a seed."""
        check_count(len(request.seeds), field="seeds", limit=self._settings.max_seeds)
        file_format = _file_format(request.format)
        quality = _quality(request.quality, file_format)
        encoding = encoding_of_space(request.encoding, self._info, field="encoding")
        items = [
            PaintItem(vector=encoding.vector, seed=seed, file_format=file_format, quality=quality)
            for seed in request.seeds
        ]
        answer = await submit_call(self._batcher, items, request, field="encoding", repeated=False)
        return generation_pb2.GenerateImageResponse(
            images=[
                generation_pb2.GeneratedImage(image=_image(output, file_format), seed=seed)
                for seed, output in zip(request.seeds, answer.outputs, strict=True)
            ],
            model=self._model,
            timings=timings_message(answer),
        )

    async def GetModel(
        self, request: generation_pb2.GetModelRequest, context: _GetModelContext
    ) -> generation_pb2.GetModelResponse:
        """What is served, without asking the model."""
        return generation_pb2.GetModelResponse(capabilities=self._capabilities)


def _file_format(requested: int) -> FileFormat:
    if requested not in FILE_FORMATS:
        message = f"format is {requested}; it must be one of PNG (1), JPEG (2) and WEBP (3), or not said"
        raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field="format")
    return FILE_FORMATS[requested]


def _quality(requested: int, file_format: FileFormat) -> int:
    if file_format == "PNG":
        if requested:
            message = f"quality is {requested}, but PNG is lossless and takes none"
            raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field="quality")
        return 0
    if requested > HIGHEST_QUALITY:
        message = f"quality is {requested}; it must be 1 to {HIGHEST_QUALITY}, or 0 for {DEFAULT_QUALITY}"
        raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field="quality")
    return requested or DEFAULT_QUALITY


def _image(output: PaintedImage, file_format: FileFormat) -> image_pb2.Image:
    return image_pb2.Image(
        data=output.data,
        format=image_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{file_format}"),
        width=output.width,
        height=output.height,
        pixel_sha256=output.pixel_sha256,
    )
