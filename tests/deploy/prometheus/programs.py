"""Debian's Prometheus and Alertmanager as processes of a test, and what can be asked of them."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.servers import wait_until
from tests.ports import free_port

START_SECONDS = 30.0
STOP_SECONDS = 20.0


def program(name: str) -> str:
    """The path of an installed program; without it the test skips, and in CI fails."""
    if (path := shutil.which(name)) is not None:
        return path
    reason = f"{name} is not installed: apt-get install prometheus prometheus-alertmanager"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def run_tool(name: str, *arguments: str | Path) -> str:
    """What a program prints; it must end well."""
    command = [program(name), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout + result.stderr


@dataclass(frozen=True, kw_only=True)
class Series:
    """One series of an answer."""

    labels: Mapping[str, str]
    values: tuple[float, ...]
    """In the order of time; NaN where something was divided by nothing."""

    @property
    def finite(self) -> tuple[float, ...]:
        """The values that are numbers."""
        return tuple(value for value in self.values if math.isfinite(value))


@dataclass(frozen=True, kw_only=True)
class Prometheus:
    """A Prometheus that answers."""

    url: str

    def ask(self, query: str) -> list[Series]:
        """The series of a query at present."""
        found = self._get("query", query=query)
        if found["resultType"] == "scalar":
            return [Series(labels={}, values=(float(found["result"][1]),))]
        return [Series(labels=each["metric"], values=(float(each["value"][1]),)) for each in found["result"]]

    def ask_range(self, query: str, *, begin: float, end: float, step_seconds: float = 1.0) -> list[Series]:
        """The series of a query over a time, in seconds since 1970."""
        found = self._get("query_range", query=query, start=begin, end=end, step=step_seconds)
        return [
            Series(labels=each["metric"], values=tuple(float(value) for _, value in each["values"]))
            for each in found["result"]
        ]

    def label_values(self, label: str, selector: str) -> list[str]:
        """What Grafana's label_values(selector, label) asks."""
        values: list[str] = self._get(f"label/{label}/values", **{"match[]": selector})
        return values

    def alerts(self) -> list[dict[str, Any]]:
        """Alerts that are pending or firing."""
        found: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return found

    def _get(self, path: str, **parameters: object) -> Any:
        return json.loads(_read(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))["data"]


def _read(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=30) as page:
            body: bytes = page.read()
            return body
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{url}: {error.code} {error.read().decode()}") from None


@contextmanager
def running_prometheus(config: Path, data: Path) -> Iterator[Prometheus]:
    """A Prometheus with this configuration, ready."""
    port = free_port()
    command = [
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with _running(command, data.with_suffix(".log"), f"http://127.0.0.1:{port}"):
        yield Prometheus(url=f"http://127.0.0.1:{port}")


@contextmanager
def running_alertmanager(config: Path, data: Path) -> Iterator[str]:
    """The address of an Alertmanager with this configuration, ready."""
    port = free_port()
    command = [
        program("prometheus-alertmanager"),
        f"--config.file={config}",
        f"--storage.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=warn",
    ]
    with _running(command, data.with_suffix(".log"), f"http://127.0.0.1:{port}"):
        yield f"127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], log: Path, url: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def ready() -> bool:
        assert process.poll() is None, f"{command[0]} ended with {process.returncode}:\n{log.read_text()}"
        with suppress(OSError), urllib.request.urlopen(f"{url}/-/ready", timeout=5) as page:
            return bool(page.status == 200)
        return False

    try:
        wait_until(ready, f"{command[0]} is ready", START_SECONDS)
        yield
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_SECONDS)
