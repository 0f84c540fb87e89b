"""The flows: which model services a request passes through, in which order. Knows ports and messages only.

Deadline, request id and cancellation are ambient (`shared.rpc.context`, asyncio) and no business of a flow.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import sampling_pb2
from gateway.concurrency import started
from gateway.fields import renamed_fields
from gateway.painting import Painters, Painting, finished
from gateway.ports import Answer, Captioner, ImageClassifier, TextEncoder
from gateway.spaces import in_one_space, stream_in_one_space

CONTENT = "content"
"""For the classifier: the head that says what the picture is of, a thing or a scene."""


async def text_to_image(painting: Painting, painters: Painters) -> gateway_pb2.TextToImageResponse:
    """Prompt -> encoding -> one picture a seed -> with `keep`, those nearest to the prompt."""

    async def run(space: str | None) -> gateway_pb2.TextToImageResponse:
        return await painters.paint_and_choose(painting, await painters.encode(painting, space))

    return await in_one_space(run, *painters.needed(painting), wanted=painting.space)


def stream_text_to_image(
    painting: Painting, painters: Painters
) -> AsyncGenerator[gateway_pb2.StreamTextToImageResponse, None]:
    """The same, each picture as soon as it is ready: a call to the generator a seed, all at once; chosen ones by rank.

    Closing the generator cancels what is under way.
    """

    async def run(space: str | None) -> AsyncGenerator[gateway_pb2.StreamTextToImageResponse, None]:
        encoded = await painters.encode(painting, space)
        if painting.keep:
            whole = await painters.paint_and_choose(painting, encoded)
            for rank, image in enumerate(whole.images):
                yield gateway_pb2.StreamTextToImageResponse(index=rank, image=image, stages=whole.stages)
            return

        async def paint(index: int) -> gateway_pb2.StreamTextToImageResponse:
            painted = await painters.paint(painting, encoded, [painting.seeds[index]])
            [image] = finished(painting, encoded, painted)
            stages = [encoded.stage, painted.stage]
            return gateway_pb2.StreamTextToImageResponse(index=index, image=image, stages=stages)

        async with started(paint(index) for index in range(len(painting.seeds))) as tasks:
            for ready in asyncio.as_completed(tasks):
                yield await ready

    return stream_in_one_space(run, *painters.needed(painting), wanted=painting.space)


async def image_to_text(
    images: Sequence[bytes],
    *,
    language: str,
    top_k: int,
    heads: Sequence[str],
    candidates: int,
    sampling: sampling_pb2.CaptionSampling | None,
    classifier: ImageClassifier,
    captioner: Captioner,
) -> gateway_pb2.ImageToTextResponse:
    """Images -> labels and encodings, in one forward pass -> captions."""

    async def run(space: str | None) -> gateway_pb2.ImageToTextResponse:
        classified = await classifier.classify_image(
            images, top_k=top_k, language=language, include_encodings=True, space=space, heads=heads or [CONTENT]
        )
        seen = classified.message.classifications
        with renamed_fields({"encodings": "images"}):
            captioned = await captioner.generate_caption(
                [each.encoding for each in seen], language=language, candidates=candidates, sampling=sampling
            )
        return gateway_pb2.ImageToTextResponse(
            descriptions=[
                gateway_pb2.ImageDescription(captions=said.captions, labels=each.labels, heads=each.heads)
                for said, each in zip(captioned.message.results, seen, strict=True)
            ],
            stages=[classified.stage, captioned.stage],
            seed=None if sampling is None else sampling.seed,
        )

    return await in_one_space(run, classifier, captioner)


async def classify_image(
    images: Sequence[bytes], *, language: str, top_k: int, heads: Sequence[str], classifier: ImageClassifier
) -> gateway_pb2.ClassifyImageResponse:
    """Images -> labels, out of the model's classes."""
    classified = await classifier.classify_image(images, top_k=top_k, language=language, space=None, heads=heads)
    return gateway_pb2.ClassifyImageResponse(
        results=[
            gateway_pb2.Labels(labels=each.labels, heads=each.heads) for each in classified.message.classifications
        ],
        stages=[classified.stage],
    )


async def classify_image_by_labels(
    images: Sequence[bytes],
    labels: Sequence[str],
    *,
    language: str,
    top_k: int,
    texts_a_call: int,
    encoder: TextEncoder,
    classifier: ImageClassifier,
) -> gateway_pb2.ClassifyImageResponse:
    """The caller's labels -> encodings -> images -> those labels (zero-shot). `top_k` 0 is all of them."""

    async def run(space: str | None) -> gateway_pb2.ClassifyImageResponse:
        encoded = await encode_labels(labels, texts_a_call, encoder, space)
        with renamed_fields({"label_encodings": "labels"}):
            classified = await classifier.classify_image(
                images,
                top_k=top_k or len(labels),
                language=language,
                label_encodings=[encoding for answer in encoded for encoding in answer.message.encodings],
                space=encoded[0].message.encodings[0].space,
            )
        results = [gateway_pb2.Labels(labels=each.labels) for each in classified.message.classifications]
        for result in results:
            for label in result.labels:
                label.text = labels[int(label.id)]
        return gateway_pb2.ClassifyImageResponse(
            results=results, stages=[*(answer.stage for answer in encoded), classified.stage]
        )

    return await in_one_space(run, encoder, classifier)


async def encode_labels(
    labels: Sequence[str], texts_a_call: int, encoder: TextEncoder, space: str | None
) -> list[Answer[text_encoding_pb2.EncodeTextResponse]]:
    """Encodings of many labels, by several calls at once; errors name `labels[i]`."""

    async def encode(first: int) -> Answer[text_encoding_pb2.EncodeTextResponse]:
        with renamed_fields({"texts": "labels"}, offset=first):
            return await encoder.encode_text(labels[first : first + texts_a_call], space=space)

    async with started(encode(first) for first in range(0, len(labels), texts_a_call)) as tasks:
        return await asyncio.gather(*tasks)


async def encode_text(texts: Sequence[str], *, space: str, encoder: TextEncoder) -> gateway_pb2.EncodeTextResponse:
    """Texts -> encodings."""

    async def run(space: str | None) -> gateway_pb2.EncodeTextResponse:
        encoded = await encoder.encode_text(texts, space=space)
        return gateway_pb2.EncodeTextResponse(encodings=encoded.message.encodings, stages=[encoded.stage])

    return await in_one_space(run, encoder, wanted=space) if space else await run(None)


async def encode_image(
    images: Sequence[bytes], *, include_tokens: bool, space: str, classifier: ImageClassifier
) -> gateway_pb2.EncodeImageResponse:
    """Images -> encodings."""

    async def run(space: str | None) -> gateway_pb2.EncodeImageResponse:
        classified = await classifier.classify_image(images, top_k=1, language="", include_encodings=True, space=space)
        response = gateway_pb2.EncodeImageResponse(
            encodings=[each.encoding for each in classified.message.classifications], stages=[classified.stage]
        )
        if not include_tokens:
            for encoding in response.encodings:
                encoding.ClearField("tokens")
                encoding.ClearField("token_width")
        return response

    return await in_one_space(run, classifier, wanted=space) if space else await run(None)
