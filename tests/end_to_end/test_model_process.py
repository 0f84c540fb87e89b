"""A model process that is killed or hangs costs its batch and is replaced; twice in a row ends the service."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import grpc
import psutil

from tests.end_to_end.calls import Connect, encode, refusal, until
from tests.end_to_end.frozen import admitted
from tests.end_to_end.servers import NOT_SERVING, SERVING, Launcher, Server, wait_until

RESTARTS = "diptych_model_process_restarts_total"


async def test_killed_model_process_fails_its_batch_with_unavailable_and_is_replaced(
    launcher: Launcher, connect: Connect
) -> None:
    server = launcher.service("text")
    await asyncio.to_thread(server.wait_serving)
    stubs = connect(server)
    before = await encode(stubs, "a cat")
    assert server.metrics().total(RESTARTS) == 0

    killed = server.model_pid()
    os.kill(killed, signal.SIGSTOP)
    in_batch = encode(stubs, "a cat")
    await admitted(server, in_batch=1, waiting=0)
    waiting = encode(stubs, "a dog", "a house")
    await admitted(server, in_batch=1, waiting=2)
    os.kill(killed, signal.SIGKILL)

    end = await refusal(in_batch)
    assert end.code == grpc.StatusCode.UNAVAILABLE
    assert "model process" in end.message
    assert server.health() == NOT_SERVING
    await asyncio.to_thread(server.wait_serving)
    assert server.metrics().total(RESTARTS) == 1
    assert server.model_pid() != killed
    assert len((await waiting).encodings) == 2  # it was not in the batch: only late, not lost
    assert (await encode(stubs, "a cat")).encodings == before.encodings


async def test_idle_model_process_that_is_killed_is_replaced_before_a_call_meets_it(
    light_launcher: Launcher, connect: Connect
) -> None:
    server = light_launcher.service("generation")
    await asyncio.to_thread(server.wait_serving)

    server.signal_model(signal.SIGKILL)

    await until(lambda: server.health() == NOT_SERVING, "health tells of the loss")
    await until(lambda: server.health() == SERVING, "the service is back")
    assert server.metrics().total(RESTARTS) == 1


async def test_model_process_that_hangs_is_killed_and_replaced(light_launcher: Launcher, connect: Connect) -> None:
    server = light_launcher.service("text", hang_timeout_seconds=4.0)
    await asyncio.to_thread(server.wait_serving)
    hanging = server.model_pid()
    os.kill(hanging, signal.SIGSTOP)

    end = await refusal(encode(connect(server), "a cat"))

    assert end.code == grpc.StatusCode.UNAVAILABLE
    assert "hung for 4 s" in end.message
    await asyncio.to_thread(server.wait_serving)
    assert not psutil.pid_exists(hanging)
    assert (await encode(connect(server), "a cat")).encodings


async def test_model_process_that_fails_twice_in_a_row_ends_the_service_with_1_and_a_line(launcher: Launcher) -> None:
    server = launcher.service("captioning")
    await asyncio.to_thread(server.wait_serving)

    first = server.model_pid()
    os.kill(first, signal.SIGKILL)
    await until(lambda: successor(server, first), "another model process loads")
    while server.popen.poll() is None:
        with suppress(psutil.Error, ProcessLookupError):
            for child in psutil.Process(server.pid).children():
                child.kill()
        await asyncio.sleep(0.01)

    assert server.popen.returncode == 1
    errors = [line for line in server.log.read_text().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "services.captioning.predictor:load" in errors[0]
    assert "signal 9" in errors[0]
    assert "Traceback" not in server.log.read_text()


def successor(server: Server, of: int) -> bool:
    """Whether the service has another model process."""
    with suppress(psutil.NoSuchProcess, ValueError):
        return server.model_pid() != of
    return False


def test_model_process_ends_with_a_service_that_is_killed(light_launcher: Launcher) -> None:
    server = light_launcher.service("classification")
    server.wait_serving()
    model = psutil.Process(server.model_pid())
    model.suspend()  # as if it were deep in a batch

    server.kill()

    assert psutil.wait_procs([model], timeout=10.0) == ([model], [])


def test_model_process_ends_with_a_service_that_is_killed_while_the_model_loads(launcher: Launcher) -> None:
    server = launcher.service("text")
    parent = psutil.Process(server.pid)
    wait_until(parent.children, "the model process is spawned")
    [model] = parent.children()

    server.kill()

    assert psutil.wait_procs([model], timeout=20.0) == ([model], [])
