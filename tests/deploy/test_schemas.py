"""Every document that is built is what Kubernetes and the operators take, in three versions of Kubernetes."""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
from pydantic import ValidationError

from tests.deploy.manifests import BUILDS, Document, Manifests, built

VERSIONS = ("1.29", "1.32", "1.35")
MODELS: Mapping[str, str] = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "cert-manager.io/v1": "cloudcoil.models.cert_manager.v1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
"""Where the models of others' kinds are, by API version."""


def problems(found: Manifests, version: str) -> list[str]:
    """What is wrong with the documents of a build."""
    told = (
        _model_problem(text) if json.loads(text)["apiVersion"] in MODELS else _schema_problem(text, version)
        for text in map(json.dumps, found.documents)
    )
    return [each for each in told if each is not None]


@cache  # builds have most documents in common
def _schema_problem(text: str, version: str) -> str | None:
    """What a version of Kubernetes has against a document of its own kinds."""
    document = json.loads(text)
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{document['kind']} {document['metadata']['name']}: {error.message}"
    return None


@cache
def _model_problem(text: str) -> str | None:
    """What an operator has against a document: the model takes it, and gives back all that it was given."""
    document = json.loads(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library itself
        model = getattr(importlib.import_module(MODELS[document["apiVersion"]]), document["kind"])
    named = f"{document['kind']} {document['metadata']['name']}"
    try:
        taken = model.model_validate(document).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except ValidationError as error:
        return f"{named}: {error}"
    lost = missing(document, taken)
    return f"{named}: unknown are {lost}" if lost else None


def missing(given: Any, taken: Any, path: str = "") -> list[str]:
    """The keys of one value that another one has not."""
    if isinstance(given, dict) and isinstance(taken, dict):
        return [
            lost
            for key, value in given.items()
            for lost in (missing(value, taken[key], f"{path}.{key}") if key in taken else [f"{path}.{key}"])
        ]
    if isinstance(given, list) and isinstance(taken, list) and len(given) == len(taken):
        return [lost for index, each in enumerate(given) for lost in missing(each, taken[index], f"{path}[{index}]")]
    return []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("build", BUILDS)
def test_documents_are_valid(build: str, version: str) -> None:
    assert problems(built(build), version) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec template spec containers 0 readinesProbe", {}),
        ("Deployment", "spec replicas", "two"),
        ("NetworkPolicy", "spec ingress 0 form", []),
        ("PodDisruptionBudget", "spec maxUnavailabe", 1),
        ("HorizontalPodAutoscaler", "spec metrics 0 external target averagevalue", "1"),
        ("Certificate", "spec secret", "x"),
        ("Certificate", "spec duration", 90),
        ("Issuer", "spec ca secret", "x"),
        ("PodMonitor", "spec podMetricsEndpoints 0 tlsconfig", {}),
        ("PrometheusRule", "spec groups 0 rules 0 fro", "1m"),
    ],
)
def test_planted_fault_is_told(kind: str, path: str, value: object) -> None:
    [*_, document] = built("gpu with everything").copy().of(kind)
    assert_told(document, path, value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec triggers 0 metricsType", "Value"),
        ("spec minReplicas", 2),
        ("spec advanced horizontalPodAutoscalerConfig behaviour", {}),
        ("spec maxReplicaCount", "many"),
    ],
)
def test_fault_planted_in_a_scaled_object_is_told(path: str, value: object) -> None:
    assert_told(built("keda").copy().one("ScaledObject", "text"), path, value)


def assert_told(document: Document, path: str, value: object) -> None:
    """The document is valid, and is not once a value has been put at a path."""
    assert problems(Manifests([document]), VERSIONS[0]) == []
    *keys, last = (int(key) if key.isdigit() else key for key in path.split())
    where: Any = document
    for key in keys:
        where = where[key]
    where[last] = value
    [problem] = problems(Manifests([document]), VERSIONS[0])
    assert document["metadata"]["name"] in problem
