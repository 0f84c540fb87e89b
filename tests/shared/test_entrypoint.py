"""How a server process starts and ends: help, one-line errors, exit codes. Real processes."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
from shared.entrypoint import run_server
from shared.errors import ModelDirectoryError
from shared.settings import ServerSettings

async def serve(settings):
    {body}

run_server("python -m probe", ServerSettings, serve)
"""


def run(body: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body), *arguments],
        env={"PYTHONPATH": ":".join(sys.path), "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_help_prints_every_variable_with_its_default() -> None:
    result = run("assert False, 'not reached'", "--help")
    assert result.returncode == 0
    for word in ("DIPTYCH_PORT", "DIPTYCH_DRAIN_TIMEOUT_SECONDS", "30.0", "python -m probe"):
        assert word in result.stdout


def test_flags_are_refused_with_the_table_of_variables() -> None:
    result = run("return None", "--port=1")
    assert result.returncode == 2
    assert "DIPTYCH_PORT" in result.stdout


@pytest.mark.parametrize(
    ("variable", "value"), [("DIPTYCH_PORT", "90000"), ("DIPTYCH_LOG_LEVEL", "loud"), ("DIPTYCH_PORT", "http")]
)
def test_a_wrong_setting_is_one_line_with_variable_and_value_and_exit_code_2(variable: str, value: str) -> None:
    result = run("return None", **{variable: value})
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert variable in line
    assert value in line


@pytest.mark.parametrize(
    ("body", "code", "error"),
    [
        ("return None", 0, ""),
        ("return 'the model process died twice'", 1, "error: the model process died twice\n"),
        ("raise ModelDirectoryError('model.toml: no key name')", 2, "error: model.toml: no key name\n"),
    ],
)
def test_the_end_of_serve_is_the_exit_code(body: str, code: int, error: str) -> None:
    result = run(body)
    assert (result.returncode, result.stderr) == (code, error)


def test_sigterm_before_the_server_listens_is_a_clean_stop() -> None:
    body = "import asyncio; print('reading the model', flush=True); await asyncio.sleep(60)"
    program = [sys.executable, "-c", PROGRAM.format(body=body)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(program, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(30) == 0
