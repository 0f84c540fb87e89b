"""Text encoding: message to queue to message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grpc.aio import ServicerContext

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from services.text.settings import TextSettings
from shared.codes import Reason
from shared.encodings import Encoding, to_proto
from shared.errors import InvalidArgumentError
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import ModelInfo
from shared.inference.submission import capabilities_message, check_count, model_message, submit_call, timings_message

if TYPE_CHECKING:  # generic in the stubs, not at run time
    _GetModelContext = ServicerContext[text_encoding_pb2.GetModelRequest, text_encoding_pb2.GetModelResponse]
    _Context = ServicerContext[text_encoding_pb2.EncodeTextRequest, text_encoding_pb2.EncodeTextResponse]


class TextEncodingServicer(text_encoding_pb2_grpc.TextEncodingServiceServicer):
    """Answers `diptych.text.v1.TextEncodingService`."""

    def __init__(self, batcher: DynamicBatcher[str, Encoding], info: ModelInfo, settings: TextSettings) -> None:
        self._batcher = batcher
        self._model = model_message(info)
        self._capabilities = capabilities_message(info, max_items=settings.max_texts)
        self._settings = settings

    async def EncodeText(
        self, request: text_encoding_pb2.EncodeTextRequest, context: _Context
    ) -> text_encoding_pb2.EncodeTextResponse:
        """One encoding a text."""
        check_count(len(request.texts), field="texts", limit=self._settings.max_texts)
        for index, text in enumerate(request.texts):
            self._check_text(text, f"texts[{index}]")
        answer = await submit_call(self._batcher, request.texts, request, field="texts")
        return text_encoding_pb2.EncodeTextResponse(
            encodings=[to_proto(encoding) for encoding in answer.outputs],
            model=self._model,
            timings=timings_message(answer),
        )

    async def GetModel(
        self, request: text_encoding_pb2.GetModelRequest, context: _GetModelContext
    ) -> text_encoding_pb2.GetModelResponse:
        """What is served, without asking the model."""
        return text_encoding_pb2.GetModelResponse(capabilities=self._capabilities)

    def _check_text(self, text: str, field: str) -> None:
        limit = self._settings.max_characters
        if len(text) > limit:
            message = f"{field} has {len(text)} characters; the limit is {limit}"
            raise InvalidArgumentError(message, reason=Reason.TEXT_TOO_LONG, field=field)
        if not text.strip():
            message = f"{field} is blank; it must have 1 to {limit} characters"
            raise InvalidArgumentError(message, reason=Reason.FIELD_MISSING, field=field)
