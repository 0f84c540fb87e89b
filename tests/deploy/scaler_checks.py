"""What no schema says of what scales: that it has a target, and asks for what is recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.deploy.manifests import KUBERNETES, REPOSITORY, Document, Manifests

SCALING = REPOSITORY / "deploy" / "prometheus" / "scaling.yml"
ADAPTER = KUBERNETES / "overlays" / "hpa" / "prometheus-adapter.yaml"


def recorded() -> dict[str, str]:
    """The expression of each series that scaling.yml records, by its name."""
    [group] = yaml.safe_load(SCALING.read_text("utf-8"))["groups"]
    return {rule["record"]: rule["expr"] for rule in group["rules"]}


def scalers_have_their_targets(found: Manifests) -> Iterator[str]:
    scalers = found.of("ScaledObject", "HorizontalPodAutoscaler")
    targets = [each["spec"]["scaleTargetRef"]["name"] for each in scalers]
    if scalers and sorted(targets) != sorted(found.names("Deployment")):
        yield f"scaled are {sorted(targets)}, there are {sorted(found.names('Deployment'))}"
    for each in scalers:
        target, spec = each["spec"]["scaleTargetRef"]["name"], each["spec"]
        for deployment in found.of("Deployment"):
            if deployment["metadata"]["name"] == target and "replicas" in deployment["spec"]:
                yield f"{target}: its replicas are set both by the Deployment and by {each['kind']}"
        least = spec.get("minReplicaCount", spec.get("minReplicas", 0))
        if not 2 <= least <= spec.get("maxReplicaCount", spec.get("maxReplicas", 0)):
            yield f"{each['kind']} {target}: from {least} replicas to fewer"


def scalers_ask_for_what_is_recorded(found: Manifests) -> Iterator[str]:
    for scaler, series, component in _asked(found):
        target = scaler["spec"]["scaleTargetRef"]["name"]
        if series not in recorded():
            yield f"{scaler['kind']} {target}: nobody records {series}"
        if component != target:
            yield f"{scaler['kind']} {target}: scales by the load of {component}"


def _asked(found: Manifests) -> Iterator[tuple[Document, str, str]]:
    """Scaler, series and component, of each metric that is not CPU."""
    for scaler in found.of("ScaledObject"):
        for trigger in scaler["spec"]["triggers"]:
            if trigger["type"] == "prometheus":
                query = trigger["metadata"]["query"]
                asked = re.fullmatch(r'(.+)\{component="(.+)"\}', query)
                yield scaler, *((asked[1], asked[2]) if asked else (query, ""))
    names = adapted()
    for scaler in found.of("HorizontalPodAutoscaler"):
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] == "External":
                name = metric["external"]["metric"]["name"]
                component = metric["external"]["metric"]["selector"]["matchLabels"].get("component", "")
                yield scaler, names.get(name, name), component


def adapted() -> dict[str, str]:
    """The series behind each metric that prometheus-adapter is told to offer."""
    rules = yaml.safe_load(ADAPTER.read_text("utf-8"))["rules"]["external"]
    return {rule["name"]["as"]: re.findall(r'__name__="([^"]+)"', rule["seriesQuery"])[0] for rule in rules}


def decisions(found: Manifests) -> dict[str, Any]:
    """What is decided by whom, the same for KEDA and for the autoscaler of Kubernetes: bounds, targets, behaviour."""
    told: dict[str, Any] = {}
    names = adapted()
    for each in found.of("ScaledObject"):
        spec = each["spec"]
        told[spec["scaleTargetRef"]["name"]] = {
            "bounds": (spec["minReplicaCount"], spec["maxReplicaCount"]),
            "behaviour": spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"],
            "targets": {
                trigger["metadata"].get("query", "cpu").partition("{")[0]: (
                    trigger["metricType"],
                    float(trigger["metadata"].get("threshold", trigger["metadata"].get("value"))),
                )
                for trigger in spec["triggers"]
            },
        }
    for each in found.of("HorizontalPodAutoscaler"):
        spec = each["spec"]
        targets: dict[str, tuple[str, float]] = {}
        for metric in spec["metrics"]:
            kind = metric["type"].lower()
            target = metric[kind]["target"]
            value = target[target["type"][0].lower() + target["type"][1:]] if kind == "external" else None
            name = names[metric[kind]["metric"]["name"]] if kind == "external" else metric[kind]["name"]
            number = _quantity(value) if value is not None else float(target["averageUtilization"])
            targets[name] = (target["type"], number)
        told[spec["scaleTargetRef"]["name"]] = {
            "bounds": (spec["minReplicas"], spec["maxReplicas"]),
            "behaviour": spec["behavior"],
            "targets": targets,
        }
    return told


def _quantity(text: str) -> float:
    """Of Kubernetes: thousandths with an m."""
    return float(text.removesuffix("m")) / (1000 if text.endswith("m") else 1)
