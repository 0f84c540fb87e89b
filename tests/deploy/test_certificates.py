"""Who may talk to whom with the certificates of overlays/tls: made as cert-manager would, and shown to real servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from shared.rpc.channel import open_channel
from shared.rpc.server import Server
from tests.certificates import Authority, Leaf
from tests.deploy.manifests import MODEL_SERVICES, built
from tests.deploy.server_checks import PREFIX
from tests.shared.rpc.serving import request, stub
from tests.shared.rpc.tls import BYTES, tls_server, untried

TLS = ("TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA")
SERVERS = ("gateway", *MODEL_SERVICES)


class Cluster:
    """The secrets that cert-manager would make of the overlay's certificates, and the servers that mount them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found = built("tls")
        specs = {name: self._found.one("Certificate", name)["spec"] for name in self._found.names("Certificate")}
        secrets = {spec["secretName"]: Authority(folder, name) for name, spec in specs.items() if spec.get("isCA")}
        self.authorities = {
            issuer["metadata"]["name"]: secrets[issuer["spec"]["ca"]["secretName"]]
            for issuer in self._found.of("Issuer")
            if "ca" in issuer["spec"]
        }
        self._secrets: dict[str, dict[str, bytes]] = {
            name: {"tls.crt": authority.path.read_bytes()} for name, authority in secrets.items()
        }
        self.leaves: dict[str, Leaf] = {}
        for name, spec in specs.items():
            if not spec.get("isCA"):
                authority = self.authorities[spec["issuerRef"]["name"]]
                leaf = self.leaves[name] = self.leaf(authority, spec)
                self._secrets[spec["secretName"]] = {
                    "tls.crt": leaf.certificate.read_bytes(),
                    "tls.key": leaf.key.read_bytes(),
                    "ca.crt": authority.path.read_bytes(),
                }

    @staticmethod
    def leaf(authority: Authority, spec: Any) -> Leaf:
        """What the authority signs for a certificate's spec."""
        purposes = tuple(each.removesuffix(" auth") for each in spec["usages"] if each.endswith(" auth"))
        dns = tuple(spec.get("dnsNames", ()))
        return authority.leaf(spec.get("commonName", ""), dns=dns, addresses=(), purposes=purposes)

    def settings(self, name: str) -> dict[str, Any]:
        """Those of TLS of a server, with the files that its pod would find."""
        pod = self._found.one("Deployment", name)["spec"]["template"]["spec"]
        mounts = {each["name"]: each["mountPath"] for each in pod["containers"][0]["volumeMounts"]}
        root = self._folder / name
        for volume in pod["volumes"]:
            for file, content in self._files(volume.get("secret")):
                path = root / mounts[volume["name"]].lstrip("/") / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        environment = self._found.environment(name)
        return {each.lower(): root / environment[f"{PREFIX}{each}"].lstrip("/") for each in TLS}

    def _files(self, secret: Any) -> Iterator[tuple[str, bytes]]:
        if secret is not None:
            content = self._secrets[secret["secretName"]]
            items = secret.get("items") or [{"key": key, "path": key} for key in content]
            yield from ((item["path"], content[item["key"]]) for item in items)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path)


@asynccontextmanager
async def serving(cluster: Cluster, name: str) -> AsyncIterator[Server]:
    async with tls_server(**cluster.settings(name)) as server:
        yield server


async def opens(cluster: Cluster, own: Leaf | None, server: Server, name: str) -> bool:
    """Whether a call with this certificate is answered by a server that must be the one of that name."""
    authority = cluster.authorities["services"]
    credentials = untried(authority, own) if own else grpc.ssl_channel_credentials(authority.path.read_bytes())
    target = f"127.0.0.1:{server.port}"
    async with open_channel(target, max_message_bytes=BYTES, credentials=credentials, authority=name) as channel:
        try:
            await stub(channel).EncodeText(request("a"), timeout=20)
        except grpc.aio.AioRpcError:
            return False
        return True


@pytest.mark.parametrize("name", MODEL_SERVICES)
async def test_service_answers_to_the_gateway_and_to_no_caller_and_no_other_service(
    cluster: Cluster, name: str
) -> None:
    caller = Cluster.leaf(cluster.authorities["callers"], {"commonName": "shop", "usages": ["client auth"]})
    async with serving(cluster, name) as server:
        assert await opens(cluster, cluster.leaves["gateway"], server, name)
        assert not await opens(cluster, cluster.leaves["gateway"], server, "gateway")  # it is not who was asked for
        for own in (None, caller, *(cluster.leaves[each] for each in MODEL_SERVICES)):
            assert not await opens(cluster, own, server, name)


async def test_gateway_answers_to_callers_and_not_to_services(cluster: Cluster) -> None:
    caller = Cluster.leaf(cluster.authorities["callers"], {"commonName": "shop", "usages": ["client auth"]})
    async with serving(cluster, "gateway") as server:
        assert await opens(cluster, caller, server, "gateway")
        assert await opens(cluster, caller, server, "gateway.diptych.svc.cluster.local")
        for own in (None, cluster.leaves["text"], cluster.leaves["gateway"]):
            assert not await opens(cluster, own, server, "gateway")


@pytest.mark.parametrize("name", SERVERS)
async def test_prometheus_reads_the_metrics_of_each_server(cluster: Cluster, name: str) -> None:
    found = built("example")
    monitor = found.one("PodMonitor", "gateway" if name == "gateway" else "model-services")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    shown = {spec["spec"]["secretName"]: spec["metadata"]["name"] for spec in found.of("Certificate")}
    own = cluster.leaves[shown[endpoint["tlsConfig"]["cert"]["secret"]["name"]]]
    async with serving(cluster, name) as server:
        page = await page_of(cluster, server.metrics_port, own, endpoint["tlsConfig"]["serverName"])
    assert "diptych_rpc_in_flight" in page


async def page_of(cluster: Cluster, port: int, own: Leaf, name: str) -> str:
    """What a metrics port answers to a scraper that asks for a server of that name."""
    context = ssl.create_default_context(cafile=cluster.authorities["services"].path)
    context.load_cert_chain(own.certificate, own.key)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        try:
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            return (await reader.read()).decode()
        finally:
            writer.close()
