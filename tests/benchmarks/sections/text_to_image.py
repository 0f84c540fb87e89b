"""Text to picture with the embedded models at their defaults, one caller: the whole call beside its models alone."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.effort import Bench, Driver, Result, numbers
from tests.benchmarks.load.cores import server_cores
from tests.benchmarks.load.generator import REPOSITORY
from tests.benchmarks.reference import inputs
from tests.benchmarks.server import gateway, module_server

SECONDS = 2.5


def measure(bench: Bench) -> Result:
    """Milliseconds of a picture by gateway and services, and of the two predictors called one after the other."""
    runs: list[Result] = []
    for start, usual in bench.starts():
        bench.tell(f"start {start + 1}")
        run: Result = {"start": start}
        for part in (_bare, _diptych) if usual else (_diptych, _bare):
            part(run, bench)
        runs.append(run)
    return {"runs": runs}


def _diptych(run: Result, bench: Bench) -> None:
    with ExitStack() as stack:
        text = stack.enter_context(module_server("services.text"))
        generation = stack.enter_context(module_server("services.generation"))
        front = stack.enter_context(gateway({"text": text.address, "generation": generation.address}))
        pids = [*front.pids(), *text.pids(), *generation.pids()]
        driver = Driver(bench, front.address, {"task": "text-to-image"}, pids)
        run["diptych"] = numbers(driver.closed(1, SECONDS))


def _bare(run: Result, bench: Bench) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.sections.text_to_image", str(bench.seconds(SECONDS))]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, server_cores())
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the bare models ended with {process.returncode}")
    run["bare_p50_ms"] = json.loads(output)


def bare(seconds: float) -> float:
    """Median milliseconds of text predictor and generation predictor together, as the services load them."""
    from services.generation.items import PaintItem
    from services.generation.predictor import load as load_generation
    from services.text.predictor import load as load_text
    from shared.encodings import Encoding
    from shared.inference.predictor import RuntimeOptions

    services = Path(REPOSITORY) / "services"
    text = load_text(services / "text" / "weights", RuntimeOptions())
    generation = load_generation(services / "generation" / "weights", RuntimeOptions())
    text.warmup()
    generation.warmup()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        [encoding] = text.predict([inputs.text(len(times))])
        assert isinstance(encoding, Encoding)
        generation.predict([PaintItem(vector=encoding.vector, seed=len(times))])
        times.append(time.perf_counter() - begin)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(bare(float(sys.argv[1]))) + "\n")
