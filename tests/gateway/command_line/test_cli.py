"""The `diptych` command: its sub-commands, its options for every gateway, its exit codes and its one-line errors."""

from __future__ import annotations

import errno
import importlib
import os
import re
import signal
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import typer

from gateway.command_line import cli
from gateway.command_line.console import EXIT_CODES, ExitCode, exit_code
from shared.codes import Code, Reason
from shared.errors import (
    CALL_ERRORS,
    CallError,
    ConfigurationError,
    InternalError,
    OverloadedError,
    UnauthenticatedError,
    UnimplementedError,
)
from tests.gateway.command_line.command import diptych, start_diptych
from tests.gateway.fake_gateway import Running
from tests.ports import free_port

GATEWAY_COMMANDS = ("text-to-image", "image-to-text", "classify", "encode", "replay", "status", "capabilities")
KEY = "s3cr3t-key"


@pytest.fixture
def nowhere() -> str:
    """An address where nothing listens."""
    return f"127.0.0.1:{free_port()}"


def test_no_gateway_says_how_to_start_one(nowhere: str) -> None:
    result = diptych("encode", "a cat", "--address", nowhere, "--retries", 1)
    assert result.exit_code == ExitCode.UNAVAILABLE
    assert result.stderr == (
        f"error: no gateway answers at {nowhere} (connection refused); "
        "start one with `diptych up`, or say where it is with --address\n"
    )


def test_timeout_has_its_own_exit_code(fake_gateway: Running) -> None:
    fake_gateway.behaviour.delay_seconds = 1.0
    result = diptych("encode", "a cat", "--timeout", 0.1, "--address", fake_gateway.address)
    assert result.exit_code == ExitCode.TIMEOUT
    assert result.stderr == (f"error: no answer from {fake_gateway.address} within 0.1 s; --timeout allows more time\n")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (OverloadedError("queue is full", retry_after_seconds=4.0), ExitCode.BUSY, "queue is full; try again in 4 s"),
        (UnauthenticatedError("who?"), ExitCode.REFUSED, "who?; say who you are with --key or DIPTYCH_KEY"),
        (UnimplementedError("no"), ExitCode.USAGE, "what answers at 127.0.0.1:"),
        (OverloadedError("no"), ExitCode.BUSY, "no"),
        (InternalError("oops", reason=Reason.DEFECT), ExitCode.FAILED, "oops (x-request-id req-1); find the call's"),
    ],
)
def test_error_is_one_line_that_says_what_to_do(
    fake_gateway: Running, error: CallError, code: ExitCode, told: str
) -> None:
    fake_gateway.behaviour.errors = [error]
    result = diptych("encode", "a cat", "--retries", 0, "--address", fake_gateway.address)
    assert result.exit_code == code
    assert result.stderr.startswith(f"error: {told}") and result.stderr.count("\n") == 1


def test_retries_are_counted_by_the_option(fake_gateway: Running) -> None:
    fake_gateway.behaviour.errors = [OverloadedError("busy", reason=Reason.QUEUE_FULL, retry_after_seconds=0.01)] * 2
    assert diptych("encode", "a cat", "--address", fake_gateway.address).exit_code == ExitCode.OK
    assert len(fake_gateway.behaviour.calls) == 3


def test_address_and_key_come_from_the_environment_too(fake_gateway: Running) -> None:
    variables = {"DIPTYCH_ADDRESS": fake_gateway.address, "DIPTYCH_KEY": KEY}
    assert diptych("encode", "a cat", variables=variables).exit_code == ExitCode.OK
    assert fake_gateway.behaviour.calls[0].metadata["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("command", [("encode", "cat"), ("status",), ("status", "foo")])
def test_address_that_is_none_is_wrong_usage(command: tuple[str, ...]) -> None:
    result = diptych(*command, variables={"DIPTYCH_ADDRESS": "foo"})
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "error: address is 'foo'; it must be host:port, such as 127.0.0.1:50051\n"


def test_interrupt_while_the_command_is_imported_ends_quietly(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time; print('importing', flush=True); time.sleep(60)")
    with start_diptych("status", folder=tmp_path) as process:  # whose `python -m` imports from here first
        assert process.stdout is not None and process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == ExitCode.INTERRUPTED


def test_interrupt_while_standard_input_is_read_ends_quietly(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "prompts")
    with start_diptych("text-to-image", "--prompts", "prompts", folder=tmp_path) as process:
        with (tmp_path / "prompts").open("wb"):  # it reads now, and is sent nothing
            process.send_signal(signal.SIGINT)
            assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == ExitCode.INTERRUPTED


@pytest.mark.parametrize("command", GATEWAY_COMMANDS)
def test_every_command_that_calls_has_the_options_of_a_call_and_shows_no_key(command: str) -> None:
    result = diptych(command, "--help", variables={"DIPTYCH_KEY": KEY, "COLUMNS": "200"})
    assert result.exit_code == ExitCode.OK
    for option in ("--address", "--timeout", "--key", "--retries", "DIPTYCH_KEY", "DIPTYCH_ADDRESS"):
        assert option in result.stdout
    assert KEY not in result.stdout


def test_key_that_cannot_be_sent_is_not_shown() -> None:
    result = diptych("encode", "a cat", "--key", "s3cr3t-ключ")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "error: key may hold printable ASCII characters only\n"


def test_exit_code_of_every_status_code_is_told() -> None:
    assert set(EXIT_CODES) <= set(Code)
    codes = {exit_code(error.__new__(error)) for error in CALL_ERRORS.values()}
    assert codes == set(ExitCode) - {ExitCode.OK, ExitCode.PARTLY, ExitCode.INTERRUPTED}
    assert exit_code(ConfigurationError()) is ExitCode.USAGE


def test_readme_lists_every_exit_code() -> None:
    readme = (Path(cli.__file__).parents[1] / "README.md").read_text()
    listed = {int(line.split("|")[1]) for line in readme.splitlines() if line.startswith("|") and line[2].isdecimal()}
    assert listed == set(ExitCode)


class _Extensions:
    """Entry points as an installation would have them."""

    greeting = typer.Typer(help="Say things.")

    @staticmethod
    @greeting.command()
    def greet(name: str, loud: bool = False, late: bool = False, full: bool = False) -> None:
        """Say hello."""
        if full:
            raise OSError(errno.ENOSPC, "No space left on device", "hello.tar")
        if late:
            importlib.import_module("no_such_package")
        typer.echo(f"hello {name}{'!' if loud else ''}")


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry point that works and one whose package is not installed."""
    found = EntryPoints(
        [
            EntryPoint("greet", "tests.gateway.command_line.test_cli:_Extensions.greeting", cli.EXTENSIONS),
            EntryPoint("train", "no_such_package.cli:app", cli.EXTENSIONS),
        ]
    )
    monkeypatch.setattr(cli, "entry_points", lambda group: found.select(group=group))


@pytest.mark.usefixtures("extensions")
def test_entry_point_becomes_a_sub_command_with_its_own_options() -> None:
    result = diptych("greet", "Ada", "--loud")
    assert (result.exit_code, result.stdout) == (0, "hello Ada!\n")


@pytest.mark.usefixtures("extensions")
def test_help_tells_what_an_entry_point_does_and_leaves_out_one_whose_package_is_missing() -> None:
    told = diptych("--help", variables={"COLUMNS": "200"}).stdout
    assert "Say things. Needs the extras services,train." in told
    assert not re.search("^. train", told, re.MULTILINE)


@pytest.mark.usefixtures("extensions")
def test_entry_point_that_imports_too_late_what_is_missing_says_what_to_install() -> None:
    result = diptych("greet", "--late", "Ada")
    assert result.exit_code == ExitCode.USAGE
    assert "`diptych greet` cannot run: No module named 'no_such_package'; pip install" in result.stderr


@pytest.mark.usefixtures("extensions")
def test_what_the_system_refuses_an_entry_point_is_told_in_one_line() -> None:
    result = diptych("greet", "--full", "Ada")
    assert result.exit_code == ExitCode.USAGE
    assert result.stderr == "error: cannot use hello.tar: No space left on device\n"


@pytest.mark.usefixtures("extensions")
def test_entry_point_whose_package_is_missing_breaks_only_itself() -> None:
    assert diptych("--help").exit_code == 0
    result = diptych("train", "--steps", 3)
    assert result.exit_code == ExitCode.USAGE
    assert "`diptych train` cannot run: No module named 'no_such_package'; pip install" in result.stderr
