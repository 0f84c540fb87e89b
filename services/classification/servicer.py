"""Classification: message to queue to message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from grpc.aio import ServicerContext

from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.types.v1 import label_pb2
from services.classification.items import CONTENT, ClassifiedImage, ImageItem, LabelScore
from services.classification.settings import ClassificationSettings
from shared.codes import Reason
from shared.encodings import to_proto
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
from shared.limits import IMAGE_BYTES

DEFAULT_TOP_K = 5

if TYPE_CHECKING:  # generic in the stubs, not at run time
    _GetModelContext = ServicerContext[classification_pb2.GetModelRequest, classification_pb2.GetModelResponse]
    _Context = ServicerContext[classification_pb2.ClassifyImageRequest, classification_pb2.ClassifyImageResponse]


class ClassificationServicer(classification_pb2_grpc.ClassificationServiceServicer):
    """Answers `diptych.classification.v1.ClassificationService`."""

    def __init__(
        self, batcher: DynamicBatcher[ImageItem, ClassifiedImage], info: ModelInfo, settings: ClassificationSettings
    ) -> None:
        self._batcher = batcher
        self._info = info
        self._model = model_message(info)
        self._capabilities = capabilities_message(info, max_items=settings.max_images)
        self._settings = settings

    async def ClassifyImage(
        self, request: classification_pb2.ClassifyImageRequest, context: _Context
    ) -> classification_pb2.ClassifyImageResponse:
        """Labels, the model's or the caller's, and where asked the encoding, of each image."""
        check_count(len(request.images), field="images", limit=self._settings.max_images)
        for index, image in enumerate(request.images):
            _check_file(image, f"images[{index}]")
        label_vectors = self._label_vectors(request)
        heads = self._heads(request)
        # The caller's own labels are in no language of ours; one that is named must still exist.
        language = answer_language(request.language, self._info) if request.language or not label_vectors else ""
        items = [
            ImageItem(
                image=image,
                top_k=request.top_k or DEFAULT_TOP_K,
                language=language,
                include_encoding=request.include_encodings,
                heads=heads,
                label_vectors=label_vectors,
            )
            for image in request.images
        ]
        answer = await submit_call(self._batcher, items, request, field="images")
        return classification_pb2.ClassifyImageResponse(
            classifications=[_classification(output) for output in answer.outputs],
            model=self._model,
            timings=timings_message(answer),
        )

    def _label_vectors(self, request: classification_pb2.ClassifyImageRequest) -> tuple[bytes, ...] | None:
        if not request.label_encodings:
            return None
        check_count(len(request.label_encodings), field="label_encodings", limit=self._settings.max_labels)
        return tuple(
            encoding_of_space(encoding, self._info, field=f"label_encodings[{index}]").vector
            for index, encoding in enumerate(request.label_encodings)
        )

    def _heads(self, request: classification_pb2.ClassifyImageRequest) -> tuple[str, ...]:
        known = (CONTENT, *(head.name for head in self._info.heads))
        for index, head in enumerate(request.heads):
            if request.label_encodings:
                problem = "cannot be answered beside label_encodings"
            elif head not in known:
                problem = f"is not of this model; it has {', '.join(known)}"
            elif head in request.heads[:index]:
                problem = "is named twice"
            else:
                continue
            message = f"heads[{index}] is {head!r}, which {problem}"
            raise InvalidArgumentError(message, reason=Reason.FIELD_INVALID, field=f"heads[{index}]")
        return tuple(request.heads)

    async def GetModel(
        self, request: classification_pb2.GetModelRequest, context: _GetModelContext
    ) -> classification_pb2.GetModelResponse:
        """What is served, without asking the model."""
        return classification_pb2.GetModelResponse(capabilities=self._capabilities)


def _check_file(image: bytes, field: str) -> None:
    """What can be known without reading it; to bring it to the model process is the dearer part."""
    if not image:
        message = f"{field} is empty; send a picture file's bytes"
        raise InvalidArgumentError(message, reason=Reason.FIELD_MISSING, field=field)
    if len(image) > IMAGE_BYTES:
        message = f"{field} has {len(image)} bytes; the limit is {IMAGE_BYTES}"
        raise InvalidArgumentError(message, reason=Reason.IMAGE_TOO_LARGE, field=field)


def _classification(output: ClassifiedImage) -> classification_pb2.Classification:
    return classification_pb2.Classification(
        labels=_labels(output.labels),
        encoding=None if output.encoding is None else to_proto(output.encoding),
        heads=[label_pb2.HeadLabels(head=each.head, labels=_labels(each.labels)) for each in output.heads],
    )


def _labels(scores: Sequence[LabelScore]) -> list[label_pb2.Label]:
    return [label_pb2.Label(id=each.id, text=each.text, probability=each.probability) for each in scores]
