"""Real processes with the certificates that the README makes: mTLS from the command line to a model, and bad starts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from tests.certificates import Authority
from tests.end_to_end.servers import REPOSITORY, Launcher, Server, wait_until
from tests.end_to_end.test_configuration import EXIT_CONFIGURATION, failed_start
from tests.ports import free_port
from tests.test_readme import blocks


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the README's openssl commands were typed."""
    [block] = [each for each in blocks() if each.code.startswith("openssl req")]
    subprocess.run(["bash", "-euo", "pipefail", "-c", block.code], cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def mutual(folder: Path, name: str) -> dict[str, object]:
    """The settings of a server that has one of the README's certificates."""
    own = {"tls_certificate": folder / f"{name}.pem", "tls_key": folder / f"{name}.key"}
    return {**own, "tls_client_ca": folder / "ca.pem", "health_port": free_port()}


def wait_ready(server: Server) -> None:
    """Returns once the health port says that it serves: that of gRPC says nothing to who has no certificate."""

    def ready() -> bool:
        assert server.popen.poll() is None, server.log.read_text()
        with grpc.insecure_channel(f"127.0.0.1:{server.environment['DIPTYCH_HEALTH_PORT']}") as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                return bool(check(health_pb2.HealthCheckRequest(), timeout=5).status == 1)
            except grpc.RpcError:
                return False

    wait_until(ready, f"{server.name} serves", seconds=90)


def diptych(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as `me`."""
    own = ["--ca", "ca.pem", "--certificate", "me.pem", "--private-key", "me.key"]
    return subprocess.run(
        [sys.executable, "-m", "gateway.command_line", *arguments, *own],
        cwd=folder,
        env={"PYTHONPATH": f"{REPOSITORY}/protos:{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_command_line_gateway_and_service_speak_mutual_tls(folder: Path, launcher: Launcher) -> None:
    text = launcher.service("text", **mutual(folder, "services"))
    wait_ready(text)
    gateway = launcher.gateway({"text": text.address}, **mutual(folder, "gateway"), services_ca=folder / "ca.pem")
    wait_ready(gateway)
    encoded = diptych(folder, "encode", "a black cat", "--address", gateway.address)
    assert encoded.returncode == 0, encoded.stderr
    assert json.loads(encoded.stdout)["text"] == "a black cat"
    asked = diptych(folder, "status", text.address, gateway.address)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.count("serving") == 2
    assert [gateway.terminate(), text.terminate()] == [0, 0]
    assert "PRIVATE" not in text.log.read_text() + gateway.log.read_text()


@pytest.mark.parametrize("server", ["text", "gateway"])
def test_certificate_that_cannot_be_used_ends_a_start_with_one_line(server: str, tmp_path: Path, run_mark: str) -> None:
    authority = Authority(tmp_path)
    expired, good, other = authority.leaf(expired=True), authority.leaf(), authority.leaf()
    for settings, told in (
        (
            {"tls_certificate": "nowhere.pem", "tls_key": good.key},
            "CERTIFICATE: nowhere.pem: no such file or directory",
        ),
        ({"tls_certificate": good.certificate, "tls_key": other.key}, f"KEY: {other.key}: is not the key of "),
        ({"tls_certificate": expired.certificate, "tls_key": expired.key}, "certificate has expired"),
    ):
        failed = failed_start(server, run_mark, **settings)
        assert failed.exit_code == EXIT_CONFIGURATION
        assert failed.line.startswith("error: DIPTYCH_TLS_") and told in failed.line
