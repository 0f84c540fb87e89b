"""The gateway and the command line do without torch, numpy and Pillow."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "PIL", "safetensors", "tokenizers", "opentelemetry")
SERVE = """
import asyncio
from prometheus_client import CollectorRegistry
from diptych.gateway.v1 import gateway_pb2
from tests.gateway.fake_platform import running_platform
async def main():
    async with running_platform() as platform:
        await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"))
        await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"]))
asyncio.run(main())
"""


@pytest.mark.parametrize(
    "code", ["import gateway.__main__", "import gateway.command_line.cli", SERVE], ids=["main", "cli", "serving"]
)
def test_no_heavy_package_is_loaded(code: str) -> None:
    report = f"\nimport sys; print([name for name in {HEAVY} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"


def test_missing_packages_for_traces_are_an_error_that_says_how_to_get_them() -> None:
    code = """
import sys
sys.modules["opentelemetry.sdk"] = None
from gateway.__main__ import GatewaySettings, run_server, serve
run_server("python -m gateway", lambda: GatewaySettings(port=0, traces_endpoint="127.0.0.1:4317"), serve)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 2
    assert "pip install 'diptych[tracing]'" in told.stderr.splitlines()[-1]
