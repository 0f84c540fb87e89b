"""Real servers with tiny models under every sort of traffic, and the real Prometheus that has watched them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.prometheus.configuration import write_prometheus
from tests.deploy.prometheus.programs import Prometheus, running_prometheus
from tests.deploy.prometheus.traffic import connected, ended, steady_traffic, trouble
from tests.end_to_end.servers import SERVICES, Launcher, Server, wait_until
from tests.traffic import paint

HEALTHY_SECONDS = 10.0
"""Before the trouble, and after: so many scrapes make a rate steady."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What there is to look at, and when it happened."""

    servers: Mapping[str, list[Server]]
    """By component."""
    prometheus: Prometheus
    begin: float
    healthy_until: float
    """From `begin` on until then nothing was wrong."""
    end: float


@contextmanager
def watched_platform(models: Launcher, other_models: Launcher, folder: Path) -> Iterator[Watched]:
    """Five servers, and a second gateway over models that do not fit together; all was over when this is entered."""
    servers = {name: [models.service(name)] for name in SERVICES}
    targets = {name: replicas[0].address for name, replicas in servers.items()}
    # It waits for a lost model to come back, so that calls are tried again.
    patient = models.gateway(targets, encoding_cache_bytes=32 * 1024 * 1024, replica_wait_seconds=20)
    stranger = other_models.service("text")
    confused = models.gateway({**targets, "text": stranger.address})
    servers |= {"gateway": [patient, confused], "text": [*servers["text"], stranger]}
    for replicas in servers.values():
        for server in replicas:
            server.wait_serving()
    with running_prometheus(write_prometheus(folder, servers), folder / "data") as prometheus:
        wait_until(lambda: len(prometheus.ask("up == 1")) == 7, "every server is scraped")
        wait_until(
            lambda: len(prometheus.ask('diptych_replicas{state="serving"} == 1')) == 2 * len(SERVICES),
            "both gateways know every service",
        )
        wait_until(lambda: not prometheus.ask("ALERTS"), "nothing is left of the time before the first scrape")
        begin = time.time()
        healthy_until = asyncio.run(_traffic(patient, confused, servers))
        yield Watched(servers=servers, prometheus=prometheus, begin=begin, healthy_until=healthy_until, end=time.time())


async def _traffic(patient: Server, confused: Server, servers: Mapping[str, list[Server]]) -> float:
    [text, _], [classification] = servers["text"], servers["classification"]
    async with connected(patient, confused, text) as (gateway, confused_gateway, text_stubs):
        async with steady_traffic(gateway):
            await asyncio.sleep(HEALTHY_SECONDS)
            healthy_until = time.time()
            mismatch = asyncio.create_task(ended(paint(confused_gateway.gateway)))
            await trouble(gateway, text, text_stubs, classification)
            await mismatch
            await asyncio.sleep(HEALTHY_SECONDS)
    return healthy_until
