"""gRPC with messages that are put together by hand: the peers' protocols without their packages."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc

from tests.benchmarks.diptych_client import ENDINGS
from tests.benchmarks.load.client import Ending
from tests.benchmarks.peers.served.options import MODEL
from tests.benchmarks.peers.transport import Send

MICROSECONDS = 1_000_000


def varint(value: int) -> bytes:
    """As Protocol Buffers write numbers."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def field(number: int, value: bytes) -> bytes:
    """A field of bytes, a string or a message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def integer(number: int, value: int) -> bytes:
    """A field of a number."""
    return varint(number << 3) + varint(value)


# inference.ModelInferRequest of KServe's protocol: model_name 1, parameters 4, inputs 5, raw_input_contents 7; an input
# has name 1, datatype 2 and shape 3.
def _tensor(shape: tuple[int, ...]) -> bytes:
    return field(5, field(1, b"payload") + field(2, b"BYTES") + field(3, bytes(shape)))


_TRITON = field(1, MODEL.encode()) + _tensor((1, 1))
_MLSERVER = field(1, MODEL.encode()) + _tensor((1,))


def _raw(payload: bytes) -> bytes:
    return field(7, struct.pack("<I", len(payload)) + payload)


def _triton(payload: bytes, seconds: float | None) -> bytes:
    """With Triton's own time-out: how long the request may wait in its queue."""
    if seconds is None:
        return _TRITON + _raw(payload)
    timeout = field(1, b"timeout") + field(2, integer(2, int(seconds * MICROSECONDS)))
    return _TRITON + field(4, timeout) + _raw(payload)


def _mlserver(payload: bytes, seconds: float | None) -> bytes:
    return _MLSERVER + _raw(payload)


_TORCHSERVE = field(1, MODEL.encode())


def _torchserve(payload: bytes, seconds: float | None) -> bytes:
    """PredictionsRequest: model_name 1, and input 3, a map to bytes."""
    return _TORCHSERVE + field(3, field(1, b"body") + field(2, payload))


def _bare(payload: bytes, seconds: float | None) -> bytes:
    return payload


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """A method and its requests."""

    method: str
    request: Callable[[bytes, float | None], bytes]
    """From the payload and the seconds that are left to a message."""
    refusal: str = ""
    """What an INTERNAL error says that means a full queue."""


KSERVE = "/inference.GRPCInferenceService/ModelInfer"
RPCS: Mapping[str, Rpc] = {
    "pytriton": Rpc(method=KSERVE, request=_triton),
    "mlserver": Rpc(method=KSERVE, request=_mlserver),
    "torchserve": Rpc(
        method="/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions",
        request=_torchserve,
        refusal="no worker to serve",
    ),
    "ray": Rpc(method="/peers.Reference/Answer", request=_bare),
}
"""By server."""


@asynccontextmanager
async def rpc(address: str, *, server: str) -> AsyncIterator[Send]:
    """One channel, as Diptych's client has."""
    chosen = RPCS[server]
    async with grpc.aio.insecure_channel(address) as channel:
        call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(chosen.method)

        async def send(payload: bytes, seconds: float | None) -> tuple[Ending, bytes]:
            try:
                return Ending.ANSWERED, await call(chosen.request(payload, seconds), timeout=seconds)
            except grpc.aio.AioRpcError as error:
                ending = ENDINGS.get(error.code())
                if ending is None and chosen.refusal and chosen.refusal in (error.details() or ""):
                    ending = Ending.REFUSED
                if ending is None:
                    raise
                return ending, b""

        yield send
