"""Messages of the gateway become results of the client; nothing here calls anything."""

from __future__ import annotations

from collections.abc import Iterable

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import encoding_pb2, image_pb2, label_pb2, model_pb2
from gateway.client.results import (
    Capabilities,
    Caption,
    Classification,
    Description,
    Encoding,
    Head,
    Label,
    Limits,
    Model,
    ModelCapabilities,
    Picture,
    Provenance,
    Replica,
    Service,
    Stage,
)

FORMATS = {
    "png": image_pb2.IMAGE_FORMAT_PNG,
    "jpeg": image_pb2.IMAGE_FORMAT_JPEG,
    "webp": image_pb2.IMAGE_FORMAT_WEBP,
}
"""The formats of painted pictures by the client's names."""
_FORMAT_NAMES = {number: name for name, number in FORMATS.items()}


def pictures(answer: gateway_pb2.TextToImageResponse) -> list[Picture]:
    """All pictures of a call."""
    read = _stages(answer.stages)
    return [_picture(painted, read) for painted in answer.images]


def streamed_picture(answer: gateway_pb2.StreamTextToImageResponse) -> tuple[int, Picture]:
    """One picture of a stream, and its place."""
    return answer.index, _picture(answer.image, _stages(answer.stages))


def descriptions(answer: gateway_pb2.ImageToTextResponse) -> list[Description]:
    """The pictures in words."""
    read = _stages(answer.stages)
    return [
        Description(
            captions=tuple(Caption(text=caption.text, score=caption.score) for caption in each.captions),
            labels=_labels(each.labels),
            heads=_heads(each.heads),
            seed=answer.seed if answer.HasField("seed") else None,
            stages=read,
        )
        for each in answer.descriptions
    ]


def classifications(answer: gateway_pb2.ClassifyImageResponse) -> list[Classification]:
    """The pictures' labels."""
    read = _stages(answer.stages)
    return [
        Classification(labels=_labels(each.labels), heads=_heads(each.heads), stages=read) for each in answer.results
    ]


def encodings(answer: gateway_pb2.EncodeTextResponse | gateway_pb2.EncodeImageResponse) -> list[Encoding]:
    """Points of a joint space."""
    read = _stages(answer.stages)
    given: Iterable[encoding_pb2.Encoding] = answer.encodings
    return [Encoding(space=each.space, vector=tuple(each.vector), stages=read) for each in given]


def provenance(message: gateway_pb2.Provenance) -> Provenance:
    """Where a picture comes from."""
    return Provenance(
        prompt=message.prompt,
        seed=message.seed,
        text_model=_model(message.text_model),
        generation_model=_model(message.generation_model),
        pixel_sha256=message.pixel_sha256,
        diptych_version=message.diptych_version,
    )


def capabilities(answer: gateway_pb2.GetCapabilitiesResponse) -> Capabilities:
    """What a gateway takes and offers."""
    limits = answer.limits
    return Capabilities(
        diptych_version=answer.diptych_version,
        limits=Limits(
            prompt_characters=limits.prompt_characters,
            texts=limits.texts,
            images=limits.images,
            caption_candidates=limits.caption_candidates,
            labels=limits.labels,
            image_bytes=limits.image_bytes,
            image_pixels=limits.image_pixels,
            image_side=limits.image_side,
            message_bytes=limits.message_bytes,
        ),
        spaces=tuple(answer.spaces),
        languages=tuple(answer.languages),
        input_formats=tuple(answer.input_formats),
        output_formats=tuple(_FORMAT_NAMES.get(each, str(each)) for each in answer.output_formats),
        services=tuple(_service(each) for each in answer.services),
    )


def _picture(painted: gateway_pb2.PaintedImage, read: tuple[Stage, ...]) -> Picture:
    return Picture(
        data=painted.image.data,
        seed=painted.seed,
        format=_FORMAT_NAMES.get(painted.image.format, "png"),
        width=painted.image.width,
        height=painted.image.height,
        pixel_sha256=painted.image.pixel_sha256,
        similarity=painted.similarity if painted.HasField("similarity") else None,
        provenance=provenance(painted.provenance),
        stages=read,
    )


def _stages(given: Iterable[model_pb2.Stage]) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            method=each.method,
            model=_model(each.model),
            queue_seconds=each.timings.queue_seconds,
            inference_seconds=each.timings.inference_seconds,
            batch_size=each.timings.batch_size,
            elapsed_seconds=each.elapsed_seconds,
        )
        for each in given
    )


def _labels(given: Iterable[label_pb2.Label]) -> tuple[Label, ...]:
    return tuple(Label(id=each.id, text=each.text, probability=each.probability) for each in given)


def _heads(given: Iterable[label_pb2.HeadLabels]) -> dict[str, tuple[Label, ...]]:
    return {each.head: _labels(each.labels) for each in given}


def _names(given: Iterable[label_pb2.LabelName]) -> dict[str, dict[str, str]]:
    return {each.id: dict(each.texts) for each in given}


def _model(message: model_pb2.Model) -> Model:
    return Model(name=message.name, version=message.version, digest=message.digest, space=message.space)


def _service(message: gateway_pb2.ServiceCapabilities) -> Service:
    return Service(
        name=message.name,
        models=tuple(
            ModelCapabilities(
                model=_model(each.model),
                languages=tuple(each.languages),
                image_width=each.image_width,
                image_height=each.image_height,
                labels=_names(each.labels),
                heads=tuple(
                    Head(
                        name=head.name,
                        label_count=head.label_count,
                        multi_label=head.multi_label,
                        labels=_names(head.labels or each.labels),
                    )
                    for head in each.heads
                ),
                max_items=each.max_items,
            )
            for each in message.models
        ),
        replicas=tuple(
            Replica(
                address=each.address,
                serving=each.serving,
                reason=each.reason,
                model=_model(each.model) if each.HasField("model") else None,
                queue_seconds=each.queue_seconds,
                calls_in_flight=each.calls_in_flight,
            )
            for each in message.replicas
        ),
    )
