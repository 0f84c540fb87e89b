"""What this gateway takes and offers: limits out of its settings, models and replicas as the pools know them."""

from __future__ import annotations

import asyncio
import contextvars
import math
import time
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
LOOK_SECONDS = 1.0
"""Between two looks at what the replicas take, while calls come; those that are known are not asked again."""


class Capabilities:
    """Tells what is there; never waits for a service that is down.

    Args:
        settings: the limits of the gateway's own.
        services: the model services; by their names in answers.
    """

    def __init__(self, settings: GatewaySettings, services: Sequence[ServiceDirectory]) -> None:
        self._settings = settings
        self._services = services
        self._version = diptych_version()
        self._known: dict[tuple[str, str], tuple[int, model_pb2.ModelCapabilities]] = {}
        """By service and address, with the number of the health watch: another process is seen by another watch."""
        self._limits = _limits(settings, ())
        self._look: asyncio.Task[gateway_pb2.GetCapabilitiesResponse] | None = None
        self._next_look = -math.inf

    def limits(self) -> gateway_pb2.Limits:
        """What every service takes as well, as far as known; what is not known is asked meanwhile."""
        now = time.monotonic()
        if now >= self._next_look and (self._look is None or self._look.done()):
            self._next_look = now + LOOK_SECONDS
            # In a context of its own: it is not the call's that happens to come first.
            self._look = asyncio.create_task(self.tell(), context=contextvars.Context())
        return self._limits

    async def tell(self) -> gateway_pb2.GetCapabilitiesResponse:
        """All of it, at this moment."""
        told = await asyncio.gather(*(self._service(service) for service in self._services))
        by_name = {each.name: each for each in told}
        self._limits = _limits(self._settings, told)
        return gateway_pb2.GetCapabilitiesResponse(
            diptych_version=self._version,
            limits=self._limits,
            spaces=_spaces(told),
            languages=_languages(by_name),
            input_formats=INPUT_FORMATS,
            output_formats=OUTPUT_FORMATS,
            services=told,
        )

    async def _service(self, service: ServiceDirectory) -> gateway_pb2.ServiceCapabilities:
        replicas = sorted(service.replicas(), key=lambda each: each.address)
        here = {(service.name, each.address) for each in replicas}
        self._known = {key: each for key, each in self._known.items() if key[0] != service.name or key in here}
        asked = await asyncio.gather(*(self._model(service, each) for each in replicas if each.serving))
        answered = {each.model.digest for each in asked if each.max_items}
        models: list[model_pb2.ModelCapabilities] = []
        for each in asked:  # replicas of one model are one, unless they are set up in another way
            if each not in models and (each.max_items or each.model.digest not in answered):
                models.append(each)
        return gateway_pb2.ServiceCapabilities(name=service.name, models=models, replicas=replicas)

    async def _model(self, service: ServiceDirectory, replica: gateway_pb2.Replica) -> model_pb2.ModelCapabilities:
        key, watch = (service.name, replica.address), service.watches().get(replica.address, 0)
        known = self._known.get(key)
        if known is not None and known[0] == watch:
            return known[1]
        remaining = remaining_seconds()
        # Half of what is left at most, so that the answer itself arrives in time.
        seconds = ASK_SECONDS if remaining is None else min(ASK_SECONDS, remaining / 2)
        try:
            capabilities = await service.capabilities(replica.address, timeout_seconds=seconds)
        except CallError:
            return model_pb2.ModelCapabilities(model=replica.model)
        if capabilities.model == replica.model:  # or else it was replaced just now
            self._known[key] = watch, capabilities
        return capabilities


def _limits(settings: GatewaySettings, services: Sequence[gateway_pb2.ServiceCapabilities]) -> gateway_pb2.Limits:
    """The gateway's own, or what the service that takes least does where that is less."""

    def least(own: int, *names: str) -> int:
        models = (model for service in services if service.name in names for model in service.models)
        return min([own, *(model.max_items for model in models if model.max_items)])

    return gateway_pb2.Limits(
        prompt_characters=settings.max_prompt_characters,
        texts=least(settings.max_texts, "text"),
        images=least(settings.max_images, "classification", "generation", "captioning"),
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
