"""Status codes, and the reasons behind them: what programs may rely on, and the README's table of errors.

Knows nothing of gRPC; `shared/rpc/status.py` maps `Code` to and from the wire. A reason travels as
`google.rpc.ErrorInfo` (https://google.aip.dev/193), with the domain "diptych".
"""

from __future__ import annotations

import enum


class Code(enum.Enum):
    """The status codes a call can fail with: those of gRPC less OK, by name."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


FAULTS = frozenset(
    {Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAVAILABLE, Code.DATA_LOSS}
)
"""Ends of a call that are the server's fault, as OpenTelemetry has it; the rest are the caller's, or nobody's."""


class Reason(enum.Enum):
    """Why a call failed, more closely than its code says; the names are part of the interface."""

    MALFORMED_MESSAGE = (
        Code.INVALID_ARGUMENT,
        "the bytes are no message of this method, or a string in it is not UTF-8",
        "use the .proto files of this version; send text as UTF-8",
    )
    METADATA_INVALID = (
        Code.INVALID_ARGUMENT,
        "a metadata value of ours is too long, is not printable ASCII, or is not one of the known values",
        "see the table of metadata",
    )
    FIELD_MISSING = (
        Code.INVALID_ARGUMENT,
        "a field is empty or blank that must not be: no prompt, no picture, a file of 0 bytes",
        "fill the field that the message names",
    )
    TEXT_TOO_LONG = (
        Code.INVALID_ARGUMENT,
        "a prompt, text or label has too many characters",
        "shorten it; GetCapabilities tells the limit",
    )
    TOO_MANY_ITEMS = (
        Code.INVALID_ARGUMENT,
        "too many texts, pictures, seeds, candidates, labels or encodings in one call",
        "split the call; GetCapabilities tells the limits",
    )
    REQUEST_TOO_LARGE = (
        Code.INVALID_ARGUMENT,
        "far more texts, numbers, encodings or characters than any call takes; the request was not even read",
        "split the call; GetCapabilities tells the limits",
    )
    FIELD_INVALID = (
        Code.INVALID_ARGUMENT,
        "a value is out of its range, or does not go with another field: a quality over 100 or for PNG, an unknown "
        "format, more pictures wanted than candidates",
        "the message names field, value and what is allowed",
    )
    LANGUAGE_UNKNOWN = (
        Code.INVALID_ARGUMENT,
        "the model has no words in this language",
        "take one of those that the message names",
    )
    IMAGE_UNREADABLE = (
        Code.INVALID_ARGUMENT,
        "the file is no picture of a known format, whatever its name says",
        "send PNG, JPEG, WebP, GIF or BMP",
    )
    IMAGE_DAMAGED = (
        Code.INVALID_ARGUMENT,
        "the file begins as a picture and cannot be decoded: truncated or corrupt",
        "send the whole file; write it again from its source",
    )
    IMAGE_TOO_LARGE = (
        Code.INVALID_ARGUMENT,
        "the file has too many bytes, pixels a side or in all, parts, or JPEG scans",
        "scale it down, or save it anew; the models see 128 x 128 pixels anyway",
    )
    ENCODING_INVALID = (
        Code.INVALID_ARGUMENT,
        "an encoding has another length than the model's space, no tokens where they are needed, is zero, or holds NaN "
        "or infinity",
        "pass on what EncodeText, EncodeImage or ClassifyImage returned, unchanged",
    )
    SPACE_MISMATCH = (
        Code.FAILED_PRECONDITION,
        "an encoding is of another joint space than the model's",
        "encode again with models of that space",
    )
    SPACE_NOT_SERVED = (
        Code.FAILED_PRECONDITION,
        "no replica serves the joint space that the request asks for",
        "ask for none, or for one that GetCapabilities names",
    )
    KEY_MISSING = (
        Code.UNAUTHENTICATED,
        "the gateway wants a key, and the call has none",
        "send the metadata `authorization: Bearer KEY` (--key, DIPTYCH_KEY, key=); ask who runs the gateway for a key",
    )
    KEY_UNKNOWN = (
        Code.UNAUTHENTICATED,
        "nobody has this key: it is mistyped, of another gateway, or not valid any more",
        "see that it is whole; ask who runs the gateway for another",
    )
    KEY_EXPIRED = (
        Code.UNAUTHENTICATED,
        "the key was valid until a day that has passed",
        "ask who runs the gateway for another",
    )
    SCOPE_MISSING = (
        Code.PERMISSION_DENIED,
        "the key is for other calls",
        "ask who runs the gateway for the scope that the message names",
    )
    RATE_LIMITED = (
        Code.RESOURCE_EXHAUSTED,
        "the key has used up its calls or pictures a second; other keys are not affected",
        "wait as long as RetryInfo says; send fewer at once",
    )
    CONCURRENCY_LIMITED = (
        Code.RESOURCE_EXHAUSTED,
        "the key has as many calls under way as it may",
        "wait for one of them to end; RetryInfo says when to look again",
    )
    QUEUE_FULL = (
        Code.RESOURCE_EXHAUSTED,
        "as many items or bytes wait as the service takes; in a full queue, whoever has most of it gives way to others",
        "wait as long as RetryInfo says; if it lasts, add replicas",
    )
    QUEUE_TOO_LONG = (
        Code.RESOURCE_EXHAUSTED,
        "the work ahead takes longer than the deadline leaves",
        "wait as long as RetryInfo says, allow more time, or add replicas",
    )
    DEADLINE_PASSED = (
        Code.DEADLINE_EXCEEDED,
        "no answer within the deadline",
        "allow more time, or send less a call",
    )
    DEADLINE_TOO_SHORT = (
        Code.DEADLINE_EXCEEDED,
        "even an idle server could not answer in time",
        "allow more time; the message says how much it takes",
    )
    NO_REPLICA = (
        Code.UNAVAILABLE,
        "no replica of a model service serves; the message names the service and says why, address by address",
        "start it, or wait; `diptych status` shows what is up",
    )
    NO_COMMON_SPACE = (
        Code.UNAVAILABLE,
        "every service serves, but no joint space is served by all that the call needs",
        "start models that were trained together; during a rollout, keep old ones until each service has a new one",
    )
    GATEWAY_UNREACHABLE = (
        Code.UNAVAILABLE,
        "nothing answers at the gateway's address; told by our own clients, which found nobody",
        "start a gateway with `diptych up`, or check the address",
    )
    NOT_SERVING = (
        Code.UNAVAILABLE,
        "the replica is starting, stopping, or starting its model again",
        "retry: another replica, or a moment, helps",
    )
    MODEL_LOST = (
        Code.UNAVAILABLE,
        "the model process died or hung with this call in its batch",
        "retry; if the same request does it again, tell us",
    )
    MODEL_OUTPUT_INVALID = (
        Code.INTERNAL,
        "the model failed on this item, or its output holds NaN or infinity",
        "try another input or seed; check the model in fp32; the log has more under the call's x-request-id",
    )
    DEFECT = (
        Code.INTERNAL,
        "a defect of ours",
        "find the call's x-request-id in the server's log, and tell us",
    )

    def __init__(self, code: Code, cause: str, remedy: str) -> None:
        self.code = code
        self.cause = cause
        self.remedy = remedy
