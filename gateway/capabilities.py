"""What this gateway takes and offers: limits out of its settings, models and replicas as the pools know them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2, model_pb2
from gateway.ports import ServiceDirectory
from gateway.settings import GatewaySettings
from shared.errors import CallError
from shared.limits import IMAGE_PIXELS, IMAGE_SIDE
from shared.rpc.context import remaining_seconds
from shared.version import diptych_version

INPUT_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
OUTPUT_FORMATS = (image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_JPEG, image_pb2.IMAGE_FORMAT_WEBP)
ASK_SECONDS = 1.0
"""Longest wait for a replica that says of itself that it serves; its model is then told by name alone."""


class Capabilities:
    """Tells what is there; never waits for a service that is down.

    Args:
        settings: the limits.
        services: the model services; by their names in answers.
    """

    def __init__(self, settings: GatewaySettings, services: Sequence[ServiceDirectory]) -> None:
        self._settings = settings
        self._services = services
        self._version = diptych_version()
        self._known: dict[tuple[str, str], model_pb2.ModelCapabilities] = {}
        """By service and digest: weights with one digest can always do the same."""

    async def tell(self) -> gateway_pb2.GetCapabilitiesResponse:
        """All of it, at this moment."""
        told = await asyncio.gather(*(self._service(service) for service in self._services))
        by_name = {each.name: each for each in told}
        return gateway_pb2.GetCapabilitiesResponse(
            diptych_version=self._version,
            limits=_limits(self._settings),
            spaces=_spaces(told),
            languages=_languages(by_name),
            input_formats=INPUT_FORMATS,
            output_formats=OUTPUT_FORMATS,
            services=told,
        )

    async def _service(self, service: ServiceDirectory) -> gateway_pb2.ServiceCapabilities:
        replicas = sorted(service.replicas(), key=lambda each: each.address)
        one_a_model: dict[str, gateway_pb2.Replica] = {}
        for each in replicas:
            if each.serving:
                one_a_model.setdefault(each.model.digest, each)
        models = await asyncio.gather(*(self._model(service, each) for each in one_a_model.values()))
        return gateway_pb2.ServiceCapabilities(name=service.name, models=models, replicas=replicas)

    async def _model(self, service: ServiceDirectory, replica: gateway_pb2.Replica) -> model_pb2.ModelCapabilities:
        key = (service.name, replica.model.digest)
        if (known := self._known.get(key)) is not None:
            return known
        remaining = remaining_seconds()
        # Half of what is left at most, so that the answer itself arrives in time.
        seconds = ASK_SECONDS if remaining is None else min(ASK_SECONDS, remaining / 2)
        try:
            capabilities = await service.capabilities(replica.address, timeout_seconds=seconds)
        except CallError:
            return model_pb2.ModelCapabilities(model=replica.model)
        if capabilities.model.digest == replica.model.digest:  # or else it was replaced just now
            self._known[key] = capabilities
        return capabilities


def _limits(settings: GatewaySettings) -> gateway_pb2.Limits:
    return gateway_pb2.Limits(
        prompt_characters=settings.max_prompt_characters,
        texts=settings.max_texts,
        images=settings.max_images,
        caption_candidates=settings.max_caption_candidates,
        labels=settings.max_labels,
        image_bytes=settings.max_image_bytes,
        image_pixels=IMAGE_PIXELS,
        image_side=IMAGE_SIDE,
        message_bytes=settings.max_message_bytes,
    )


def _spaces(services: Sequence[gateway_pb2.ServiceCapabilities]) -> list[str]:
    """Those that every service serves in this very answer; a service that is down serves none."""
    served = [
        frozenset(each.model.space for each in service.replicas if each.serving and each.model.space)
        for service in services
    ]
    return sorted(frozenset.intersection(*served))


def _languages(services: Mapping[str, gateway_pb2.ServiceCapabilities]) -> list[str]:
    """Those that a classifier and a captioner of one space both know, in the captioner's order."""
    shared = [
        language
        for captioner in services["captioning"].models
        for language in captioner.languages
        if any(
            language in classifier.languages and classifier.model.space == captioner.model.space
            for classifier in services["classification"].models
        )
    ]
    return list(dict.fromkeys(shared))
