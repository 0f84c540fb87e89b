"""Spans of calls between servers, named and described by OpenTelemetry's conventions for RPC.

https://opentelemetry.io/docs/specs/semconv/rpc/. Nothing here imports OpenTelemetry unless an endpoint is set.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pool

from diptych.types.v1 import model_pb2
from shared.codes import FAULTS, Code, Reason
from shared.errors import ConfigurationError
from shared.rpc.context import CallContext
from shared.settings import ServerSettings
from shared.version import diptych_version

if TYPE_CHECKING:  # it imports OpenTelemetry, which is there only where traces are wanted
    from shared.tracing import Span, Tracer

OK = 0
"""The status code of a call that is answered; `Code` has those of the others."""


def open_tracer(settings: ServerSettings, services: Sequence[str]) -> Tracer | None:
    """What makes the spans of a server; None where no endpoint is set.

    Args:
        settings: of the server.
        services: full names of its services: `diptych.text.v1.TextEncodingService` is told as `diptych-text`.

    Raises:
        ConfigurationError: the packages for it are not installed.
    """
    if not settings.traces_endpoint:
        return None
    try:
        from shared.tracing import Tracer  # here, so that a server without traces needs no extra
    except ImportError as error:
        message = f"DIPTYCH_TRACES_ENDPOINT is set, and traces cannot be made: {error}; pip install 'diptych[tracing]'"
        raise ConfigurationError(message) from error
    package = services[0].split(".")[:-2] if services else ["diptych"]
    return Tracer(
        settings.traces_endpoint,
        sample_ratio=settings.traces_sample_ratio,
        resource={
            "service.name": "-".join(package),
            "service.version": diptych_version(),
            "service.instance.id": str(uuid.uuid4()),
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        },
    )


@cache
def method_of(request: str) -> str:
    """The method, `package.Service/Method`, that takes messages of this full name; each has its own type of them."""
    asked = descriptor_pool.Default().FindMessageTypeByName(request)
    [method] = (
        f"{service.full_name}/{each.name}"
        for service in asked.file.services_by_name.values()
        for each in service.methods
        if each.input_type.full_name == request
    )
    return method


def rpc_attributes(method: str, system: str) -> dict[str, str | int]:
    """Of a call of `package.Service/Method` over the RPC system `grpc` or `connect_rpc`."""
    service, _, name = method.rpartition("/")
    return {"rpc.system": system, "rpc.service": service, "rpc.method": name}


def peer_attributes(address: str, model: model_pb2.Model | None) -> dict[str, str | int]:
    """Who is called: a replica at `host:port`, and its model where that is known."""
    host, _, port = address.rpartition(":")
    attributes: dict[str, str | int] = {"server.address": host.strip("[]"), "server.port": int(port)}
    if model is not None:
        attributes |= {
            "diptych.model.name": model.name,
            "diptych.model.version": model.version,
            "diptych.model.space": model.space,
        }
    return attributes


def start_server_span(tracer: Tracer, method: str, system: str, call: CallContext) -> Span:
    """The span of a call that is handled here, below that of its caller; not recorded where it is not sampled."""
    attributes = {**rpc_attributes(method, system), "diptych.request_id": call.request_id}
    return tracer.start(method, "server", parent=call.trace, attributes=attributes)


def end_server_span(call: CallContext, system: str, code: Code | None, reason: Reason | None) -> None:
    """Ends the span of a call that was handled here, if it has one; `code` is None if it was answered."""
    if call.span is None:
        return
    call.span.set({"diptych.priority": call.priority, "diptych.items": call.facts.items if call.facts else 0})
    _end(call.span, system, code, reason, error=code in FAULTS)


def end_client_span(span: Span, code: Code | None, reason: Reason | None) -> None:
    """Ends the span of a call that was made from here: whatever is no answer is an error."""
    _end(span, "grpc", code, reason, error=code is not None)


def _end(span: Span, system: str, code: Code | None, reason: Reason | None, *, error: bool) -> None:
    attributes: dict[str, str | int] = {}
    if system == "grpc":
        attributes["rpc.grpc.status_code"] = OK if code is None else code.value
    elif code is not None:
        attributes[f"rpc.{system}.error_code"] = code.name.lower()
    if code is not None:
        attributes["error.type"] = code.name
    if reason is not None:
        attributes["diptych.reason"] = reason.name
    span.set(attributes)
    word = reason or code
    span.end(error=word.name if error and word is not None else None)
