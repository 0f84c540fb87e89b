"""The gateway's RPCs: a message is checked, goes through a flow, and a message comes out."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from gateway import flows, validation
from gateway.ports import Captioner, ImageClassifier, ImageGenerator, TextEncoder
from gateway.settings import GatewaySettings


def draw_seed() -> int:
    """A random number of 32 bits: short enough to copy by hand."""
    return secrets.randbits(32)


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Joins the flows to the wire; errors are raised, and the server's interceptor gives them codes."""

    def __init__(
        self,
        settings: GatewaySettings,
        *,
        encoder: TextEncoder,
        classifier: ImageClassifier,
        generator: ImageGenerator,
        captioner: Captioner,
        draw_seed: Callable[[], int] = draw_seed,
    ) -> None:
        self._limits = settings
        self._encoder = encoder
        self._classifier = classifier
        self._generator = generator
        self._captioner = captioner
        self._draw_seed = draw_seed

    async def TextToImage(
        self, request: gateway_pb2.TextToImageRequest, context: object
    ) -> gateway_pb2.TextToImageResponse:
        """Paints pictures of a text. Seeds are drawn here, so that a retry downstream is the same picture."""
        prompt = validation.text(request.prompt, "prompt", self._limits)
        seeds = validation.seeds(request, self._limits, self._draw_seed)
        return await flows.text_to_image(prompt, seeds=seeds, encoder=self._encoder, generator=self._generator)

    async def ImageToText(
        self, request: gateway_pb2.ImageToTextRequest, context: object
    ) -> gateway_pb2.ImageToTextResponse:
        """Describes pictures in words."""
        return await flows.image_to_text(
            validation.images(request.images, self._limits),
            language=request.language,
            top_k=request.top_k,
            classifier=self._classifier,
            captioner=self._captioner,
        )

    async def ClassifyImage(
        self, request: gateway_pb2.ClassifyImageRequest, context: object
    ) -> gateway_pb2.ClassifyImageResponse:
        """Names what is on pictures."""
        return await flows.classify_image(
            validation.images(request.images, self._limits),
            language=request.language,
            top_k=request.top_k,
            classifier=self._classifier,
        )

    async def EncodeText(
        self, request: gateway_pb2.EncodeTextRequest, context: object
    ) -> gateway_pb2.EncodeTextResponse:
        """Encodes texts as points of the joint text-image space."""
        return await flows.encode_text(validation.texts(request.texts, self._limits), encoder=self._encoder)
