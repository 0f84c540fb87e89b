"""What no schema says of the manifests: that their parts fit each other. Each check gives the problems it finds."""

from __future__ import annotations

from collections.abc import Iterator

from tests.deploy.manifests import COMPONENT, MODEL_SERVICES, Document, Manifests, matches


def every_server_is_there(found: Manifests) -> Iterator[str]:
    for kind in ("Deployment", "Service", "PodDisruptionBudget"):
        if found.names(kind) != {"gateway", *MODEL_SERVICES}:
            yield f"{kind}: {sorted(found.names(kind))}"
    for document in found.documents:
        if document["kind"] != "Namespace" and document["metadata"].get("namespace") != "diptych":
            yield f"{document['kind']} {document['metadata']['name']}: not in the namespace diptych"


def selectors_select_their_own_pods(found: Manifests) -> Iterator[str]:
    for deployment in found.of("Deployment"):
        name, spec = deployment["metadata"]["name"], deployment["spec"]
        pod = spec["template"]["spec"]
        selectors = [spec["selector"]]
        selectors += [each["labelSelector"] for each in pod["topologySpreadConstraints"]]
        affinity = pod.get("affinity", {}).get("podAntiAffinity", {})
        for term in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", ()):
            selectors.append(term["podAffinityTerm"]["labelSelector"])
        for selector in selectors:
            if found.selected(selector) != {name}:
                yield f"Deployment {name}: {selector} selects {sorted(found.selected(selector))}"
        if spec["template"]["metadata"]["labels"].get(COMPONENT) != name:
            yield f"Deployment {name}: its pods are of another component"
    for service in found.of("Service"):
        name = service["metadata"]["name"]
        if (selected := found.selected({"matchLabels": service["spec"]["selector"]})) != {name}:
            yield f"Service {name}: selects {sorted(selected)}"
        if (service["spec"].get("clusterIP") == "None") != (name in MODEL_SERVICES):
            yield f"Service {name}: services are headless, and the gateway is not"
    for budget in found.of("PodDisruptionBudget"):
        name = budget["metadata"]["name"]
        if (selected := found.selected(budget["spec"]["selector"])) != {name}:
            yield f"PodDisruptionBudget {name}: selects {sorted(selected)}"


def ports_are_where_they_are_looked_for(found: Manifests) -> Iterator[str]:
    for name, pod in found.pods():
        environment, ports = found.environment(name), _ports(pod)
        for kind in ("grpc", "metrics", "health"):
            variable = "DIPTYCH_PORT" if kind == "grpc" else f"DIPTYCH_{kind.upper()}_PORT"
            if str(ports.get(kind)) != environment.get(variable):
                yield f"Deployment {name}: port {kind} is {ports.get(kind)}, {variable} is {environment.get(variable)}"
        container = pod["spec"]["containers"][0]
        for probe, wanted in (("startupProbe", ""), ("readinessProbe", ""), ("livenessProbe", "live")):
            asked = container.get(probe, {}).get("grpc", {})
            if (asked.get("port"), asked.get("service", "")) != (ports.get("health"), wanted):
                yield f"Deployment {name}: {probe} asks {asked}"
    for service in found.of("Service"):
        name = service["metadata"]["name"]
        ports = _ports(found.one("Deployment", name)["spec"]["template"])
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports or port["port"] != ports[port["targetPort"]]:
                yield f"Service {name}: {port} leads to no port of its pods, {ports}"
    for monitor in found.of("PodMonitor"):
        for name in found.selected(monitor["spec"]["selector"]):
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                if endpoint["port"] not in _ports(found.one("Deployment", name)["spec"]["template"]):
                    yield f"PodMonitor {monitor['metadata']['name']}: {name} has no port {endpoint['port']}"


def gateway_finds_the_services(found: Manifests) -> Iterator[str]:
    environment = found.environment("gateway")
    for name in MODEL_SERVICES:
        ports = {port["port"] for port in found.one("Service", name)["spec"]["ports"] if port["name"] == "grpc"}
        variable = f"DIPTYCH_{name.upper()}_TARGETS"
        if environment.get(variable) not in {f"dns:///{name}:{port}" for port in ports}:
            yield f"gateway: {variable} is {environment.get(variable)}"


def policies_let_through_what_is_needed_and_no_more(found: Manifests) -> Iterator[str]:
    for name in found.names("Deployment"):
        opened: dict[str, set[str]] = {}
        policies = [each for each in found.of("NetworkPolicy") if name in found.selected(each["spec"]["podSelector"])]
        for policy in policies:
            if set(policy["spec"]["policyTypes"]) != {"Ingress", "Egress"}:
                yield f"NetworkPolicy {policy['metadata']['name']}: holds for {policy['spec']['policyTypes']} only"
            for rule in policy["spec"]["ingress"]:
                for port in rule["ports"]:
                    opened.setdefault(port["port"], set()).update(_peers(found, rule.get("from")))
        callers = {"everybody"} if name == "gateway" else {"gateway"}
        wanted = {"grpc": callers, "metrics": {"monitoring/prometheus"}, "health": {"everybody"}}
        if opened != wanted:
            yield f"network policies open {opened} of {name}"
        strangers = opened.keys() - _ports(found.one("Deployment", name)["spec"]["template"])
        if strangers:
            yield f"network policies of {name} name ports that it does not have: {sorted(strangers)}"
        calls = {
            (peer, port["port"])
            for policy in policies
            for rule in policy["spec"]["egress"]
            for port in rule["ports"]
            for peer in _peers(found, rule.get("to"))
        }
        needed = {("everybody", 53), *((service, "grpc") for service in MODEL_SERVICES)} if name == "gateway" else set()
        if calls != needed:
            yield f"network policies let {name} call {sorted(map(str, calls))}"


def references_lead_somewhere(found: Manifests) -> Iterator[str]:
    made = {each["spec"]["secretName"] for each in found.of("Certificate")}
    for name, pod in found.pods():
        account = pod["spec"].get("serviceAccountName")
        if account not in found.names("ServiceAccount"):
            yield f"Deployment {name}: no ServiceAccount {account}"
        for source in pod["spec"]["containers"][0].get("envFrom", ()):
            if source["configMapRef"]["name"] not in found.names("ConfigMap"):
                yield f"Deployment {name}: no ConfigMap {source['configMapRef']['name']}"
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
        for mount in pod["spec"]["containers"][0].get("volumeMounts", ()):
            if mount["name"] not in volumes:
                yield f"Deployment {name}: no volume {mount['name']}"
        for volume in volumes.values():
            if "secret" in volume and volume["secret"]["secretName"] not in made:
                yield f"Deployment {name}: no certificate makes the secret {volume['secret']['secretName']}"
    used = {source["configMapRef"]["name"] for _, pod in found.pods() for source in _sources(pod)}
    for name in found.names("ConfigMap") - used:
        if found.one("ConfigMap", name)["metadata"].get("labels", {}).get("grafana_dashboard") != "1":
            yield f"ConfigMap {name}: nobody reads it"


def _sources(pod: Document) -> list[Document]:
    sources: list[Document] = pod["spec"]["containers"][0].get("envFrom", [])
    return sources


def _ports(pod: Document) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in pod["spec"]["containers"][0]["ports"]}


def _peers(found: Manifests, peers: list[Document] | None) -> set[str]:
    """Who is named by a rule: Deployments, pods of other namespaces, or everybody."""
    if peers is None:
        return {"everybody"}
    named: set[str] = set()
    for peer in peers:
        if "namespaceSelector" not in peer:
            named |= found.selected(peer["podSelector"])
        elif matches(peer["podSelector"], {"app.kubernetes.io/name": "prometheus"}):
            named.add(f"{peer['namespaceSelector']['matchLabels']['kubernetes.io/metadata.name']}/prometheus")
        else:
            named.add(str(peer))
    return named
