"""Every overlay builds, and its parts fit each other; what is checked is seen red in test_planted_faults.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest

from deploy.kubernetes.generate import DEPLOY, generated
from tests.deploy import cross_checks, scaler_checks, server_checks
from tests.deploy.manifests import BUILDS, KUBERNETES, REPOSITORY, Manifests, built

Check = Callable[[Manifests], Iterator[str]]
CHECKS: list[Check] = [
    each
    for module in (cross_checks, server_checks, scaler_checks)
    for name, each in vars(module).items()
    if callable(each) and each.__module__ == module.__name__ and each.__annotations__.get("return") == "Iterator[str]"
    and not name.startswith("_")
]  # fmt: skip


def test_every_overlay_is_built() -> None:
    built_of = {part for folder, more in BUILDS.values() for part in (folder.removeprefix("overlays/"), *more)}
    assert {path.name for path in (KUBERNETES / "overlays").iterdir()} == built_of - {"base", "example"}


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_manifests_fit_together(check: Check, build: str) -> None:
    if build == "base" and check is server_checks.resources_are_bounded:
        pytest.skip("overlays/cpu and overlays/gpu say what a model service gets")
    assert list(check(built(build))) == []


def test_documents_are_not_there_twice() -> None:
    for build in BUILDS:
        names = [(each["kind"], each["metadata"]["name"]) for each in built(build).documents]
        assert len(names) == len(set(names)), build


def test_generated_files_are_what_make_manifests_writes() -> None:
    for path, content in generated().items():
        assert path.read_text("utf-8") == content, f"{path.relative_to(DEPLOY.parent)}: run make manifests"


def test_rules_and_dashboards_are_in_the_overlay_monitoring() -> None:
    found = built("monitoring")
    [rule] = found.of("PrometheusRule")
    assert "diptych-scaling" in [group["name"] for group in rule["spec"]["groups"]]
    dashboards = {path.name for path in (DEPLOY / "grafana" / "dashboards").glob("*.json")}
    shown = {
        name: json.loads(text)
        for each in found.of("ConfigMap")
        if each["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
        for name, text in each["data"].items()
    }
    assert shown.keys() == dashboards


def test_images_are_targets_of_the_dockerfile() -> None:
    dockerfile = DEPLOY / "Dockerfile"
    targets = set(re.findall(r"^FROM .+ AS (\S+)", dockerfile.read_text("utf-8"), re.MULTILINE))
    assert {name for name, _ in built("cpu").pods()} <= targets


def test_pods_run_as_the_user_of_the_images() -> None:
    users = set(re.findall(r"^USER (.+)", (DEPLOY / "Dockerfile").read_text("utf-8"), re.MULTILINE))
    for name, pod in built("cpu").pods():
        context = pod["spec"]["securityContext"]
        assert {f"{context['runAsUser']}:{context['runAsGroup']}"} == users, name


def test_keda_and_the_autoscaler_of_kubernetes_decide_the_same() -> None:
    decided = scaler_checks.decisions(built("keda"))
    assert decided.keys() == {name for name, _ in built("keda").pods()}
    assert decided == scaler_checks.decisions(built("hpa"))


def test_hold_stops_the_model_services_after_their_first_new_replica_and_the_gateway_not() -> None:
    held, usual = built("hold"), built("cpu")
    for name, _ in usual.pods():
        seconds = [found.one("Deployment", name)["spec"]["minReadySeconds"] for found in (usual, held)]
        assert seconds == [30, 30 if name == "gateway" else 86400]


def test_readme_names_every_overlay() -> None:
    text = (REPOSITORY / "deploy" / "README.md").read_text("utf-8")
    for path in sorted((KUBERNETES / "overlays").iterdir()):
        assert f"overlays/{path.name}" in text
