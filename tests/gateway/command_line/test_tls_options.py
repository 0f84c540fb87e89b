"""`--tls`, `--ca`, `--certificate` and `--private-key`, on every command that connects."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.command_line.cli import build
from gateway.command_line.console import ExitCode
from shared.settings import ServerSettings
from tests.certificates import Authority, Secret
from tests.gateway.behaviour import Behaviour
from tests.gateway.command_line.command import diptych
from tests.gateway.fake_gateway import Running
from tests.gateway.fake_services import FakeReplica

CONNECTING = ("text-to-image", "image-to-text", "classify", "encode", "replay", "status", "capabilities")
OPTIONS = ("--tls", "--ca", "--certificate", "--private-key")


@pytest.fixture
def files(authority: Authority) -> dict[str, Path]:
    leaf = authority.leaf("alice")
    return {"--ca": authority.path, "--certificate": leaf.certificate, "--private-key": leaf.key}


@pytest.mark.parametrize("command", CONNECTING)
def test_every_command_that_connects_has_them(command: str) -> None:
    from typer.main import get_command

    found = get_command(build()).commands[command]  # type: ignore[attr-defined]  # it is a group
    assert set(OPTIONS) <= {option for each in found.params for option in each.opts}


def test_pictures_are_painted_and_painted_again_over_mutual_tls(
    tls_gateway: Running, files: dict[str, Path], tmp_path: Path
) -> None:
    options = [word for option in files.items() for word in option]
    painted = diptych("text-to-image", "a cat", "--address", tls_gateway.address, "-o", tmp_path / "a.png", *options)
    assert painted.exit_code == ExitCode.OK, painted.output
    again = diptych("replay", tmp_path / "a.png", "--address", tls_gateway.address, *options)
    assert again.exit_code == ExitCode.OK, again.output
    assert "same picture" in again.stdout


def test_variables_stand_for_the_options(tls_gateway: Running, files: dict[str, Path]) -> None:
    variables = {f"DIPTYCH_{name[2:].replace('-', '_').upper()}": str(path) for name, path in files.items()}
    result = diptych("status", variables={**variables, "DIPTYCH_ADDRESS": tls_gateway.address})
    assert result.exit_code == ExitCode.OK, result.output


async def test_server_that_is_named_is_asked_over_tls(authority: Authority, tmp_path: Path) -> None:
    from gateway.client import Tls
    from gateway.command_line.status import server_statuses

    secret = Secret(tmp_path / "secret", authority.leaf(), authority)
    async with FakeReplica("text", Behaviour(), ServerSettings(**secret.server())) as replica:
        for tls, code in ((Tls(ca=authority.path), ExitCode.OK), (None, ExitCode.UNAVAILABLE)):
            assert await server_statuses([replica.address], as_json=False, timeout_seconds=10.0, tls=tls) is code


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--ca", "nowhere.pem"], "error: CA: nowhere.pem: no such file or directory"),
        (["--certificate", "a.pem"], "error: certificate is set, and private key is not; TLS needs both"),
    ],
)
def test_files_that_cannot_be_used_end_the_command_with_one_line(options: list[str], told: str) -> None:
    result = diptych("status", *options)
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr.strip() == told


def test_gateway_of_a_foreign_ca_is_told_as_such(tls_gateway: Running, tmp_path: Path) -> None:
    foreign = Authority(tmp_path, "foreign")
    result = diptych("status", "--address", tls_gateway.address, "--ca", foreign.path, "--retries", 0)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert "certificate" in result.stderr
