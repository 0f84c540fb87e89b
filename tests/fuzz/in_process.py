"""The platform in one process without sockets, so that inputs reach it by the thousand a second.

From the bytes of a request on all is the servers' own: interceptor, parser, servicer, queue, predictor of a tiny
model, and in front of them the gateway with its flows and clients. Only the pipe to the model process and the
gateway's channels are left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from diptych.captioning.v1 import captioning_pb2_grpc
from diptych.classification.v1 import classification_pb2_grpc
from diptych.gateway.v1 import gateway_pb2_grpc
from diptych.generation.v1 import generation_pb2_grpc
from diptych.text.v1 import text_encoding_pb2_grpc
from gateway.capabilities import Capabilities
from gateway.clients import CaptionerClient, ImageClassifierClient, ImageGeneratorClient, TextEncoderClient
from gateway.encoding_cache import CachedTextEncoder, EncodingCache
from gateway.flow_times import FlowTimes
from gateway.metrics import EncodingCacheMetrics, FlowMetrics
from gateway.servicer import GatewayServicer
from gateway.settings import GatewaySettings
from services.captioning import predictor as captioning
from services.classification import predictor as classification
from services.generation import predictor as generation
from services.text import predictor as text
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.predictor import RuntimeOptions
from shared.metrics import BatcherMetrics, DownstreamMetrics, RpcMetrics
from shared.rpc.calls_in_flight import CallsInFlight
from shared.rpc.handling import CallHandling
from shared.rpc.interceptors import CallInterceptor
from tests.benchmarks.robustness.echo_service import SERVED

LOAD = {
    "text": text.load,
    "classification": classification.load,
    "generation": generation.load,
    "captioning": captioning.load,
}
OPTIONS = RuntimeOptions(device="cpu", precision="fp32", threads=1)


class Ended(Exception):  # noqa: N818 - an end, not always an error
    """A call that ended with another code than OK."""

    def __init__(self, code: grpc.StatusCode, message: str, trailers: grpc.aio.Metadata) -> None:
        super().__init__(f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.trailers = trailers


class Context:
    """What interceptor and servicers ask of a ServicerContext."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.ended = Ended(grpc.StatusCode.UNKNOWN, "not aborted", grpc.aio.Metadata())
        self._over: list[Callable[[object], None]] = []

    def invocation_metadata(self) -> tuple[()]:
        return ()

    def time_remaining(self) -> None:
        return None

    def set_trailing_metadata(self, trailers: object) -> None:
        pass

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        self._over.append(callback)

    async def write(self, message: Any) -> None:
        self.messages.append(message)

    async def abort(self, code: grpc.StatusCode, details: str, trailers: Sequence[tuple[str, str | bytes]]) -> None:
        self.ended = Ended(code, details, grpc.aio.Metadata(*trailers))
        raise grpc.aio.AbortError

    def over(self) -> None:
        for callback in self._over:
            callback(self)


class InProcessServer:
    """Handlers of a servicer behind the interceptor that every server of ours has."""

    def __init__(self, add_servicer: Callable[[Any], None]) -> None:
        self.handlers: dict[str, Any] = {}
        """By `package.Service/Method`."""
        calls = CallsInFlight()
        self._interceptor = CallInterceptor(CallHandling(calls, RpcMetrics(CollectorRegistry())), calls, tuple)
        add_servicer(self)

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """What generated code calls as well; the other tells their names."""

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        self.handlers |= {f"{service}/{name}": handler for name, handler in handlers.items()}

    async def answer(self, method: str, raw: bytes) -> list[bytes]:
        """The messages of the answer. Raises Ended."""

        async def plain(_: object) -> Any:
            return self.handlers[method]

        details: Any = SimpleNamespace(method=f"/{method}")
        handler, context = await self._interceptor.intercept_service(plain, details), Context()
        try:
            if handler.response_streaming:
                await handler.unary_stream(raw, context)
            else:
                context.messages.append(await handler.unary_unary(raw, context))
        except grpc.aio.AbortError:
            raise context.ended from None
        finally:
            context.over()
        return [handler.response_serializer(message) for message in context.messages]


class DirectPool:
    """What the gateway's clients ask of a ReplicaPool, of one replica that always serves."""

    def __init__(self, name: str, server: InProcessServer, stub: Callable[[Any], Any], space: str) -> None:
        self.name = name
        self._server = server
        self._space = space
        self._stub = stub(self)

    def unary_unary(
        self, method: str, request_serializer: Any, response_deserializer: Any, **_: object
    ) -> Callable[[Any], Awaitable[Any]]:
        """As of a channel: what a stub is made of."""

        async def call(request: Any) -> Any:
            try:
                [answer] = await self._server.answer(method.removeprefix("/"), request_serializer(request))
            except Ended as end:
                raise grpc.aio.AioRpcError(end.code, grpc.aio.Metadata(), end.trailers, end.message) from None
            return response_deserializer(answer)

        return call

    def spaces(self) -> Mapping[str, int]:
        return {self._space: 1}

    def may_serve(self, space: str) -> bool:
        return space == self._space

    async def wait_for_change(self, since: float) -> None:
        raise TimeoutError

    def expected_seconds(self, space: str | None) -> float:
        return 0.0

    def require_room(self, space: str | None, *, after_seconds: float) -> None:
        pass

    def replicas(self) -> Sequence[Any]:
        return ()

    def watches(self) -> Mapping[str, int]:
        return {}

    async def call(self, method: Callable[[Any], Any], request: Any, *, space: str | None) -> Any:
        return await method(self._stub)(request)


async def service(name: str, directory: Path) -> InProcessServer:
    """A model service; its queue is served by the running loop."""
    settings_type, servicer, add_to_server = SERVED[name]
    predictor: Any = LOAD[name](directory, OPTIONS)

    async def run(batch: Sequence[Any]) -> BatchResult[Any]:
        return BatchResult(outputs=predictor.predict(batch) if batch else (), inference_seconds=0.0)

    settings = settings_type(model_directory=directory)
    batcher: DynamicBatcher[Any, Any] = DynamicBatcher(
        run,
        bucket_sizes=predictor.info.bucket_sizes,
        max_queue_items=settings.max_queue_items,
        max_queue_bytes=settings.max_queue_bytes,
        metrics=BatcherMetrics(CollectorRegistry()),
    )
    await batcher.__aenter__()  # it lasts as long as the process
    return InProcessServer(partial(add_to_server, servicer(batcher, predictor.info, settings)))


async def gateway(models: Mapping[str, Path]) -> InProcessServer:
    """A gateway over all four services."""
    registry = CollectorRegistry()
    metrics, settings = DownstreamMetrics(registry), GatewaySettings()
    servers = {name: await service(name, directory) for name, directory in models.items()}

    def pool(name: str, stub: Callable[[Any], Any]) -> Any:
        return DirectPool(name, servers[name], stub, "tiny")

    encoder = TextEncoderClient(pool("text", text_encoding_pb2_grpc.TextEncodingServiceStub), metrics)
    classifier = ImageClassifierClient(
        pool("classification", classification_pb2_grpc.ClassificationServiceStub), metrics
    )
    generator = ImageGeneratorClient(pool("generation", generation_pb2_grpc.GenerationServiceStub), metrics)
    captioner = CaptionerClient(pool("captioning", captioning_pb2_grpc.CaptioningServiceStub), metrics)
    servicer = GatewayServicer(
        encoder=CachedTextEncoder(encoder, EncodingCache(1_000_000, EncodingCacheMetrics(registry))),
        classifier=classifier,
        generator=generator,
        captioner=captioner,
        capabilities=Capabilities(settings, [encoder, classifier, generator, captioner]),
        times=FlowTimes(FlowMetrics(registry)),
    )
    return InProcessServer(partial(gateway_pb2_grpc.add_GatewayServiceServicer_to_server, servicer))


class Platform:
    """A server with an event loop of its own, for callers that are none."""

    def __init__(self, make: Awaitable[InProcessServer]) -> None:
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(make)
        self.methods = sorted(self._server.handlers)

    def answer(self, method: str, raw: bytes) -> list[bytes]:
        """Of one call. Raises Ended."""
        return self._loop.run_until_complete(self._server.answer(method, raw))
