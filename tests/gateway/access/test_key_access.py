"""Who is let in, as whom, and what those are told who are not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from diptych.gateway.v1 import gateway_pb2
from gateway.access.key_access import SCOPE_OF, KeyAccess
from gateway.access.keys import SCOPES, Key, KeyRing, new_key
from gateway.metrics import AccessMetrics
from shared.codes import Code, Reason
from shared.errors import CallError, OverloadedError
from shared.rpc.access import Entries, no_identity
from shared.rpc.context import CallContext
from tests.gateway.access.given_keys import bearer, key_of

SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["GatewayService"]
PAINT, DESCRIBE = f"{SERVICE.full_name}/TextToImage", f"{SERVICE.full_name}/ImageToText"
CAPABILITIES = f"{SERVICE.full_name}/GetCapabilities"
NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)


def access(*keys: Key, now: datetime = NOON) -> KeyAccess:
    """Access by these keys, at one moment."""
    return KeyAccess(KeyRing(keys), AccessMetrics(CollectorRegistry()), wall_clock=now.timestamp)


def refusal(to: KeyAccess, entries: Entries, method: str = PAINT, identity: str = "") -> CallError:
    """What a call is told that is not let in; the check ahead of a body tells the same."""
    with pytest.raises(CallError) as caught:
        to.check(method, entries, lambda: identity)
    with pytest.raises(CallError) as again, to.admit(CallContext(), method, entries, lambda: identity):
        pass
    assert (str(again.value), again.value.reason) == (str(caught.value), caught.value.reason)
    return caught.value


def test_every_method_has_a_scope_or_is_for_everybody_with_a_key() -> None:
    assert set(SCOPE_OF) == {f"{SERVICE.full_name}/{method.name}" for method in SERVICE.methods}
    assert set(SCOPE_OF.values()) == {*SCOPES, None}


def test_call_with_a_key_goes_on_in_the_name_of_the_key() -> None:
    secret, key = key_of("shop")
    call = CallContext(request_id="r", caller="somebody-else", priority="batch", deadline=5.0)
    with access(key).admit(call, PAINT, bearer(secret), no_identity) as admitted:
        assert admitted == CallContext(request_id="r", caller="shop", priority="batch", deadline=5.0)


def test_key_for_batches_makes_every_call_one() -> None:
    secret, key = key_of("crawler", priority="batch")
    with access(key).admit(CallContext(), PAINT, bearer(secret), no_identity) as admitted:
        assert admitted.priority == "batch"


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {} "])
def test_header_is_read_as_http_writes_it(header: str) -> None:
    secret, key = key_of("shop")
    access(key).check(PAINT, (("authorization", header.format(secret)),), no_identity)


@pytest.mark.parametrize("value", ["", "Bearer", "Basic {}", "{}", "Bearer{}", "Token {}", b"Bearer {}"])
def test_header_that_holds_no_key_is_as_none(value: str | bytes) -> None:
    secret, key = key_of("shop")
    shown = value.format(secret) if isinstance(value, str) else value
    refused = refusal(access(key), (("authorization", shown),))
    assert refused.code is Code.UNAUTHENTICATED
    assert secret not in str(refused)


def test_call_without_a_key_is_told_that_one_is_wanted() -> None:
    refused = refusal(access(key_of("shop")[1]), (("user-agent", "x"),))
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, Reason.KEY_MISSING)


@pytest.mark.parametrize("wrong", ["", "x", "é", "\x00", "一", "x" * 100_000, "diptych_" + "k" * 43])
def test_unknown_key_is_told_so_and_nothing_of_it(wrong: str) -> None:
    refused = refusal(access(key_of("shop")[1]), bearer(wrong))
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, Reason.KEY_UNKNOWN)
    assert str(refused) == "this gateway does not know the key"


def test_of_a_header_that_stands_twice_the_first_counts() -> None:
    secret, key = key_of("shop")
    access(key).check(PAINT, (*bearer(secret), *bearer("wrong")), no_identity)
    assert refusal(access(key), (*bearer("wrong"), *bearer(secret))).reason is Reason.KEY_UNKNOWN


def test_key_ends_at_the_second_and_only_its_holder_is_told() -> None:
    secret, key = key_of("shop", expires=NOON)
    access(key, now=datetime(2030, 6, 1, 11, 59, 59, tzinfo=UTC)).check(PAINT, bearer(secret), no_identity)
    ended = access(key)
    refused = refusal(ended, bearer(secret))
    assert (refused.code, refused.reason) == (Code.UNAUTHENTICATED, Reason.KEY_EXPIRED)
    assert str(refused) == "key shop expired on 2030-06-01"
    assert refusal(ended, bearer(secret), CAPABILITIES).reason is Reason.KEY_EXPIRED
    never = refusal(access(), bearer(new_key()))
    assert str(refusal(ended, bearer(new_key()))) == str(never)


def test_key_of_other_scopes_is_told_which_are_missing_and_which_it_has() -> None:
    secret, key = key_of("shop", scopes=["generate", "encode"])
    to = access(key)
    to.check(PAINT, bearer(secret), no_identity)
    refused = refusal(to, bearer(secret), DESCRIBE)
    assert (refused.code, refused.reason) == (Code.PERMISSION_DENIED, Reason.SCOPE_MISSING)
    assert str(refused) == "ImageToText needs the scope describe; key shop has generate, encode"


def test_key_without_scopes_may_ask_what_there_is() -> None:
    secret, key = key_of("monitor", scopes=[])
    access(key).check(CAPABILITIES, bearer(secret), no_identity)
    assert str(refusal(access(key), bearer(secret))).endswith("key monitor has none")


def test_certificate_stands_for_a_key_where_none_is_sent() -> None:
    to = access(Key(name="shop", identity="shop.internal", scopes=["generate"]), key_of("other")[1])
    with to.admit(CallContext(), PAINT, (), lambda: "shop.internal") as admitted:
        assert admitted.caller == "shop"
    assert refusal(to, (), DESCRIBE, "shop.internal").reason is Reason.SCOPE_MISSING
    assert refusal(to, (), PAINT, "other").reason is Reason.KEY_MISSING
    assert refusal(to, bearer("wrong"), PAINT, "shop.internal").reason is Reason.KEY_UNKNOWN


def test_limits_of_one_key_touch_no_other() -> None:
    (greedy, first), (modest, second) = key_of("greedy", concurrent_calls=1), key_of("modest", concurrent_calls=1)
    to = access(first, second)
    with to.admit(CallContext(), PAINT, bearer(greedy), no_identity):
        with pytest.raises(OverloadedError), to.admit(CallContext(), PAINT, bearer(greedy), no_identity):
            pass
        with to.admit(CallContext(), PAINT, bearer(modest), no_identity):
            pass
    with to.admit(CallContext(), PAINT, bearer(greedy), no_identity):
        pass


def test_other_keys_are_used_at_once_and_calls_under_way_go_on_and_count() -> None:
    (old, first), (new, second) = key_of("shop", concurrent_calls=1), key_of("shop", concurrent_calls=1)
    to = access(first)
    with to.admit(CallContext(), PAINT, bearer(old), no_identity):
        to.use(KeyRing([second]))
        assert refusal(to, bearer(old)).reason is Reason.KEY_UNKNOWN
        to.check(PAINT, bearer(new), no_identity)
        with pytest.raises(OverloadedError), to.admit(CallContext(), PAINT, bearer(new), no_identity):
            pass
    with to.admit(CallContext(), PAINT, bearer(new), no_identity):
        to.use(KeyRing())
    assert refusal(to, bearer(new)).reason is Reason.KEY_UNKNOWN


def test_a_hundred_thousand_wrong_keys_leave_nothing_behind() -> None:
    to = access(key_of("shop")[1])
    before = {name: len(each) for name, each in vars(to).items() if hasattr(each, "__len__")}
    for number in range(100_000):
        with pytest.raises(CallError):
            to.check(PAINT, bearer(f"diptych_{number:043}"), no_identity)
    assert {name: len(each) for name, each in vars(to).items() if hasattr(each, "__len__")} == before
