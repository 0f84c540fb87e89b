"""Every error that Diptych raises on purpose, as one tree; knows nothing of gRPC.

    DiptychError
      ConfigurationError          a start that cannot succeed: exit code 2, never on the wire
        ModelDirectoryError       model.toml or weights are missing, damaged or of another shape
      CallError                   a call that ends with a status code
        InvalidArgumentError      the caller can mend it; names field and limit
        FailedPreconditionError   right in itself, wrong for this state
          SpaceMismatchError      an encoding of another joint space
        OverloadedError           too much work ahead; says when to come back
        DeadlineExceededError     no answer within the caller's deadline
        UnavailableError          trying another replica, or later, helps
        CallCancelledError        the caller left
        InternalError             a defect of ours, the model's NaN outputs among them
        ... and one class for each further code, for what others send us

Those raised on purpose carry a `Reason`; `shared/codes.py` explains each.
"""

from __future__ import annotations

import copyreg
from typing import Any, ClassVar

from shared.codes import Code, Reason


class DiptychError(Exception):
    """Root of the tree; `str(error)` is one line for a person."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Crosses to another process as it is, not by way of an `__init__` that wants other arguments than `args`."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class ConfigurationError(DiptychError):
    """The process cannot start as it is configured."""


class ModelDirectoryError(ConfigurationError):
    """A model directory that cannot be served; the message names file, key, expected and found."""


MESSAGE_BYTES = 1000
"""The longest message of a call's end, as UTF-8: it travels, three times at the worst, in an HTTP header, and many
clients take 8 KiB of those."""


class CallError(DiptychError):
    """A call's end other than OK; `reason` is None where another program named none."""

    code: ClassVar[Code] = Code.UNKNOWN

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(_shortened(message))
        self.reason = reason


def _shortened(message: str) -> str:
    """Without its middle where it is too long: it may quote what the caller sent."""
    if len(message) <= MESSAGE_BYTES // 4:
        return message
    coded = message.encode(errors="surrogatepass")  # it may name a file whose name is no UTF-8
    if len(coded) <= MESSAGE_BYTES:
        return message
    half = MESSAGE_BYTES // 2 - 2
    return f"{coded[:half].decode(errors='ignore')}…{coded[-half:].decode(errors='ignore')}"


class InvalidArgumentError(CallError):
    """The request is wrong; `field` is its path, such as `images[3]`, empty when unknown."""

    code = Code.INVALID_ARGUMENT

    def __init__(self, message: str, *, reason: Reason | None = None, field: str = "") -> None:
        super().__init__(message, reason=reason)
        self.field = field


class FailedPreconditionError(CallError):
    """The request does not fit the state of the service."""

    code = Code.FAILED_PRECONDITION


class SpaceMismatchError(FailedPreconditionError):
    """An encoding of one space for a model of another."""

    def __init__(self, *, got: str, served: str) -> None:
        message = f"the encoding is of space {got!r}; this model works in space {served!r}"
        super().__init__(message, reason=Reason.SPACE_MISMATCH)


class OverloadedError(CallError):
    """Refused at once because of work ahead; with no time to come back by a limit of gRPC's own, which stays."""

    code = Code.RESOURCE_EXHAUSTED

    def __init__(self, message: str, *, reason: Reason | None = None, retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, reason=reason)
        self.retry_after_seconds = retry_after_seconds


class DeadlineExceededError(CallError):
    """The caller's deadline passed, or cannot be met even by an idle server."""

    code = Code.DEADLINE_EXCEEDED


class UnavailableError(CallError):
    """Not here, not now: starting, draining, or the model process is lost."""

    code = Code.UNAVAILABLE


class CallCancelledError(CallError):
    """The caller cancelled."""

    code = Code.CANCELLED


class InternalError(CallError):
    """A defect on our side."""

    code = Code.INTERNAL


class UnknownError(CallError):
    """A code or an exception that says nothing."""

    code = Code.UNKNOWN


class NotFoundError(CallError):
    """The thing named does not exist."""

    code = Code.NOT_FOUND


class AlreadyExistsError(CallError):
    """The thing to make exists."""

    code = Code.ALREADY_EXISTS


class PermissionDeniedError(CallError):
    """The caller may not."""

    code = Code.PERMISSION_DENIED


class AbortedError(CallError):
    """Given up because of something concurrent."""

    code = Code.ABORTED


class OutOfRangeError(CallError):
    """Past the end."""

    code = Code.OUT_OF_RANGE


class UnimplementedError(CallError):
    """The server has no such method."""

    code = Code.UNIMPLEMENTED


class DataLossError(CallError):
    """Data lost for good."""

    code = Code.DATA_LOSS


class UnauthenticatedError(CallError):
    """The caller is not known."""

    code = Code.UNAUTHENTICATED


CALL_ERRORS: dict[Code, type[CallError]] = {
    error.code: error
    for error in (
        CallCancelledError,
        UnknownError,
        InvalidArgumentError,
        DeadlineExceededError,
        NotFoundError,
        AlreadyExistsError,
        PermissionDeniedError,
        OverloadedError,
        FailedPreconditionError,
        AbortedError,
        OutOfRangeError,
        UnimplementedError,
        InternalError,
        UnavailableError,
        DataLossError,
        UnauthenticatedError,
    )
}
"""The class for each code; a test holds it total."""
