"""Reasons are a promise: within v1 a name keeps its code, and none goes."""

from __future__ import annotations

import re

from shared.codes import Code, Reason

PROMISED = {
    Code.INVALID_ARGUMENT: {
        "MALFORMED_MESSAGE",
        "METADATA_INVALID",
        "FIELD_MISSING",
        "TEXT_TOO_LONG",
        "TOO_MANY_ITEMS",
        "REQUEST_TOO_LARGE",
        "FIELD_INVALID",
        "LANGUAGE_UNKNOWN",
        "IMAGE_UNREADABLE",
        "IMAGE_DAMAGED",
        "IMAGE_TOO_LARGE",
        "ENCODING_INVALID",
    },
    Code.FAILED_PRECONDITION: {"SPACE_MISMATCH", "SPACE_NOT_SERVED"},
    Code.UNAUTHENTICATED: {"KEY_MISSING", "KEY_UNKNOWN", "KEY_EXPIRED"},
    Code.PERMISSION_DENIED: {"SCOPE_MISSING"},
    Code.RESOURCE_EXHAUSTED: {"QUEUE_FULL", "QUEUE_TOO_LONG", "RATE_LIMITED", "CONCURRENCY_LIMITED"},
    Code.DEADLINE_EXCEEDED: {"DEADLINE_PASSED", "DEADLINE_TOO_SHORT"},
    Code.UNAVAILABLE: {"NO_REPLICA", "NO_COMMON_SPACE", "NOT_SERVING", "MODEL_LOST", "GATEWAY_UNREACHABLE"},
    Code.INTERNAL: {"MODEL_OUTPUT_INVALID", "DEFECT"},
}
"""What programs may rely on; a new reason is added here, and an entry is never changed."""


def test_no_promised_reason_is_gone_or_has_another_code() -> None:
    assert {code: {each.name for each in Reason if each.code is code} for code in PROMISED} == PROMISED
    assert {each.code for each in Reason} == set(PROMISED)


def test_no_two_reasons_are_one() -> None:
    """Members of an enum with equal values would be aliases of each other."""
    assert len(Reason.__members__) == len(list(Reason))


def test_names_are_as_google_asks_of_an_error_reason() -> None:
    for each in Reason:
        assert re.fullmatch(r"[A-Z][A-Z0-9_]+[A-Z0-9]", each.name) and len(each.name) <= 63
