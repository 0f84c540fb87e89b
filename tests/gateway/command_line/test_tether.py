"""A tethered process ends when the one that started it does, and is otherwise like any other."""

from __future__ import annotations

import subprocess
import sys

TETHERED = [sys.executable, "-m", "gateway.command_line.tether", "tests.gateway.command_line.fake_program"]


def test_process_ends_when_standard_input_does() -> None:
    with subprocess.Popen([*TETHERED, "sleep"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.close()
        assert process.wait(30) == -15


def test_exit_code_and_arguments_are_the_modules_own() -> None:
    with subprocess.Popen([*TETHERED, "exit", "3"], stdin=subprocess.PIPE) as process:
        assert process.wait(30) == 3
