"""TorchServe around a reference module: its Java front end, one Python worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.peers.served.options import MODEL, Options, options

RESPONSE_SECONDS = 120
"""After which it takes a worker for hung."""


def model_config(chosen: Options) -> dict[str, object]:
    """One worker; batching, or what TorchServe has by itself: batches of one. The file is YAML, which JSON is.

    Its `clientTimeoutInMills` is not set: it spares no work, since it drops answers and not requests, and who calls by
    gRPC never hears of the drop.
    """
    worker: dict[str, object] = {"minWorkers": 1, "maxWorkers": 1, "responseTimeout": RESPONSE_SECONDS}
    if chosen.shipped:
        return worker
    return worker | {
        "batchSize": chosen.max_batch_size,
        "maxBatchDelay": round(1000 * chosen.delay_seconds),
        "jobQueueSize": chosen.queue,
    }


def main() -> None:
    """Packs the model and becomes `torchserve`."""
    chosen = options()
    binaries = Path(sys.executable).parent
    store, config = chosen.path("store"), chosen.path("model-config.yaml")
    store.mkdir()
    config.write_text(json.dumps(model_config(chosen)), "utf-8")
    handler = str(Path(__file__).with_name("torchserve_handler.py"))
    pack = [str(binaries / "torch-model-archiver"), "--model-name", MODEL, "--version", "1", "--handler", handler]
    store_as = ["--config-file", str(config), "--export-path", str(store), "--archive-format", "no-archive"]
    subprocess.run([*pack, *store_as], check=True)
    http, management, metrics, grpc_management, worker = chosen.spare_ports[:5]
    properties = {
        "inference_address": f"http://127.0.0.1:{http}",
        "management_address": f"http://127.0.0.1:{management}",
        "metrics_address": f"http://127.0.0.1:{metrics}",
        "grpc_inference_address": "127.0.0.1",
        "grpc_inference_port": chosen.port,
        "grpc_management_port": grpc_management,
        "initial_worker_port": worker,  # names its socket in /tmp, which another server may have
    }
    lines = "".join(f"{key}={value}\n" for key, value in properties.items())
    chosen.path("config.properties").write_text(lines, "utf-8")
    program = str(binaries / "torchserve")
    files = ["--model-store", str(store), "--models", MODEL, "--ts-config", str(chosen.path("config.properties"))]
    os.execv(program, [program, "--start", "--foreground", "--ncs", "--disable-token-auth", *files])  # noqa: S606


if __name__ == "__main__":
    main()
