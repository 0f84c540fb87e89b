"""`diptych demo` over fakes, from nothing to pictures and back to nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from gateway.command_line.console import ExitCode
from gateway.command_line.demo import PROMPTS, VARIATIONS, VARIED_PROMPTS, demo
from gateway.png import decode_png
from tests.gateway.fake_platform import FAKE_MODULES

PICTURES = len(PROMPTS) + VARIATIONS * len(VARIED_PROMPTS)


async def test_demo_paints_describes_and_stops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = psutil.Process().children(recursive=True)
    own = tmp_path / "own.png"
    own.write_bytes(b"own")
    assert await demo(tmp_path / "demo", [own], environment={}, modules=FAKE_MODULES) is ExitCode.OK
    files = sorted(path.name for path in (tmp_path / "demo").glob("*.png"))
    assert len(files) == PICTURES + 1
    sheet = decode_png((tmp_path / "demo/contact-sheet.png").read_bytes())
    assert (sheet.width, sheet.height) == (8 + 6 * 136, 8 + 5 * 136)
    told = capsys.readouterr().out
    assert f"{PICTURES + 1} of {PICTURES + 1} pictures done" in told
    assert "zh: 3 bytes" in told
    assert psutil.Process().children(recursive=True) == before


async def test_picture_that_cannot_be_described_is_told_and_fails_the_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    assert await demo(tmp_path / "demo", [empty], environment={}, modules=FAKE_MODULES) is ExitCode.FAILED
    told = capsys.readouterr().out
    assert "images[0] is empty" in told
    assert f"{PICTURES} of {PICTURES + 1} pictures done" in told


def test_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from gateway.command_line.console import run;"
        "from gateway.command_line.demo import demo;"
        "from tests.gateway.fake_platform import FAKE_MODULES;"
        "run(demo(Path(sys.argv[1]), [], environment={}, modules=FAKE_MODULES))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        while not (children := psutil.Process(process.pid).children(recursive=True)):
            assert process.poll() is None
        process.terminate()
        process.communicate(timeout=40)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
