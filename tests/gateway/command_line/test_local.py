"""The whole platform as processes, with fakes for model services: it works, it heals, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gateway.client import AsyncDiptych
from gateway.command_line.local import SERVER_NAMES, LocalPlatform, choose_ports
from gateway.command_line.processes import ProcessFailedError
from gateway.command_line.up import playground_installed
from shared.errors import ConfigurationError
from tests.gateway.fake_platform import FAKE_MODULES
from tests.ports import free_platform


def _platform(
    folder: Path, modules: dict[str, tuple[str, ...]] = FAKE_MODULES, replicas: dict[str, int] | None = None
) -> LocalPlatform:
    return LocalPlatform(
        ports=free_platform(replicas)[1],
        log_directory=folder,
        environment={"DIPTYCH_REPLICA_WAIT_SECONDS": "20"},
        models={},
        on_line=lambda name, line: None,
        on_event=lambda name, line: None,
        modules=modules,
    )


async def test_platform_serves_a_picture_and_leaves_no_process(tmp_path: Path) -> None:
    serving: list[str] = []
    async with _platform(tmp_path) as platform:
        await platform.run(platform.wait_until_serving(lambda name, status: serving.append(name)))
        async with AsyncDiptych(platform.addresses["gateway"], timeout=20) as diptych:
            answer = await diptych.text_to_image("a cat", seed=7)
        pids = [process.pid for process in platform.processes.values()]
    assert answer[0].seed == 7
    assert set(serving) == set(SERVER_NAMES)
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert sorted(os.listdir(tmp_path)) == sorted(f"{name}.log" for name in SERVER_NAMES)


async def test_gateway_sees_every_replica_and_each_is_tied_to_it(tmp_path: Path) -> None:
    async with _platform(tmp_path, replicas={"classification": 3}) as platform:
        await platform.run(platform.wait_until_serving(lambda name, status: None))
        names = ("classification", "classification-2", "classification-3")
        async with AsyncDiptych(platform.addresses["gateway"], timeout=20) as diptych:
            [seen] = [each for each in (await diptych.capabilities()).services if each.name == "classification"]
        assert {each.address for each in seen.replicas} == {platform.addresses[name] for name in names}
        pids = [platform.processes[name].pid for name in names]
    assert len(set(pids)) == 3
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)


async def test_what_exposed_servers_are_set_to_is_not_handed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is plain text on loopback; five servers could not listen on one health port either."""
    for name in ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "SERVICES_CA"):
        monkeypatch.setenv(f"DIPTYCH_{name}", "nowhere.pem")
    monkeypatch.setenv("DIPTYCH_HEALTH_PORT", "50059")
    async with _platform(tmp_path) as platform:
        await platform.run(platform.wait_until_serving(lambda name, status: None))
        async with AsyncDiptych(platform.addresses["gateway"], timeout=20) as diptych:
            assert await diptych.encode_text("a cat")


async def test_service_that_is_killed_serves_again(tmp_path: Path) -> None:
    async with _platform(tmp_path) as platform:
        await platform.run(platform.wait_until_serving(lambda name, status: None))
        victim = platform.processes["text"].pid
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        while platform.processes["text"].restarts == 0:
            await asyncio.sleep(0.02)
        await asyncio.wait_for(platform.wait_until_serving(lambda name, status: None), 20)
        async with AsyncDiptych(platform.addresses["gateway"], timeout=20) as diptych:
            assert await diptych.text_to_image("a cat")


async def test_service_that_cannot_start_ends_the_platform_with_its_reason(tmp_path: Path) -> None:
    modules = {**FAKE_MODULES, "captioning": ("tests.gateway.command_line.fake_program", "exit", "2")}
    with pytest.raises(ProcessFailedError, match="captioning cannot start: last words of exit 2"):
        async with _platform(tmp_path, modules) as platform:
            await platform.run(platform.wait_until_serving(lambda name, status: None))


def test_free_ports_are_all_different() -> None:
    ports = choose_ports(0)
    assert len({number for each in ports.values() for number in (each.grpc, each.metrics)}) == 10


def test_playground_has_the_port_after_the_gateways() -> None:
    base, ports = free_platform(web=True)
    assert ports["gateway"].web == base + 1
    assert all(each.web is None for name, each in ports.items() if name != "gateway")
    assert choose_ports(0)["gateway"].web is None


def test_replicas_have_ports_ten_above_each_other() -> None:
    base, ports = free_platform({"classification": 3})
    found = [ports[name].grpc - base for name in ("classification", "classification-2", "classification-3")]
    assert found == [11, 21, 31]
    assert len(ports) == len(SERVER_NAMES) + 2


def test_taken_port_is_refused_with_its_number() -> None:
    base, _ = free_platform()
    with (
        socket.create_server(("127.0.0.1", base + 10)),
        pytest.raises(ConfigurationError, match=rf"port {base + 10} for text"),
    ):
        choose_ports(base)


UP = (
    "from gateway.command_line.console import run; from gateway.command_line.up import up;"
    "from tests.gateway.fake_platform import FAKE_MODULES; run(up(0, environment={}, modules=FAKE_MODULES))"
)


@contextmanager
def _up(code: str = UP) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`diptych up` over fakes, in a process, once it serves; and what it said until then."""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C stops everything" in line:
                break
        yield process, "".join(said)
        process.kill()


@pytest.fixture
def up() -> Iterator[subprocess.Popen[str]]:
    """`diptych up` over fakes, once it serves."""
    with _up() as (process, _):
        yield process


@pytest.mark.skipif(not playground_installed(), reason="the extra web is not installed")
def test_up_opens_the_playground_and_says_where() -> None:
    with _up() as (_, said):
        found = re.search(r"In the browser: (http://127\.0\.0\.1:\d+/)\n", said)
        assert found and said.count(found[1]) == 3, said  # the gateway's log, the table, the invitation
        with urllib.request.urlopen(found[1], timeout=20) as page:
            assert b"<title>Diptych</title>" in page.read()


def test_up_without_the_playgrounds_packages_goes_on_and_says_so() -> None:
    with _up(f"import sys; sys.modules['connectrpc'] = None; {UP}") as (_, said):
        assert "pip install 'diptych[web]'" in said
        assert "Ctrl-C stops everything" in said
        assert "In the browser" not in said


def _gone(processes: list[psutil.Process]) -> bool:
    return not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "not within 30 s"
        time.sleep(0.05)


def _log_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("diptych-*"))


def test_logs_that_nobody_asked_for_go_with_a_clean_end() -> None:
    with _up() as (process, said):
        [folder] = {folder for folder in _log_folders() if str(folder) in said}
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_up_takes_its_processes_along(up: subprocess.Popen[str], number: signal.Signals) -> None:
    children = psutil.Process(up.pid).children(recursive=True)
    assert len(children) == len(SERVER_NAMES)
    up.send_signal(number)
    up.wait(30)
    _until(lambda: _gone(children))
