"""The platform as Compose brings it up: calls through the published port, and how the containers are locked up."""

from __future__ import annotations

import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from diptych.gateway.v1 import gateway_pb2
from tests.containers.building import SERVERS, SERVICES
from tests.containers.compose import Compose, wait_until
from tests.containers.conftest import MONITORING
from tests.end_to_end.calls import CALL_SECONDS
from tests.end_to_end.scrape import scrape

if TYPE_CHECKING:
    from tests.containers.conftest import GatewayStub

EVERYTHING = (*SERVERS, *MONITORING)


def inspected(compose: Compose, service: str) -> dict[str, Any]:
    [container] = compose.containers(service)
    return compose.engine.inspect(container)


def process_status(compose: Compose, service: str) -> dict[str, str]:
    """/proc/PID/status of a container's first process."""
    text = Path(f"/proc/{inspected(compose, service)['State']['Pid']}/status").read_text()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}


@pytest.mark.parametrize("service", EVERYTHING)
def test_container_is_healthy(service: str, compose: Compose) -> None:
    [container] = compose.containers(service)
    assert compose.health(container) == "healthy"


async def test_words_become_a_picture_and_the_picture_words(gateway: GatewayStub) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="a black cat", seeds=[7])
    painted = await gateway.TextToImage(request, timeout=CALL_SECONDS)
    [picture] = painted.images
    described = await gateway.ImageToText(
        gateway_pb2.ImageToTextRequest(images=[picture.image.data], language="en"), timeout=CALL_SECONDS
    )
    assert "cat" in described.descriptions[0].captions[0].text


def test_playground_answers_at_its_published_port(compose: Compose) -> None:

    with urllib.request.urlopen("http://127.0.0.1:8080/", timeout=10) as page:
        assert b"Diptych" in page.read()


def test_only_gateway_and_prometheus_are_published_and_on_loopback(compose: Compose) -> None:
    published = {
        service: sorted(
            f"{each['HostIp']}:{each['HostPort']}"
            for bindings in inspected(compose, service)["NetworkSettings"]["Ports"].values()
            for each in bindings or ()
        )
        for service in EVERYTHING
    }
    assert {service: ports for service, ports in published.items() if ports} == {
        "gateway": ["127.0.0.1:50051", "127.0.0.1:8080"],
        "prometheus": ["127.0.0.1:9090"],
    }


@pytest.mark.parametrize("service", SERVICES)
def test_model_service_is_in_the_internal_network_alone(service: str, compose: Compose) -> None:
    [container] = compose.containers(service)
    [network] = compose.networks(container)
    assert compose.engine.inspect(network)["Internal"] is True


@pytest.mark.parametrize("service", EVERYTHING)
def test_process_has_no_root_no_capability_and_no_way_to_gain_any(service: str, compose: Compose) -> None:
    status = process_status(compose, service)
    assert "0" not in status["Uid"].split()
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", EVERYTHING)
def test_root_file_system_is_read_only_and_resources_are_bounded(service: str, compose: Compose) -> None:
    told = inspected(compose, service)["HostConfig"]
    assert told["ReadonlyRootfs"] is True
    assert 0 < told["Memory"] <= 2 << 30
    assert told["NanoCpus"] > 0
    assert told["PidsLimit"] > 0
    with pytest.raises(AssertionError, match=r"Read-only|can't create|cannot touch"):
        compose("exec", service, "sh", "-c", "echo x > /opt/written || echo x > /written")


def test_prometheus_scrapes_every_server(compose: Compose) -> None:
    def seen() -> set[str]:
        targets = compose("exec", "prometheus", "promtool", "query", "instant", "http://127.0.0.1:9090", "up == 1")
        return {name for name in SERVERS if f'component="{name}"' in targets}

    wait_until(lambda: seen() == set(SERVERS), "all servers are up in Prometheus")


def test_metrics_port_answers_inside_the_network(compose: Compose) -> None:
    [container] = compose.containers("text")
    assert "diptych_model_info" in scrape(9090, compose.address(container)).families
