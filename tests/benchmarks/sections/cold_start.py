"""Seconds from the start of a process to its first answer: each service, and the platform by `diptych up`."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from tests.benchmarks.effort import Bench, Result
from tests.benchmarks.first_answer import PAUSE_SECONDS, seconds_to_first_answer
from tests.benchmarks.first_calls import RECONNECT, model_directories
from tests.end_to_end.servers import REPOSITORY, START_SECONDS, STOP_SECONDS, Launcher, environment, new_mark
from tests.ports import free_port


def measure(bench: Bench) -> Result:
    """Of the embedded models with default settings; the page cache is warm after the first start."""
    directories = model_directories(None)
    seconds: dict[str, list[float]] = {name: [] for name in (*directories, "platform")}
    with tempfile.TemporaryDirectory() as folder:
        launcher = Launcher(directories, Path(folder), new_mark(), defaults={})
        for start, _ in bench.starts():
            for name, model in directories.items():
                bench.tell(f"{name}, start {start + 1}")
                seconds[name].append(round(seconds_to_first_answer(launcher, name, model), 3))
            bench.tell(f"diptych up, start {start + 1}")
            seconds["platform"].append(round(_platform(Path(folder)), 3))
    return {"seconds": seconds}


def _platform(folder: Path) -> float:
    """Until the gateway has answered a TextToImage."""
    port = free_port()  # the services take those from 10 above, metrics those from 100 above
    command = [sys.executable, "-m", "gateway.command_line", "up", "--port", str(port)]
    begin = time.perf_counter()
    with (folder / "up.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--log-directory", str(folder / "logs")],
            cwd=REPOSITORY,
            env=environment(new_mark(), {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    request = gateway_pb2.TextToImageRequest(prompt="a black cat", seeds=[1])
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options=RECONNECT) as channel:
            stub = gateway_pb2_grpc.GatewayServiceStub(channel)
            while True:
                try:
                    stub.TextToImage(request, timeout=START_SECONDS)
                except grpc.RpcError as error:
                    if process.poll() is not None or time.perf_counter() - begin > START_SECONDS:
                        raise RuntimeError(f"no answer: {error}\n{(folder / 'up.log').read_text()}") from None
                    time.sleep(PAUSE_SECONDS)
                else:
                    return time.perf_counter() - begin
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(STOP_SECONDS)
