"""Generation: message to queue to message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc.aio import ServicerContext

from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.types.v1 import image_pb2
from services.generation.items import PaintedImage, PaintItem
from services.generation.settings import GenerationSettings
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
        encoding = encoding_of_space(request.encoding, self._info)
        items = [PaintItem(vector=encoding.vector, seed=seed) for seed in request.seeds]
        answer = await submit_call(self._batcher, items, field="encoding", repeated=False)
        return generation_pb2.GenerateImageResponse(
            images=[
                generation_pb2.GeneratedImage(image=_image(output), seed=seed)
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


def _image(output: PaintedImage) -> image_pb2.Image:
    return image_pb2.Image(data=output.png, format=image_pb2.IMAGE_FORMAT_PNG, width=output.width, height=output.height)
