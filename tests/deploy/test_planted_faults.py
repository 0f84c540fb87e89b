"""Each check of the manifests finds a fault of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.deploy import cross_checks as cross
from tests.deploy import scaler_checks as scaler
from tests.deploy import server_checks as server
from tests.deploy.manifests import Manifests, built
from tests.deploy.test_manifests import CHECKS, Check

GONE = object()
"""In place of a value: the key is taken out."""


class Fault(NamedTuple):
    """A change of one build, and a word of what is said about it."""

    build: str
    document: str
    """Kind and name; of a ConfigMap the name without its hash."""
    path: str
    """Keys and indexes, with spaces between; `-` at the end appends."""
    value: Any
    word: str


LABEL = "app.kubernetes.io/component"
POD = "spec template spec"
CONTAINER = f"{POD} containers 0"
SECURITY = f"{CONTAINER} securityContext"
TERM = "affinity podAntiAffinity preferredDuringSchedulingIgnoredDuringExecution 0 podAffinityTerm"
SERVERS, SERVICES = "ConfigMap server-settings", "ConfigMap model-service-settings"
GATEWAY = "ConfigMap gateway-settings"
ENFORCE = "pod-security.kubernetes.io/enforce"
POLICY = "NetworkPolicy model-services"
ROLLING = "spec strategy rollingUpdate"
ENDPOINT = "spec podMetricsEndpoints 0"
QUERY = "spec triggers 0 metadata query"
METRIC = "spec metrics 0 external metric"

FAULTS: Mapping[Check, list[Fault]] = {
    cross.every_server_is_there: [
        Fault("cpu", "PodDisruptionBudget text", "metadata name", "texts", "PodDisruptionBudget"),
        Fault("keda", "ScaledObject text", "metadata namespace", "default", "namespace"),
    ],
    cross.selectors_select_their_own_pods: [
        Fault("cpu", "Service text", f"spec selector {LABEL}", "txt", "Service text"),
        Fault("cpu", "Service text", "spec clusterIP", "10.0.0.1", "headless"),
        Fault("cpu", "Service gateway", "spec clusterIP", "None", "headless"),
        Fault("cpu", "PodDisruptionBudget text", f"spec selector matchLabels {LABEL}", GONE, "Budget text"),
        Fault("cpu", "Deployment text", f"spec selector matchLabels {LABEL}", "generation", "Deployment text"),
        Fault("cpu", "Deployment text", f"{POD} topologySpreadConstraints 0 labelSelector", {}, "selects"),
        Fault("gpu", "Deployment text", f"{POD} {TERM} labelSelector", {}, "selects"),
    ],
    cross.ports_are_where_they_are_looked_for: [
        Fault("cpu", "Deployment text", f"{CONTAINER} ports 0 containerPort", 50052, "port grpc"),
        Fault("cpu", SERVERS, "data DIPTYCH_HEALTH_PORT", "50058", "HEALTH_PORT"),
        Fault("cpu", SERVERS, "data DIPTYCH_METRICS_PORT", GONE, "METRICS_PORT"),
        Fault("cpu", "Deployment text", f"{CONTAINER} livenessProbe grpc service", GONE, "livenessProbe"),
        Fault("cpu", "Deployment text", f"{CONTAINER} readinessProbe grpc service", "live", "readinessProbe"),
        Fault("cpu", "Deployment text", f"{CONTAINER} startupProbe", GONE, "startupProbe"),
        Fault("cpu", "Service text", "spec ports 0 targetPort", "grcp", "Service text"),
        Fault("monitoring", "PodMonitor gateway", f"{ENDPOINT} port", "metric", "PodMonitor gateway"),
    ],
    cross.gateway_finds_the_services: [
        Fault("cpu", GATEWAY, "data DIPTYCH_TEXT_TARGETS", "dns:///text:50061", "TEXT_TARGETS"),
        Fault("cpu", GATEWAY, "data DIPTYCH_TEXT_TARGETS", "dns:///texts:50051", "TEXT_TARGETS"),
    ],
    cross.policies_let_through_what_is_needed_and_no_more: [
        Fault("cpu", POLICY, "spec ingress 0 from", GONE, "open"),
        Fault("cpu", POLICY, "spec ingress 1 ports 0 port", "metric", "does not have"),
        Fault("cpu", POLICY, f"spec ingress 0 from 0 podSelector matchLabels {LABEL}", "gate", "open"),
        Fault("cpu", POLICY, "spec podSelector matchExpressions 0 values 0", "texts", "of text"),
        Fault("cpu", "NetworkPolicy gateway", "spec egress 1", GONE, "gateway call"),
        Fault("cpu", "NetworkPolicy gateway", "spec policyTypes 1", GONE, "only"),
    ],
    cross.references_lead_somewhere: [
        Fault("cpu", "Deployment text", f"{CONTAINER} envFrom 1 configMapRef name", "nothing", "no ConfigMap"),
        Fault("cpu", "Deployment gateway", f"{CONTAINER} envFrom 1", GONE, "nobody reads"),
        Fault("cpu", "Deployment text", f"{POD} serviceAccountName", "nobody", "ServiceAccount"),
        Fault("cpu", "Deployment text", f"{POD} volumes 0 name", "temporary", "no volume"),
        Fault("tls", "Certificate text", "spec secretName", "txt-tls", "text-tls"),
    ],
    server.environment_is_made_of_settings: [
        Fault("cpu", SERVERS, "data DIPTYCH_PRT", "1", "no setting"),
        Fault("cpu", SERVERS, "data DIPTYCH_DEVICE", "cpu", "gateway: DIPTYCH_DEVICE is no setting"),
        Fault("cpu", SERVERS, "data DIPTYCH_PORT", "x", "port=x"),
        Fault("cpu", SERVICES, "data DIPTYCH_DEVICE", "gpu", "device=gpu"),
        Fault("cpu", GATEWAY, "data DIPTYCH_TEXT_TARGETS", "text", "targets=text"),
        Fault("cpu", "Deployment text", f"{CONTAINER} env", [], "others may reach"),
        Fault("tls", GATEWAY, "data DIPTYCH_TLS_CLIENT_CA", GONE, "others may reach"),
    ],
    server.pods_have_time_to_drain: [
        Fault("cpu", "Deployment text", f"{POD} terminationGracePeriodSeconds", 65, "killed"),
        Fault("cpu", "Deployment text", f"{POD} terminationGracePeriodSeconds", GONE, "killed after 30"),
        Fault("cpu", SERVERS, "data DIPTYCH_DRAIN_TIMEOUT_SECONDS", "30", "cuts calls off"),
        Fault("cpu", SERVERS, "data DIPTYCH_DRAIN_DELAY_SECONDS", GONE, "refuses calls"),
        Fault("cpu", GATEWAY, "data DIPTYCH_DEFAULT_TIMEOUT_SECONDS", "90", "gives them 90"),
    ],
    server.images_are_those_of_this_version: [
        Fault("cpu", "Deployment text", f"{CONTAINER} image", "diptych-text:0.0.9", "0.0.9"),
        Fault("cpu", "Deployment text", f"{CONTAINER} image", "diptych-generation:0.2.0", "diptych-text"),
        Fault("gpu", "Deployment text", f"{CONTAINER} image", "diptych-text:0.2.0", "-cuda"),
    ],
    server.pods_are_restricted: [
        Fault("cpu", "Namespace diptych", f"metadata labels {ENFORCE}", "baseline", "Namespace"),
        Fault("cpu", "ServiceAccount diptych", "automountServiceAccountToken", GONE, "its token"),
        Fault("cpu", "Deployment text", f"{POD} automountServiceAccountToken", True, "no token"),
        Fault("cpu", "Deployment text", f"{POD} securityContext runAsNonRoot", False, "no root"),
        Fault("cpu", "Deployment text", f"{POD} securityContext seccompProfile", GONE, "seccomp"),
        Fault("cpu", "Deployment text", f"{SECURITY} capabilities drop", [], "capabilities"),
        Fault("cpu", "Deployment text", f"{SECURITY} allowPrivilegeEscalation", GONE, "escalation"),
        Fault("cpu", "Deployment text", f"{SECURITY} readOnlyRootFilesystem", GONE, "read-only"),
        Fault("cpu", "Deployment text", f"{POD} volumes -", {"name": "x", "hostPath": {"path": "/"}}, "volumes"),
    ],
    server.resources_are_bounded: [
        Fault("cpu", "Deployment text", f"{CONTAINER} resources limits memory", GONE, "memory"),
        Fault("gpu", "Deployment text", f"{CONTAINER} resources limits nvidia.com/gpu", GONE, "GPUs"),
        Fault("gpu", "Deployment text", f"{CONTAINER} resources limits nvidia.com/gpu", "2", "GPUs"),
        Fault("gpu", "Deployment text", f"{POD} tolerations", GONE, "node"),
    ],
    server.rollouts_lose_no_capacity_that_is_not_there: [
        Fault("cpu", "Deployment text", f"{ROLLING} maxSurge", 0, "rolled"),
        Fault("gpu", "Deployment text", f"{ROLLING} maxSurge", 1, "rolled"),
        Fault("gpu", "Deployment text", "spec replicas", 1, "fewer than two"),
        Fault("hold", "Deployment text", "spec progressDeadlineSeconds", GONE, "counts as failed"),
        Fault("keda", "ScaledObject text", "spec minReplicaCount", 1, "fewer than two"),
    ],
    server.traffic_is_encrypted_or_said_not_to_be: [
        Fault("cpu", "Deployment text", f"{CONTAINER} env", [], "plain text"),
        Fault("tls", SERVERS, "data DIPTYCH_ALLOW_INSECURE", "true", "ALLOW_INSECURE"),
        Fault("tls", SERVICES, "data DIPTYCH_TLS_CLIENT_CA", GONE, "CLIENT_CA"),
        Fault("tls", GATEWAY, "data DIPTYCH_TLS_CLIENT_CA", "/etc/diptych/callers/tls.crt", "nothing is mounted"),
        Fault("tls", "Deployment gateway", f"{CONTAINER} volumeMounts 0 mountPath", "/etc", "nothing is mounted"),
        Fault("tls", "Certificate text", "spec dnsNames 0", "txt", "vouch"),
        Fault("tls", "Certificate text", "spec usages -", "client auth", "only server"),
        Fault("example", "PodMonitor gateway", f"{ENDPOINT} scheme", GONE, "PodMonitor gateway"),
        Fault("example", "PodMonitor gateway", f"{ENDPOINT} tlsConfig serverName", "x", "PodMonitor gateway"),
    ],
    server.callers_certificates_open_no_service: [
        Fault("tls", "Certificate text", "spec issuerRef name", "callers", "another CA"),
        Fault("tls", "Certificate prometheus-of-gateway", "spec issuerRef name", "services", "answers to"),
    ],
    scaler.scalers_have_their_targets: [
        Fault("keda", "ScaledObject text", "spec scaleTargetRef name", "texts", "texts"),
        Fault("hpa", "Deployment text", "spec replicas", 2, "both"),
        Fault("hpa", "HorizontalPodAutoscaler text", "spec maxReplicas", 1, "fewer"),
    ],
    scaler.scalers_ask_for_what_is_recorded: [
        Fault("keda", "ScaledObject text", QUERY, 'component:diptych_load:x{component="text"}', "nobody records"),
        Fault(
            "keda", "ScaledObject text", QUERY, 'component:diptych_load_replicas:rate30s{component="x"}', "load of x"
        ),
        Fault("hpa", "HorizontalPodAutoscaler text", f"{METRIC} name", "diptych_load", "nobody records"),
        Fault("hpa", "HorizontalPodAutoscaler text", f"{METRIC} selector matchLabels component", "x", "load of x"),
    ],
}


def plant(found: Manifests, fault: Fault) -> None:
    """Changes one document."""
    kind, _, name = fault.document.partition(" ")
    [document] = [
        each
        for each in found.of(kind)
        if each["metadata"]["name"] == name or (kind == "ConfigMap" and each["metadata"]["name"].startswith(f"{name}-"))
    ]
    *keys, last = (int(key) if key.isdigit() else key for key in fault.path.split())
    where: Any = document
    for key in keys:
        where = where[key]
    if last == "-":
        where.append(fault.value)
    elif fault.value is GONE:
        del where[last]
    else:
        where[last] = fault.value


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        pytest.param(check, each, id=f"{check.__name__}-{each.word}")
        for check, faults in FAULTS.items()
        for each in faults
    ],
)
def test_planted_fault_is_told(check: Check, fault: Fault) -> None:
    found = built(fault.build).copy()
    before = set(check(found))
    plant(found, fault)
    assert any(fault.word in problem for problem in set(check(found)) - before)


def test_each_check_has_a_fault() -> None:
    assert set(FAULTS) == set(CHECKS)
