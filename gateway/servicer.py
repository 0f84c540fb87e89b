"""The gateway's RPCs: a message is checked, goes through a flow, and a message comes out."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from gateway import flows, validation
from gateway.access.limits import charge_pictures
from gateway.capabilities import Capabilities
from gateway.flow_times import FlowTimes, timed
from gateway.painting import Painters, Painting
from gateway.ports import Captioner, ImageClassifier, ImageGenerator, TextEncoder
from shared.rpc.context import note_items


def draw_seed() -> int:
    """A random number of 32 bits: short enough to copy by hand."""
    return secrets.randbits(32)


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Joins the flows to the wire; errors are raised, and whoever serves it gives them codes.

    `context` is never used: deadline, request id and cancellation are ambient, over whichever wire a call came.
    """

    def __init__(
        self,
        *,
        encoder: TextEncoder,
        classifier: ImageClassifier,
        generator: ImageGenerator,
        captioner: Captioner,
        capabilities: Capabilities,
        times: FlowTimes,
        draw_seed: Callable[[], int] = draw_seed,
    ) -> None:
        self.times = times
        self._encoder = encoder
        self._classifier = classifier
        self._captioner = captioner
        self._painters = Painters(encoder=encoder, generator=generator, classifier=classifier)
        self._capabilities = capabilities
        self._draw_seed = draw_seed

    @timed
    async def TextToImage(
        self, request: gateway_pb2.TextToImageRequest, context: object
    ) -> gateway_pb2.TextToImageResponse:
        """Paints pictures of a text. Seeds are drawn here, so that a retry downstream is the same picture."""
        painting = self._painting(request)
        return await flows.text_to_image(painting, self._painters)

    async def StreamTextToImage(
        self, request: gateway_pb2.StreamTextToImageRequest, context: object
    ) -> AsyncIterator[gateway_pb2.StreamTextToImageResponse]:
        """The same, each picture as soon as it is ready; closing the generator ends what is under way."""
        painting = self._painting(request)
        async with aclosing(flows.stream_text_to_image(painting, self._painters)) as pictures:
            async for picture in pictures:
                yield picture

    @timed
    async def ImageToText(
        self, request: gateway_pb2.ImageToTextRequest, context: object
    ) -> gateway_pb2.ImageToTextResponse:
        """Describes pictures in words."""
        limits = self._capabilities.limits()
        note_items(len(request.images))
        images = validation.images(request.images, limits)
        candidates = validation.caption_candidates(request.candidates, limits)
        sampling = validation.sampling(request, self._draw_seed)
        charge_pictures(len(images))
        return await flows.image_to_text(
            images,
            language=request.language,
            top_k=request.top_k,
            heads=request.heads,
            candidates=candidates,
            sampling=sampling,
            classifier=self._classifier,
            captioner=self._captioner,
        )

    @timed
    async def ClassifyImage(
        self, request: gateway_pb2.ClassifyImageRequest, context: object
    ) -> gateway_pb2.ClassifyImageResponse:
        """Names what is on pictures, out of the model's classes or of the caller's labels."""
        limits = self._capabilities.limits()
        note_items(len(request.images))
        images = validation.images(request.images, limits)
        labels = validation.labels(request.labels, limits)
        validation.no_heads_beside_labels(request)
        charge_pictures(len(images))
        if labels:
            return await flows.classify_image_by_labels(
                images,
                labels,
                language=request.language,
                top_k=request.top_k,
                texts_a_call=limits.texts,
                encoder=self._encoder,
                classifier=self._classifier,
            )
        return await flows.classify_image(
            images,
            language=request.language,
            top_k=request.top_k,
            heads=request.heads,
            classifier=self._classifier,
        )

    @timed
    async def EncodeText(
        self, request: gateway_pb2.EncodeTextRequest, context: object
    ) -> gateway_pb2.EncodeTextResponse:
        """Encodes texts as points of the joint text-image space."""
        note_items(len(request.texts))
        texts = validation.texts(request.texts, self._capabilities.limits())
        return await flows.encode_text(texts, space=request.space, encoder=self._encoder)

    @timed
    async def EncodeImage(
        self, request: gateway_pb2.EncodeImageRequest, context: object
    ) -> gateway_pb2.EncodeImageResponse:
        """Encodes pictures as points of the joint text-image space."""
        note_items(len(request.images))
        images = validation.images(request.images, self._capabilities.limits())
        charge_pictures(len(images))
        return await flows.encode_image(
            images,
            include_tokens=request.include_tokens,
            space=request.space,
            classifier=self._classifier,
        )

    async def GetCapabilities(
        self, request: gateway_pb2.GetCapabilitiesRequest, context: object
    ) -> gateway_pb2.GetCapabilitiesResponse:
        """Says what this gateway takes and offers."""
        return await self._capabilities.tell()

    def _painting(self, request: validation.PaintingRequest) -> Painting:
        """What to paint, all of it checked, and paid for by the caller's key."""
        painting = validation.painting(request, self._capabilities.limits(), self._draw_seed)
        note_items(len(painting.seeds))
        charge_pictures(len(painting.seeds))
        return painting
