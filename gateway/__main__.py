"""`python -m gateway`: the gateway's process; joins pools of replicas, flows and a gRPC server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TypeVar

import grpc
from prometheus_client import CollectorRegistry

from diptych.captioning.v1 import captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2_grpc
from diptych.gateway.v1 import gateway_pb2_grpc
from diptych.generation.v1 import generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2_grpc
from gateway.access.keys_file import key_access
from gateway.capabilities import Capabilities
from gateway.clients import CaptionerClient, ImageClassifierClient, ImageGeneratorClient, TextEncoderClient
from gateway.encoding_cache import CachedTextEncoder, EncodingCache
from gateway.flow_times import FlowTimes
from gateway.metrics import AccessMetrics, EncodingCacheMetrics, FlowMetrics
from gateway.ports import SERVICE
from gateway.servicer import GatewayServicer
from gateway.settings import GatewaySettings
from shared.entrypoint import run_server
from shared.errors import ConfigurationError
from shared.metrics import DownstreamMetrics, ProcessMemory
from shared.rpc.credentials import followed_client_certificates
from shared.rpc.replica_pool import ReplicaPool
from shared.rpc.server import Server

StubT = TypeVar("StubT")


@asynccontextmanager
async def gateway_server(settings: GatewaySettings, registry: CollectorRegistry) -> AsyncIterator[Server]:
    """A gateway that listens and is SERVING; leaving it drains, then closes the pools.

    It serves although a model service is down: calls that need others go on, and the rest say which one.
    """
    metrics = DownstreamMetrics(registry)
    certificates = followed_client_certificates(settings, settings.services_ca)

    def pool(name: str, stub: Callable[[grpc.aio.Channel], StubT]) -> ReplicaPool[StubT]:
        targets, options = settings.targets(name), settings.pool_options()
        return ReplicaPool(name, targets, stub, metrics=metrics, options=options, certificates=certificates)

    async with (
        certificates or nullcontext(),
        pool("text", text_encoding_pb2_grpc.TextEncodingServiceStub) as text,
        pool("classification", classification_pb2_grpc.ClassificationServiceStub) as classification,
        pool("generation", generation_pb2_grpc.GenerationServiceStub) as generation,
        pool("captioning", captioning_pb2_grpc.CaptioningServiceStub) as captioning,
    ):
        encoder, classifier = TextEncoderClient(text, metrics), ImageClassifierClient(classification, metrics)
        generator, captioner = ImageGeneratorClient(generation, metrics), CaptionerClient(captioning, metrics)
        cache = EncodingCache(settings.encoding_cache_bytes, EncodingCacheMetrics(registry))
        servicer = GatewayServicer(
            encoder=CachedTextEncoder(encoder, cache),
            classifier=classifier,
            generator=generator,
            captioner=captioner,
            capabilities=Capabilities(settings, [encoder, classifier, generator, captioner]),
            times=FlowTimes(FlowMetrics(registry)),
        )
        access_metrics = AccessMetrics(registry)
        async with AsyncExitStack() as fronts:  # left when the server has drained, their calls included
            access = None
            if settings.keys_file is not None:
                access = await fronts.enter_async_context(key_access(settings.keys_file, access_metrics))
            server = Server(settings, registry, services=[SERVICE], access=access)
            gateway_pb2_grpc.add_GatewayServiceServicer_to_server(servicer, server.grpc)
            async with server:
                if settings.web_port is not None:
                    await fronts.enter_async_context(_playground(settings, servicer, server))
                await server.set_serving(True)
                yield server


def _playground(
    settings: GatewaySettings, servicer: GatewayServicer, server: Server
) -> AbstractAsyncContextManager[int]:
    try:
        from gateway.web.front import web_front  # here, so that a gateway without a playground needs no extra
    except ImportError as error:
        message = f"DIPTYCH_WEB_PORT is set, and the playground cannot run: {error}; pip install 'diptych[web]'"
        raise ConfigurationError(message) from error
    return web_front(settings, servicer, server.handling, grpc_port=server.port, tls=server.tls)


async def serve(settings: GatewaySettings) -> str | None:
    """Serves until SIGTERM."""
    registry = CollectorRegistry()
    ProcessMemory(registry)
    async with gateway_server(settings, registry) as server:
        return await server.run()


if __name__ == "__main__":
    run_server("python -m gateway", GatewaySettings, serve)
