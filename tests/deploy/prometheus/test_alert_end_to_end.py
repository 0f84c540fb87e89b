"""One alert all the way: a service stops, Prometheus sees it, Alertmanager calls whoever is to be told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.deploy.prometheus.configuration import write_alertmanager, write_prometheus
from tests.deploy.prometheus.programs import running_alertmanager, running_prometheus
from tests.deploy.prometheus.watched import Watched
from tests.end_to_end.servers import wait_until

Told = list[dict[str, Any]]
"""Alerts as Alertmanager told them, in order."""


@contextmanager
def webhook() -> Iterator[tuple[str, Told]]:
    """The URL of a pager, and what it was told."""
    told: Told = []

    class Pager(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.extend(body["alerts"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Pager)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_service_that_stops_calls_the_pager_and_takes_it_back_when_it_is_there_again(
    watched: Watched, tmp_path: Path
) -> None:
    captioning = watched.servers["captioning"][0]
    with webhook() as (url, told):
        with running_alertmanager(write_alertmanager(tmp_path, url), tmp_path / "alertmanager") as address:
            config = write_prometheus(
                tmp_path, watched.servers, alertmanager=address, seconds={"DiptychServiceDown": "1s"}
            )
            with running_prometheus(config, tmp_path / "prometheus") as prometheus:
                wait_until(lambda: prometheus.ask('diptych_replicas{service="captioning"}'), "the gateway is scraped")
                before = of_service_down(told)
                captioning.terminate()
                wait_until(lambda: of_service_down(told), "the pager is called", seconds=60.0)
                captioning.start()
                captioning.wait_serving()
                wait_until(lambda: len(of_service_down(told)) > 1, "the pager is told that it is over", seconds=60.0)

    assert before == []
    fired, resolved = of_service_down(told)[:2]
    assert fired["status"] == "firing"
    assert fired["labels"] == {
        "alertname": "DiptychServiceDown",
        "severity": "page",
        "service": "captioning",
        "component": "captioning",
    }
    assert fired["annotations"]["runbook_url"] == "RUNBOOK.md#diptychservicedown"
    assert "captioning" in fired["annotations"]["summary"]
    assert resolved["status"] == "resolved"


def of_service_down(told: Told) -> Told:
    """What was told of the alert in question."""
    return [alert for alert in told if alert["labels"]["alertname"] == "DiptychServiceDown"]
