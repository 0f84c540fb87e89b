"""Captioning: message to queue to message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc.aio import ServicerContext

from diptych.captioning.v1 import captioning_pb2, captioning_pb2_grpc
from diptych.types.v1 import label_pb2
from services.captioning.items import CaptionItem, Sampling, ScoredCaption, beams_for
from services.captioning.settings import CaptioningSettings
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.submission import (
    answer_language,
    capabilities_message,
    check_count,
    encoding_of_space,
    model_message,
    submit_call,
    timings_message,
)
from shared.sampling import check_sampling

if TYPE_CHECKING:  # generic in the stubs, not at run time
    _GetModelContext = ServicerContext[captioning_pb2.GetModelRequest, captioning_pb2.GetModelResponse]
    _Context = ServicerContext[captioning_pb2.GenerateCaptionRequest, captioning_pb2.GenerateCaptionResponse]


class CaptioningServicer(captioning_pb2_grpc.CaptioningServiceServicer):
    """Answers `diptych.captioning.v1.CaptioningService`."""

    def __init__(
        self,
        batcher: DynamicBatcher[CaptionItem, tuple[ScoredCaption, ...]],
        info: ModelInfo,
        settings: CaptioningSettings,
    ) -> None:
        self._batcher = batcher
        self._info = info
        self._model = model_message(info)
        self._capabilities = capabilities_message(info, max_items=settings.max_encodings)
        self._settings = settings

    async def GenerateCaption(
        self, request: captioning_pb2.GenerateCaptionRequest, context: _Context
    ) -> captioning_pb2.GenerateCaptionResponse:
        """The captions of each encoded picture."""
        check_count(len(request.encodings), field="encodings", limit=self._settings.max_encodings)
        language = answer_language(request.language, self._info)
        candidates = self._candidates(request.candidates)
        sampling = _sampling(request)
        items = [
            CaptionItem(
                encoding=encoding_of_space(encoding, self._info, field=f"encodings[{index}]"),
                language=language,
                candidates=candidates,
                sampling=sampling,
            )
            for index, encoding in enumerate(request.encodings)
        ]
        # Sixteen beams take many times as long as one: batches are of one width, and their times are told apart.
        kind = (beams_for(candidates), sampling is not None)
        answer = await submit_call(self._batcher, items, request, field="encodings", kind=kind)
        return captioning_pb2.GenerateCaptionResponse(
            results=[_captions(output) for output in answer.outputs],
            model=self._model,
            timings=timings_message(answer),
        )

    def _candidates(self, requested: int) -> int:
        limit = self._settings.max_candidates
        if requested > limit:
            message = f"candidates is {requested}; the limit is {limit}"
            raise InvalidArgumentError(message, reason=Reason.TOO_MANY_ITEMS, field="candidates")
        return requested or 1

    async def GetModel(
        self, request: captioning_pb2.GetModelRequest, context: _GetModelContext
    ) -> captioning_pb2.GetModelResponse:
        """What is served, without asking the model."""
        return captioning_pb2.GetModelResponse(capabilities=self._capabilities)


def _sampling(request: captioning_pb2.GenerateCaptionRequest) -> Sampling | None:
    if not request.HasField("sampling"):
        return None
    check_sampling(request.sampling)
    given = request.sampling
    return Sampling(seed=given.seed, temperature=given.temperature or 1.0, top_p=given.top_p or 1.0)


def _captions(output: tuple[ScoredCaption, ...]) -> captioning_pb2.Captions:
    return captioning_pb2.Captions(
        captions=[label_pb2.Caption(text=caption.text, score=caption.score) for caption in output]
    )
