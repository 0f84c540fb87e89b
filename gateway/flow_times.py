"""Where the time of the gateway's calls went, added up from the stages that their answers name."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from diptych.types.v1 import model_pb2
from gateway.metrics import FlowMetrics
from gateway.ports import SERVICE


class Staged(Protocol):
    """What the answers that models made have in common."""

    @property
    def stages(self) -> Sequence[model_pb2.Stage]:
        """The calls to model services behind it."""


class Timing(Protocol):
    """A servicer that tells where its time goes."""

    times: FlowTimes


Parameters = ParamSpec("Parameters")
StagedT = TypeVar("StagedT", bound=Staged)
TimingT = TypeVar("TimingT", bound=Timing)


class FlowTimes:
    """Divides the time of each answered flow among its parts, which add up to it."""

    def __init__(self, metrics: FlowMetrics) -> None:
        self._seconds = cache(metrics.seconds.labels)

    async def of(self, method: str, flow: Awaitable[StagedT]) -> StagedT:
        """The answer of a flow, whose time is added under the gateway's RPC `method`; one that fails is left out."""
        begin = time.perf_counter()
        answer = await flow
        self.add(method, time.perf_counter() - begin, answer.stages)
        return answer

    def add(self, method: str, seconds: float, stages: Sequence[model_pb2.Stage]) -> None:
        """One flow of so many seconds. Stages that ran side by side share the time that they took together."""
        staged = sum(stage.elapsed_seconds for stage in stages)
        share = min(1.0, seconds / staged) if staged else 1.0
        method = f"{SERVICE}/{method}"  # as in the metrics of RPCs
        for stage in stages:
            service = stage.method.split(".")[1]  # of "diptych.text.v1.TextEncodingService/EncodeText"
            left = stage.elapsed_seconds * share
            # Of the answer of an equal call that was under way, the service tells more than this one waited.
            inference = min(left, stage.timings.inference_seconds * share)
            queue = min(left - inference, stage.timings.queue_seconds * share)
            for part, part_seconds in (("queue", queue), ("inference", inference), ("call", left - inference - queue)):
                self._seconds(method, service, part).inc(part_seconds)
        self._seconds(method, "gateway", "own").inc(max(0.0, seconds - staged * share))


def timed(
    rpc: Callable[Concatenate[TimingT, Parameters], Awaitable[StagedT]],
) -> Callable[Concatenate[TimingT, Parameters], Coroutine[Any, Any, StagedT]]:
    """An RPC of a servicer whose time is added to its `times`, under the RPC's name."""

    @wraps(rpc)
    async def call(servicer: TimingT, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> StagedT:
        return await servicer.times.of(rpc.__name__, rpc(servicer, *args, **kwargs))

    return call
