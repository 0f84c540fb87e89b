"""What surrounds a call of the Python client: retries, deadlines, and the key that nobody may see."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from gateway.client import AsyncDiptych, Diptych
from gateway.client.retries import FIRST_PAUSE_SECONDS, Attempts, GatewayUnreachableError
from shared.codes import Reason
from shared.errors import (
    CallError,
    ConfigurationError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    OverloadedError,
    UnavailableError,
)
from shared.rpc import metadata
from tests.gateway.fake_gateway import Running, running_gateway
from tests.ports import free_port

KEY = "s3cr3t-key"


@pytest.fixture
def gateway(fake_gateway: Running) -> Running:
    """A gateway that has seen nothing yet."""
    return fake_gateway


def _busy(seconds: float) -> OverloadedError:
    return OverloadedError("queue is full", reason=Reason.QUEUE_FULL, retry_after_seconds=seconds)


def _down() -> UnavailableError:
    return UnavailableError("text: no replica is serving", reason=Reason.NO_REPLICA)


def test_busy_gateway_is_asked_again_after_the_time_it_said(gateway: Running) -> None:
    gateway.behaviour.errors = [_busy(0.2), _busy(0.2)]
    begin = time.monotonic()
    with Diptych(gateway.address) as diptych:
        assert diptych.encode_text("cat")
    assert time.monotonic() - begin >= 0.4
    assert len(gateway.behaviour.calls) == 3


async def test_awaited_client_retries_as_well(gateway: Running) -> None:
    gateway.behaviour.errors = [_busy(0.05), _down()]
    async with AsyncDiptych(gateway.address) as diptych:
        assert await diptych.encode_text("cat")
    assert len(gateway.behaviour.calls) == 3


@pytest.mark.parametrize("retries", [0, 2])
def test_retries_end_and_the_last_error_is_told(gateway: Running, retries: int) -> None:
    gateway.behaviour.errors = [_busy(0.01)] * 9
    with Diptych(gateway.address, retries=retries) as diptych, pytest.raises(OverloadedError) as caught:
        diptych.encode_text("cat")
    assert (caught.value.reason, caught.value.retry_after_seconds) == (Reason.QUEUE_FULL, 0.01)
    assert len(gateway.behaviour.calls) == retries + 1


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgumentError("no", reason=Reason.FIELD_INVALID, field="prompt"),
        OverloadedError("the message is too large"),
        InternalError("oops", reason=Reason.DEFECT),
    ],
)
def test_what_would_fail_again_is_not_tried_again(gateway: Running, error: CallError) -> None:
    gateway.behaviour.errors = [error] * 2
    with Diptych(gateway.address) as diptych, pytest.raises(type(error)):
        diptych.encode_text("cat")
    assert len(gateway.behaviour.calls) == 1


def test_retry_that_would_miss_the_deadline_is_not_waited_for(gateway: Running) -> None:
    gateway.behaviour.errors = [_busy(90.0)]
    begin = time.monotonic()
    with Diptych(gateway.address, timeout=60.0) as diptych, pytest.raises(OverloadedError):
        diptych.encode_text("cat")
    assert time.monotonic() - begin < 30.0


def test_each_attempt_gets_what_is_left_of_the_deadline(gateway: Running) -> None:
    gateway.behaviour.errors = [_busy(0.3)]
    with Diptych(gateway.address, timeout=9.0) as diptych:
        diptych.encode_text("cat")
    first, second = (call.remaining_seconds for call in gateway.behaviour.calls)
    assert second <= first - 0.25


@pytest.mark.parametrize("streamed", [False, True])
def test_slow_answer_ends_with_the_deadline_and_says_whose(gateway: Running, streamed: bool) -> None:
    gateway.behaviour.delay_seconds = 1.0
    with Diptych(gateway.address, timeout=0.2) as diptych, pytest.raises(DeadlineExceededError) as caught:
        list(diptych.stream_text_to_image("cat") if streamed else diptych.text_to_image("cat"))
    assert str(caught.value) == f"no answer from {gateway.address} within 0.2 s"
    assert caught.value.reason is Reason.DEADLINE_PASSED


def test_gateway_that_comes_back_is_found_by_the_next_attempt() -> None:
    port = free_port()
    with Diptych(f"127.0.0.1:{port}", retries=8) as diptych:
        answers: list[object] = []
        caller = threading.Thread(target=lambda: answers.append(diptych.encode_text("cat")))
        caller.start()
        time.sleep(0.3)  # not waited for: it only makes the first attempts fail
        with running_gateway(port=port):
            caller.join(20)
    assert answers


def test_no_gateway_is_an_error_of_its_own() -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    with Diptych(nowhere, retries=1) as diptych, pytest.raises(GatewayUnreachableError) as caught:
        diptych.encode_text("cat")
    assert str(caught.value) == f"no gateway answers at {nowhere} (connection refused)"


def test_stream_is_tried_again_before_its_first_picture_only(gateway: Running) -> None:
    gateway.behaviour.errors = [_down()]
    with Diptych(gateway.address) as diptych:
        assert len(list(diptych.stream_text_to_image("cat", count=2))) == 2
        gateway.behaviour.break_after = 1
        stream = diptych.stream_text_to_image("cat", count=2)
        assert next(stream)[0] == 1
        before = len(gateway.behaviour.calls)
        with pytest.raises(UnavailableError, match="generation: lost"):
            next(stream)
    assert len(gateway.behaviour.calls) == before


async def test_awaited_stream_that_breaks_raises_after_what_came(gateway: Running) -> None:
    gateway.behaviour.break_after = 1
    async with AsyncDiptych(gateway.address) as diptych:
        stream = diptych.stream_text_to_image("cat", count=2)
        assert (await anext(stream))[0] == 1
        with pytest.raises(UnavailableError, match="generation: lost"):
            await anext(stream)


def test_key_and_caller_arrive_and_are_in_no_text(gateway: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    gateway.behaviour.errors = [InternalError("oops", reason=Reason.DEFECT)]
    with Diptych(gateway.address, key=KEY, caller="tester") as diptych:
        with pytest.raises(InternalError) as caught:
            diptych.encode_text("cat")
        diptych.encode_text("cat")
        told = f"{diptych!r} {vars(diptych)!r} {caught.value!r} {caught.value} {caplog.text}"
    sent = gateway.behaviour.calls[1].metadata
    assert (sent["authorization"], sent[metadata.CALLER]) == (f"Bearer {KEY}", "tester")
    assert KEY not in told


def test_no_key_sends_none(gateway: Running) -> None:
    with Diptych(gateway.address) as diptych:
        diptych.encode_text("cat")
    assert "authorization" not in gateway.behaviour.calls[0].metadata


@pytest.mark.parametrize("key", ["s3cr3t\nkey", "s3cr3t-ключ"])
def test_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Diptych(key=key)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "terms",
    [{"timeout": 0.0}, {"timeout": float("nan")}, {"timeout": float("inf")}, {"timeout": 86401}, {"retries": -1}],
)
def test_terms_that_cannot_be_are_refused(terms: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="it must be"):
        Diptych(**terms)  # type: ignore[arg-type]


def test_defect_is_told_with_the_id_that_the_log_has(gateway: Running) -> None:
    gateway.behaviour.errors = [InternalError("oops", reason=Reason.DEFECT)]
    with Diptych(gateway.address) as diptych, pytest.raises(InternalError, match=r"oops \(x-request-id req-1\)"):
        diptych.encode_text("cat")


def test_pauses_double_with_chance_and_stay_below_a_limit() -> None:
    for chance, factor in ((0.0, 1.0), (1.0, 0.5)):
        attempts = Attempts(1000.0, 9, clock=lambda: 0.0, chance=lambda chance=chance: chance)  # type: ignore[misc]
        pauses = [attempts.pause_seconds(_down()) for _ in range(7)]
        expected = [factor * min(FIRST_PAUSE_SECONDS * 2**n, 5.0) for n in range(7)]
        assert pauses == pytest.approx(expected)


@pytest.mark.parametrize("reason", [Reason.RATE_LIMITED, Reason.CONCURRENCY_LIMITED])
def test_limit_of_ones_own_key_is_waited_for_as_long_as_there_is_time(reason: Reason) -> None:
    now = 0.0
    limited = OverloadedError("slowly", reason=reason, retry_after_seconds=1.0)
    attempts = Attempts(60.0, 1, clock=lambda: now, chance=lambda: 0.0)
    while now < 58:
        now += attempts.pause_seconds(limited)
    assert attempts.pause_seconds(_busy(1.0)) == 1.0  # a busy gateway is asked once more only
    with pytest.raises(OverloadedError):
        attempts.pause_seconds(_busy(1.0))
    now = 59.5
    with pytest.raises(OverloadedError):
        attempts.pause_seconds(limited)
    with pytest.raises(OverloadedError):
        Attempts(60.0, 0).pause_seconds(limited)
