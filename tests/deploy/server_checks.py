"""What no schema says of the servers in the manifests: settings that exist, safety, enough of everything."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from pydantic import ValidationError

from gateway.settings import GatewaySettings
from shared.errors import ConfigurationError
from shared.rpc.server import _STOP_SECONDS as STOP_SECONDS
from shared.settings import ServerSettings
from tests.deploy.manifests import MODEL_SERVICES, REPOSITORY, Manifests
from tests.documents import SERVICE_SETTINGS

SETTINGS: dict[str, type[ServerSettings]] = {"gateway": GatewaySettings, **SERVICE_SETTINGS}
PREFIX = "DIPTYCH_"


def environment_is_made_of_settings(found: Manifests) -> Iterator[str]:
    """Each variable is a setting of the server and has a value that it takes, and with all of them it starts."""
    for name in found.names("Deployment"):
        given = found.environment(name)
        unknown = {each for each in given if each.removeprefix(PREFIX).lower() not in SETTINGS[name].model_fields}
        yield from (f"{name}: {each} is no setting of it" for each in sorted(unknown))
        try:
            # As text, as the environment has them.
            values: dict[str, Any] = {
                each.removeprefix(PREFIX).lower(): given[each] for each in given if each not in unknown
            }
            settings = SETTINGS[name](**values)
            settings.check_exposure()
        except ValidationError as error:
            yield from (f"{name}: {each['loc'][0]}={each['input']}: {each['msg']}" for each in error.errors())
        except ConfigurationError as error:
            yield f"{name}: {error}"


def pods_have_time_to_drain(found: Manifests) -> Iterator[str]:
    """The drain delay, the longest deadline, the end of what is on its way through gRPC, and something to spare."""
    for name, pod in found.pods():
        settings = SETTINGS[name]
        environment = found.environment(name)
        delay, longest = (
            float(environment.get(f"{PREFIX}{field.upper()}", settings.model_fields[field].default))
            for field in ("drain_delay_seconds", "drain_timeout_seconds")
        )
        grace = pod["spec"].get("terminationGracePeriodSeconds", 30)
        if grace < delay + longest + STOP_SECONDS + 5:
            yield f"{name}: is killed after {grace} s; it may drain for {delay + longest + STOP_SECONDS} s"
        timeout = found.environment("gateway").get(
            "DIPTYCH_DEFAULT_TIMEOUT_SECONDS", GatewaySettings.model_fields["default_timeout_seconds"].default
        )
        if longest < float(timeout):
            yield f"{name}: cuts calls off after {longest} s; the gateway gives them {timeout} s"
        if delay <= 0:
            yield f"{name}: refuses calls before anybody knows that it goes"


def images_are_those_of_this_version(found: Manifests) -> Iterator[str]:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    for name, pod in found.pods():
        gpu = "nvidia.com/gpu" in pod["spec"]["containers"][0].get("resources", {}).get("limits", {})
        wanted = f"diptych-{name}:{version}{'-cuda' if gpu else ''}"
        if (image := pod["spec"]["containers"][0]["image"]).rpartition("/")[2] != wanted:
            yield f"{name}: image {image}, and not {wanted}"


def pods_are_restricted(found: Manifests) -> Iterator[str]:
    [namespace] = found.of("Namespace")
    if namespace["metadata"]["labels"].get("pod-security.kubernetes.io/enforce") != "restricted":
        yield "Namespace: does not enforce the pod security standard `restricted`"
    for account in found.of("ServiceAccount"):
        if account.get("automountServiceAccountToken") is not False:
            yield f"ServiceAccount {account['metadata']['name']}: hands out its token"
    for name, pod in found.pods():
        spec, [container] = pod["spec"], pod["spec"]["containers"]
        inside = container["securityContext"]
        wanted = {
            "no token": spec.get("automountServiceAccountToken") is False,
            "no root": spec["securityContext"].get("runAsNonRoot") is True,
            "a seccomp profile": spec["securityContext"].get("seccompProfile") == {"type": "RuntimeDefault"},
            "no escalation": inside.get("allowPrivilegeEscalation") is False,
            "no capabilities": inside.get("capabilities") == {"drop": ["ALL"]},
            "a read-only file system": inside.get("readOnlyRootFilesystem") is True,
            "no volumes of the host": all({"secret", "emptyDir"} & each.keys() for each in spec.get("volumes", ())),
        }
        yield from (f"{name}: not {what}" for what, kept in wanted.items() if not kept)


def resources_are_bounded(found: Manifests) -> Iterator[str]:
    for name, pod in found.pods():
        resources = pod["spec"]["containers"][0].get("resources", {})
        for kind in ("requests", "limits"):
            if missing := {"cpu", "memory"} - resources.get(kind, {}).keys():
                yield f"{name}: {kind} do not say {sorted(missing)}"
        gpus = resources.get("limits", {}).get("nvidia.com/gpu")
        device = found.environment(name).get("DIPTYCH_DEVICE", "")
        if (gpus == "1") != (device == "cuda") or gpus not in (None, "1"):
            yield f"{name}: {gpus} GPUs for device {device!r}"
        tolerated = {each.get("key") for each in pod["spec"].get("tolerations", ())}
        if gpus and not ("nvidia.com/gpu" in tolerated and pod["spec"].get("nodeSelector")):
            yield f"{name}: nothing leads it to a node with GPUs"


def rollouts_lose_no_capacity_that_is_not_there(found: Manifests) -> Iterator[str]:
    least = {
        each["spec"]["scaleTargetRef"]["name"]: each["spec"].get("minReplicaCount", each["spec"].get("minReplicas"))
        for each in found.of("ScaledObject", "HorizontalPodAutoscaler")
    }
    for deployment in found.of("Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        gpu = "nvidia.com/gpu" in str(spec["template"]["spec"]["containers"][0].get("resources"))
        wanted = {"maxSurge": 0, "maxUnavailable": 1} if gpu else {"maxSurge": 1, "maxUnavailable": 0}
        if spec["strategy"].get("rollingUpdate") != wanted:
            yield f"{name}: is rolled by {spec['strategy']}"
        if spec.get("replicas", least.get(name, 1)) < 2:
            yield f"{name}: has fewer than two replicas"
        if spec.get("minReadySeconds", 0) >= spec.get("progressDeadlineSeconds", 600):
            yield f"{name}: a rollout counts as failed before a replica counts as available"


def traffic_is_encrypted_or_said_not_to_be(found: Manifests) -> Iterator[str]:
    """With certificates: everywhere, and nothing allows plain text."""
    issuers = {each["metadata"]["name"]: each["spec"] for each in found.of("Certificate")}
    for name, pod in found.pods():
        environment = found.environment(name)
        if not issuers:
            if environment.get("DIPTYCH_ALLOW_INSECURE") != "true":
                yield f"{name}: listens in plain text and does not say so"
            continue
        if "DIPTYCH_ALLOW_INSECURE" in environment:
            yield f"{name}: DIPTYCH_ALLOW_INSECURE is set beside certificates"
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        mounts = {each["mountPath"]: volumes[each["name"]] for each in pod["spec"]["containers"][0]["volumeMounts"]}
        wanted = {"DIPTYCH_TLS_CERTIFICATE", "DIPTYCH_TLS_KEY", "DIPTYCH_TLS_CLIENT_CA"}
        for variable in sorted(wanted | ({"DIPTYCH_SERVICES_CA"} if name == "gateway" else set())):
            path = PurePosixPath(environment.get(variable, "not set"))
            secret = mounts.get(str(path.parent), {}).get("secret", {})
            files = {item["path"] for item in secret.get("items", ())} or {"tls.crt", "tls.key", "ca.crt"}
            if path.name not in files or not secret:
                yield f"{name}: {variable}={path}: nothing is mounted there"
        certificate = issuers.get(name, {})
        if name not in certificate.get("dnsNames", ()) or "server auth" not in certificate.get("usages", ()):
            yield f"{name}: its certificate does not vouch for it"
        if ("client auth" in certificate.get("usages", ())) != (name == "gateway"):
            yield f"{name}: the gateway's certificate is the only server's that opens a service"
    if issuers and found.of("PodMonitor"):
        for monitor in found.of("PodMonitor"):
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                selected = found.selected(monitor["spec"]["selector"])
                name = endpoint.get("tlsConfig", {}).get("serverName")
                if endpoint.get("scheme") != "https" or any(name not in issuers[each]["dnsNames"] for each in selected):
                    yield f"PodMonitor {monitor['metadata']['name']}: {endpoint} meets TLS of {sorted(selected)}"


def callers_certificates_open_no_service(found: Manifests) -> Iterator[str]:
    """The CA that a server asks for is not the one that signs callers, but for the gateway."""
    signed = {
        each["spec"]["secretName"]: each["spec"]["issuerRef"]["name"]
        for each in found.of("Certificate")
        if not each["spec"].get("isCA")
    }
    for name in MODEL_SERVICES if signed else ():
        if signed.get(f"{name}-tls") != signed["gateway-tls"]:
            yield f"{name}: is signed by another CA than the gateway's"
    if signed and signed.get("prometheus-of-gateway-tls") == signed["gateway-tls"]:
        yield "the CA of the services signs those whom the gateway answers to"
