"""What the images hold and what they do not, how large they are, and what a change of the source rebuilds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from services.training.tiny import write_tiny_models
from tests.containers.building import SERVERS, SERVICES, VERSION, build, described, image, layers
from tests.containers.compose import wait_until
from tests.containers.engine import DockerEngine
from tests.containers.machine import REPOSITORY
from tests.containers.stand_ins import PYTHON

MEGABYTE = 1_000_000
HARDENED = ("--rm", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")

NOT_COMPILED = """
import importlib.util, os, struct, sys
__import__("IMPORTED")
def stale(module):
    spec = getattr(module, "__spec__", None)
    if not spec or not spec.has_location or not spec.origin.endswith(".py"):
        return False
    if not os.path.exists(spec.cached):
        return True
    _, flags, written, _ = struct.unpack("<4I", open(spec.cached, "rb").read(16))
    return flags == 0 and written != int(os.stat(spec.origin).st_mtime)
print(sorted(name for name, module in list(sys.modules.items()) if stale(module)))
"""


def shell(engine: DockerEngine, server: str, command: str) -> str:
    """What a shell command says in a container of a server's image, hardened as in production."""
    return engine.docker("run", *HARDENED, "--entrypoint=sh", image(server), "-c", command)


def python(engine: DockerEngine, server: str, code: str) -> str:
    """What a Python program says in there."""
    return engine.docker("run", *HARDENED, "--entrypoint=python", image(server), "-c", code)


def test_gateway_adds_at_most_60_mb_to_its_base(images: list[str]) -> None:
    added = described(image("gateway"))["Size"] - described(PYTHON)["Size"]
    print(f"the gateway adds {added / MEGABYTE:.1f} MB to its base")
    assert added <= 60 * MEGABYTE


def test_model_services_share_all_layers_but_their_model_and_source(images: list[str]) -> None:
    of_each = {tuple(layers(image(name))[:-2]) for name in SERVICES}
    assert len(of_each) == 1
    sizes = {name: round(described(image(name))["Size"] / MEGABYTE) for name in SERVERS}
    print(f"sizes in MB, shared layers in each: {sizes}")


def test_gateway_has_no_torch_numpy_pillow_or_weights(engine: DockerEngine) -> None:
    held = shell(engine, "gateway", "ls /opt/diptych/packages").split()
    assert "grpc" in held
    assert not {"torch", "numpy", "PIL", "tokenizers", "safetensors", "pip"} & set(held)
    assert shell(engine, "gateway", "find / -xdev -name '*.safetensors' 2>/dev/null || true") == ""


@pytest.mark.parametrize("server", SERVERS)
def test_image_holds_one_server_and_no_other(server: str, engine: DockerEngine) -> None:
    found = shell(engine, server, "cd /opt/diptych/app; ls -d gateway services/*/ 2>/dev/null || true").split()
    services = {each for each in found if each not in ("gateway", "services/__pycache__/")}
    assert (services, "gateway" in found) == (
        (set(), True) if server == "gateway" else ({f"services/{server}/"}, False)
    )


@pytest.mark.parametrize("server", ["gateway", "text"])
def test_image_has_no_compiler_no_installer_and_no_cache(server: str, engine: DockerEngine) -> None:
    assert shell(engine, server, "command -v gcc cc c++ ld as make strip pip pip3 || true") == ""
    assert python(engine, server, "import importlib.util as u; print(u.find_spec('pip'))").strip() == "None"
    cached = "find /root/.cache /var/lib/apt/lists /tmp -type f ! -name lock 2>/dev/null || true"
    assert shell(engine, server, cached) == ""


@pytest.mark.parametrize("server", SERVERS)
def test_image_runs_as_a_numbered_user_and_stops_by_sigterm(server: str, images: list[str]) -> None:
    told = described(image(server))["Config"]
    assert told["User"] == "10001:10001"
    assert told["StopSignal"] == "SIGTERM"
    assert told["Entrypoint"] == ["python", "-m", "gateway" if server == "gateway" else f"services.{server}"]


@pytest.mark.parametrize("server", SERVERS)
def test_labels_tell_version_and_licence(server: str, images: list[str]) -> None:
    labels = described(image(server))["Labels"]
    assert labels["org.opencontainers.image.title"] == f"diptych-{server}"
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


@pytest.mark.parametrize("server", SERVERS)
def test_nothing_is_compiled_when_a_server_starts(server: str, engine: DockerEngine) -> None:
    module = "gateway.web.front" if server == "gateway" else f"services.{server}.predictor"
    main = "gateway.__main__" if server == "gateway" else f"services.{server}.__main__"
    for imported in (main, module, "shared.rpc.probe"):
        assert python(engine, server, NOT_COMPILED.replace("IMPORTED", imported)).strip() == "[]"


@pytest.mark.parametrize("server", SERVERS)
def test_public_address_without_tls_is_refused_unless_it_is_asked_for(server: str, engine: DockerEngine) -> None:
    with pytest.raises(AssertionError, match="exit code 2") as caught:
        engine.docker("run", *HARDENED, image(server))
    assert "DIPTYCH_ALLOW_INSECURE" in str(caught.value)


def test_model_of_ones_own_is_served_from_a_mount(engine: DockerEngine, tmp_path: Path) -> None:
    model = write_tiny_models(tmp_path)["text"]
    for path in (tmp_path, *tmp_path.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    container = engine.docker(
        "run", "--detach", *HARDENED[1:], "--env=DIPTYCH_ALLOW_INSECURE=true",
        f"--volume={model}:/opt/diptych/model:ro", image("text"),
    ).strip()  # fmt: skip
    try:
        asked = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9090/metrics').read().decode())"
        wait_until(lambda: engine.inspect(container)["State"]["Health"]["Status"] == "healthy", "the tiny model serves")
        assert 'space="tiny"' in engine.docker("exec", container, "python", "-c", asked)
    finally:
        engine.docker("rm", "--force", container)


def test_change_of_the_source_rebuilds_nothing_heavy(images: list[str], tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    ignored = shutil.ignore_patterns(".*", "tests", "out", "__pycache__")
    shutil.copytree(REPOSITORY, tree, ignore=ignored)
    shutil.copy2(REPOSITORY / ".dockerignore", tree)
    source = tree / "services/text/servicer.py"
    source.write_text(source.read_text("utf-8") + "\nCHANGED = True\n", "utf-8")

    before, after = layers(image("text")), layers(build("text", tree))

    assert after[-1] != before[-1]
    assert after[:-1] == before[:-1]
