"""The README is true: its commands run, its links lead somewhere, its tables are those of the code."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from gateway.command_line.cli import build
from gateway.command_line.health import wait_until_serving
from gateway.command_line.local import GATEWAY, SERVER_NAMES, Ports
from gateway.settings import DEFAULT_PORT
from services.training.tiny import write_tiny_models
from tests import documents
from tests.documents import README, REPOSITORY, TABLES
from tests.ports import free_platform

NOT_OURS = {"node_modules", "out", "site-packages"}
RUNBOOK = REPOSITORY / "deploy" / "RUNBOOK.md"
"""Its commands are run by tests/deploy/prometheus/test_live.py."""
PAGES = sorted(
    page
    for page in REPOSITORY.rglob("*.md")
    if not any(part.startswith(".") or part in NOT_OURS for part in page.relative_to(REPOSITORY).parts)
)
DIPTYCH = [sys.executable, "-m", "gateway.command_line"]
BLOCK_SECONDS = 300
START_SECONDS = 300
NOT_OF_A_SERVER = {  # the command line's
    "DIPTYCH_ADDRESS",
    "DIPTYCH_KEY",
    "DIPTYCH_TLS",
    "DIPTYCH_CA",
    "DIPTYCH_CERTIFICATE",
    "DIPTYCH_PRIVATE_KEY",
}
_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>[^\n]*) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of the README."""

    line: int
    language: str
    code: str
    note: str

    @property
    def runs(self) -> bool:
        """Whether a reader may copy it as it is, and so this test."""
        return self.language in ("sh", "python") and not self.note.startswith("not run: ")


def blocks(page: Path = README) -> list[Block]:
    """All fenced blocks of a page, from the top."""
    text = page.read_text("utf-8")
    return [
        Block(
            line=text[: found.start("code")].count("\n") + 1,
            language=found["language"],
            code=found["code"],
            note=found["note"] or "",
        )
        for found in _BLOCK.finditer(text)
    ]


@dataclass(frozen=True, kw_only=True)
class Desk:
    """A folder with what the README's reader has: a running platform, the commands, and a photo."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, Ports]

    def moved(self, code: str) -> str:
        """A block for this platform, whose ports are free ones instead of the README's."""
        for name, default in choose_default_ports().items():
            code = code.replace(f"127.0.0.1:{default}", f"127.0.0.1:{self.ports[name].grpc}")
        return code

    def run(self, block: Block) -> str:
        """Runs a block as its reader would; the output of one that fails is the error's message."""
        command = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
        result = subprocess.run(
            [*command, self.moved(block.code)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BLOCK_SECONDS,
            check=False,
        )
        assert result.returncode == 0, f"README.md, line {block.line}:\n{block.code}\n{result.stdout}"
        return result.stdout


def choose_default_ports() -> dict[str, int]:
    """The ports of `diptych up`, by server."""
    services = [name for name in SERVER_NAMES if name != GATEWAY]
    return {GATEWAY: DEFAULT_PORT, **{name: DEFAULT_PORT + 10 + index for index, name in enumerate(services)}}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """`diptych up` with tiny models, and a folder to work in."""
    folder = tmp_path_factory.mktemp("reader")
    models = tmp_path_factory.mktemp("models")
    write_tiny_models(models)
    commands = tmp_path_factory.mktemp("bin")
    script = commands / "diptych"
    script.write_text(f'#!/bin/sh\nexec "{DIPTYCH[0]}" {DIPTYCH[1]} "{DIPTYCH[2]}" "$@"\n')
    script.chmod(0o755)
    Image.linear_gradient("L").convert("RGB").save(folder / "photo.jpg")
    base, ports = free_platform(web=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DIPTYCH_")}
    environment = {
        **inherited,
        "PATH": os.pathsep.join((str(commands), str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": os.pathsep.join((str(REPOSITORY / "protos"), str(REPOSITORY))),
        "PYTHONUTF8": "1",
        "DIPTYCH_ADDRESS": f"127.0.0.1:{base}",
    }
    options = ["--port", str(base), "--models", str(models), "--device", "cpu", "--precision", "fp32", "--threads", "1"]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen([*DIPTYCH, "up", *options], env=environment, cwd=folder, stdout=log, stderr=log)
    try:
        asyncio.run(all_serving(up, ports, folder / "up.log"))
        yield Desk(folder=folder, environment=environment, ports=ports)
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.wait(timeout=120)
        finally:
            up.kill()


def told(log: Path) -> str:
    """What a log file says."""
    return log.read_text("utf-8")


async def all_serving(up: subprocess.Popen[bytes], ports: dict[str, Ports], log: Path) -> None:
    """Returns once every server serves."""
    async with asyncio.timeout(START_SECONDS):
        waiting = asyncio.gather(*(wait_until_serving(f"127.0.0.1:{each.grpc}") for each in ports.values()))
        while not waiting.done():
            assert up.poll() is None, told(log)
            await asyncio.sleep(0.1)


@pytest.mark.timeout(1200)
def test_every_command_works_in_the_order_of_the_page(desk: Desk) -> None:
    """One test, since blocks use what those before them wrote."""
    told = "".join(desk.run(block) for block in blocks() if block.runs)

    assert (desk.folder / "black-cat.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((desk.folder / "pictures").glob("*.png"))) == 4
    assert len(list(desk.folder.glob("strawberry-*.png"))) == 4
    assert (
        len((desk.folder / "captions.jsonl").read_text("utf-8").splitlines()) == 3
    )  # the sheet is no picture of the folder
    for word in (
        "v1.GatewayService/TextToImage",
        "probability",
        "tiny-captioning",
        "DIPTYCH_PORT",
        "same picture",
        "TEXT_TOO_LONG",
    ):
        assert word in told


def test_what_is_not_run_says_why() -> None:
    for block in blocks():
        if block.language != "text" and not block.runs:
            assert block.note.startswith("not run: ") and len(block.note) > len("not run: because"), block.line
    assert sum(block.runs for block in blocks()) >= 8


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page not in (README, RUNBOOK)],
    ids=lambda page: page.relative_to(REPOSITORY).as_posix(),
)
def test_blocks_of_other_pages_are_no_commands_or_say_why_they_are_not_run(page: Path) -> None:
    for block in blocks(page):
        assert block.language == "text" or block.note.startswith("not run: "), f"{page}, line {block.line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_fence_is_read(page: Path) -> None:
    """A block that the expression misses would never be run."""
    fences = re.findall(r"^\s*```", page.read_text("utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page))


def test_every_make_target_and_command_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE))
    cli = build()
    commands = {each.name for each in cli.registered_commands} | {each.name for each in cli.registered_groups}
    code = "\n".join(block.code for block in blocks() if block.language == "sh")
    assert set(re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)) <= targets
    used = set(re.findall(r"^diptych ([a-z-]+)", code, re.MULTILINE))
    assert used >= {"up", "text-to-image", "image-to-text", "classify", "replay", "status"}
    # Those of training are added by an installed package's entry points.
    assert used - {"data", "model", "train"} <= commands


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8"))
    lost = [link for link in links if "://" not in link and not (page.parent / link.partition("#")[0]).exists()]
    assert lost == []


def test_every_folder_has_a_readme() -> None:
    for name in ("protos", "gateway", "services", "shared", "tests", "deploy"):
        assert (REPOSITORY / name / "README.md") in PAGES


@pytest.mark.parametrize("folder", ["gateway", "shared"])
def test_page_of_a_folder_names_every_file_in_it(folder: str) -> None:
    page = (REPOSITORY / folder / "README.md").read_text("utf-8")
    files = [path.relative_to(REPOSITORY / folder) for path in (REPOSITORY / folder).rglob("*.py")]
    assert [file.as_posix() for file in files if file.stem != "__init__" and f"`{file.as_posix()}`" not in page] == []


def test_tables_are_those_of_the_code() -> None:
    text = README.read_text("utf-8")
    assert sorted(documents.table_names(text)) == sorted(TABLES)
    assert documents.updated(text) == text, "out of date; run: python -m tests.documents"


def test_tables_leave_no_metric_and_no_service_out() -> None:
    assert set(documents.metric_classes()) == set(documents.EXPORTERS)
    assert set(documents.SERVICE_SETTINGS) == set(SERVER_NAMES) - {GATEWAY}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(REPOSITORY).as_posix())
def test_every_variable_that_is_named_exists(page: Path) -> None:
    known = set(re.findall(r"DIPTYCH_[A-Z_]+", "".join(render() for render in TABLES.values()))) | NOT_OF_A_SERVER
    named = set(re.findall(r"DIPTYCH_[A-Z_]+[A-Z]", page.read_text("utf-8")))
    assert named <= known
