"""Our errors as connectrpc's, with the same code, words and google.rpc details."""

from __future__ import annotations

from connectrpc.code import Code as ConnectCode
from connectrpc.errors import ConnectError, ErrorDetail
from google.protobuf.message import Message
from protobuf.wkt import Any as PackedDetail

from shared.codes import Code
from shared.errors import CallError
from shared.rpc.status import error_details


def connect_error(error: CallError) -> ConnectError:
    """The error as connectrpc raises it."""
    code = ConnectCode.CANCELED if error.code is Code.CANCELLED else ConnectCode[error.code.name]
    return ConnectError(code, str(error), [_packed(detail) for detail in error_details(error)])


def _packed(detail: Message) -> ErrorDetail:
    url = f"type.googleapis.com/{detail.DESCRIPTOR.full_name}"
    return ErrorDetail(PackedDetail(type_url=url, value=detail.SerializeToString()))
