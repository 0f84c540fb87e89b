"""What an operator gets wrong ends in one line and exit code 2 before the port opens; --help says what can be set."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from torch import Tensor

from gateway.settings import GatewaySettings
from services.text.settings import TextSettings
from tests.end_to_end.calls import Connect, encode
from tests.end_to_end.conftest import Platform
from tests.end_to_end.servers import REPOSITORY, SERVERS, Launcher, environment
from tests.ports import free_port

EXIT_CONFIGURATION = 2
START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class FailedStart:
    """A server that did not come to listen."""

    exit_code: int
    line: str
    """All of its standard error."""


def failed_start(name: str, mark: str, **settings: object) -> FailedStart:
    """Starts a server that must not start, and knocks at its port until it has ended."""
    port = free_port()
    module = "gateway" if name == "gateway" else f"services.{name}"
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=REPOSITORY,
        env=environment(mark, {"port": port, "device": "cpu", **settings}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    opened = False
    try:
        while process.poll() is None and not opened:
            opened = is_open(port)
            if not opened:
                try:
                    process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
        assert not opened, "the port was opened"
        stdout, stderr = process.communicate(timeout=START_SECONDS)
    finally:
        process.kill()
    assert stdout == ""
    assert len(stderr.splitlines()) == 1, stderr
    return FailedStart(exit_code=process.returncode, line=stderr.strip())


def is_open(port: int) -> bool:
    """Whether someone listens."""
    with socket.socket() as knock:
        return knock.connect_ex(("127.0.0.1", port)) == 0


Damage = Callable[[Path], str]
"""Damages a model directory, and returns what the error line must name."""


def edit_toml(folder: Path, old: str, new: str) -> None:
    """Replaces text in model.toml."""
    file = folder / "model.toml"
    before = file.read_text("utf-8")
    assert old in before
    file.write_text(before.replace(old, new), "utf-8")


def edit_tensors(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Changes the weights, and the digest with them."""
    file = folder / "model.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file)
    edit_toml(folder, digest, hashlib.sha256(file.read_bytes()).hexdigest())


def wrong_digest(folder: Path) -> str:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    return "model.safetensors: SHA-256"


def wrong_digest_of_another_file(folder: Path) -> str:
    (folder / "tokenizer.json").write_text("{}")
    return "tokenizer.json: SHA-256"


def missing_tensor(folder: Path) -> str:
    name = min(load_file(folder / "model.safetensors"))

    def drop(tensors: dict[str, Tensor]) -> None:
        del tensors[name]

    edit_tensors(folder, drop)
    return f"tensor {name}"


def wrong_shape(folder: Path) -> str:
    name = min(load_file(folder / "model.safetensors"))

    def double(tensors: dict[str, Tensor]) -> None:
        tensors[name] = tensors[name].repeat_interleave(2, 0)

    edit_tensors(folder, double)
    return f"tensor {name}: expected shape"


def no_toml(folder: Path) -> str:
    (folder / "model.toml").unlink()
    return "model.toml"


def broken_toml(folder: Path) -> str:
    (folder / "model.toml").write_text("schema = \n[", "utf-8")
    return "model.toml: is not TOML"


def wrong_task(folder: Path) -> str:
    edit_toml(folder, 'task = "', 'task = "un')
    return "model.toml: task"


def no_weights(folder: Path) -> str:
    (folder / "model.safetensors").unlink()
    return "model.safetensors"


DAMAGES: list[tuple[str, Damage]] = [
    ("text", wrong_digest),
    ("captioning", wrong_digest_of_another_file),
    ("classification", missing_tensor),
    ("generation", wrong_shape),
    ("generation", no_toml),
    ("text", broken_toml),
    ("captioning", wrong_task),
    ("classification", no_weights),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES, ids=lambda value: getattr(value, "__name__", value))
def test_model_directory_that_cannot_be_served_ends_the_service_in_one_line_that_names_it(
    name: str, damage: Damage, tiny_models: dict[str, Path], tmp_path: Path, run_mark: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_models[name], folder)
    expected = damage(folder)

    failed = failed_start(name, run_mark, model_directory=folder)

    assert failed.exit_code == EXIT_CONFIGURATION
    assert failed.line.startswith("error: ")
    assert expected in failed.line
    assert str(folder) in failed.line


BAD_SETTINGS: list[tuple[str, dict[str, object], str]] = [
    ("text", {"device": "tpu"}, "DIPTYCH_DEVICE"),
    ("generation", {"device": "cuda:99"}, "cuda:99"),
    ("captioning", {"precision": "int4"}, "DIPTYCH_PRECISION"),
    ("classification", {"port": "70000"}, "DIPTYCH_PORT"),
    ("text", {"metrics_port": "http"}, "DIPTYCH_METRICS_PORT"),
    ("gateway", {"port": "-1"}, "DIPTYCH_PORT"),
    ("gateway", {"text_targets": "somewhere"}, "DIPTYCH_TEXT_TARGETS"),
    ("gateway", {"log_level": "loud"}, "DIPTYCH_LOG_LEVEL"),
    ("gateway", {"host": "0.0.0.0"}, "DIPTYCH_ALLOW_INSECURE=true"),
    ("text", {"host": "0.0.0.0"}, "DIPTYCH_TLS_CLIENT_CA"),
    ("gateway", {"keys_file": "/nowhere/keys.toml"}, "No such file"),
]


@pytest.mark.parametrize(("name", "settings", "expected"), BAD_SETTINGS, ids=lambda value: str(value))
def test_setting_that_cannot_be_used_ends_the_server_in_one_line_that_names_it(
    name: str, settings: dict[str, object], expected: str, tiny_models: dict[str, Path], run_mark: str
) -> None:
    models = {} if name == "gateway" else {"model_directory": tiny_models[name]}

    failed = failed_start(name, run_mark, **models, **settings)

    assert failed.exit_code == EXIT_CONFIGURATION
    assert expected in failed.line
    assert str(next(iter(settings.values()))) in failed.line


@pytest.mark.parametrize("setting", ["port", "metrics_port"])
def test_taken_port_ends_the_server_in_one_line_that_names_it(setting: str, platform: Platform, run_mark: str) -> None:
    taken = platform.text.port

    server = subprocess.run(
        [sys.executable, "-m", "gateway"],
        cwd=REPOSITORY,
        env=environment(run_mark, {"port": free_port(), setting: taken}),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )

    assert server.returncode == EXIT_CONFIGURATION
    errors = [line for line in server.stderr.splitlines() if "INFO" not in line]
    assert len(errors) == 1, server.stderr
    assert str(taken) in errors[0]


@pytest.mark.parametrize("name", SERVERS)
def test_help_prints_the_settings_and_exits_with_0(name: str, run_mark: str) -> None:
    module = "gateway" if name == "gateway" else f"services.{name}"

    help_page = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=REPOSITORY,
        env={**environment(run_mark, {}), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )

    assert help_page.returncode == 0
    assert help_page.stderr == ""
    fields = (
        GatewaySettings.model_fields
        if name == "gateway"
        else TextSettings.model_fields.keys() - {"max_texts", "max_characters"}
    )
    for field in fields:
        assert f"DIPTYCH_{field}".upper() in help_page.stdout


async def test_other_model_directory_is_served_under_its_own_name_and_digest(
    launcher: Launcher, platform: Platform, other_models: dict[str, Path], tmp_path: Path, connect: Connect
) -> None:
    folder = tmp_path / "own-model"
    shutil.copytree(other_models["text"], folder)
    edit_toml(folder, 'name = "tiny-text"', 'name = "my-own-words"')
    server = launcher.service("text", model_directory=folder)
    embedded = await encode(connect(platform.text), "a cat")
    server.wait_serving()

    own = await encode(connect(server), "a cat")

    assert own.model.name == "my-own-words"
    assert own.model.space == own.encodings[0].space == "other"
    assert own.model.digest == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert own.model.digest != embedded.model.digest
    assert own.encodings[0].vector != embedded.encodings[0].vector
