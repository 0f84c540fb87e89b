"""Makes the manifests that repeat other files: rules as a PrometheusRule, dashboards as ConfigMaps; `make manifests`.

Kustomize reads no file outside of its folder, and cannot put one file into another. So the folder of the dashboards has
a kustomization of its own, and the rules are written out; a test says when either is not what it should be.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parent.parent
_MADE = "# Made by `make manifests` from {sources}; change those.\n"


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def generated(deploy: Path = DEPLOY) -> Mapping[Path, str]:
    """What each generated file should contain."""
    return {
        deploy / "kubernetes/overlays/monitoring/prometheus-rule.yaml": _prometheus_rule(deploy / "prometheus"),
        deploy / "grafana/kustomization.yaml": _dashboards(deploy / "grafana"),
    }


def rule_files(folder: Path) -> list[Path]:
    """The files of Prometheus rules in a folder."""
    return [path for path in sorted(folder.glob("*.yml")) if "groups" in yaml.safe_load(path.read_text("utf-8"))]


def _prometheus_rule(folder: Path) -> str:
    files = rule_files(folder)
    sources = " and ".join(f"deploy/{folder.name}/{path.name}" for path in files)
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "diptych", "namespace": "diptych", "labels": {"app.kubernetes.io/name": "diptych"}},
        "spec": {"groups": [group for path in files for group in yaml.safe_load(path.read_text("utf-8"))["groups"]]},
    }
    return _MADE.format(sources=sources) + _dump(rule)


def _dashboards(folder: Path) -> str:
    files = sorted(folder.glob("dashboards/*.json"))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "diptych",
        "generatorOptions": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
        "configMapGenerator": [
            {"name": f"dashboard-{path.stem}", "files": [f"dashboards/{path.name}"]} for path in files
        ],
    }
    return _MADE.format(sources="the list of deploy/grafana/dashboards") + _dump(kustomization)


def _dump(document: Mapping[str, Any]) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)


def main() -> None:
    """Writes what has changed, and says so."""
    for path, content in generated().items():
        if not path.exists() or path.read_text("utf-8") != content:
            path.write_text(content, "utf-8")
            sys.stdout.write(f"{path.relative_to(DEPLOY.parent)}: rewritten\n")


if __name__ == "__main__":
    main()
