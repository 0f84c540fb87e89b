"""Which series a PromQL query reads, and whether there are such: for rules, dashboards and scalers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import yaml

from tests.documents import families, metric_classes

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = DEPLOY / "prometheus" / "prometheus.yml"
TARGET_LABELS = frozenset({"job", "instance", "component"})
"""What Prometheus puts on each series of ours; deploy/prometheus/prometheus.yml and the PodMonitors do."""
PROMETHEUS_OWN: Mapping[str, frozenset[str]] = {
    "up": frozenset(),
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "service", "method"}),
}
_SUFFIXES: Mapping[str, Mapping[str, frozenset[str]]] = {
    "counter": {"_total": frozenset()},
    "gauge": {"": frozenset()},
    "histogram": {"_bucket": frozenset({"le"}), "_sum": frozenset(), "_count": frozenset()},
}
"""By the type of a metric: how its series are called, and the labels that they have besides the metric's own."""


@dataclass(frozen=True, kw_only=True)
class Selector:
    """One `name{label="value"}` of a query."""

    name: str
    labels: frozenset[str]
    """Those that are compared with a value."""
    text: str
    """A query of its own."""


@cache
def exported() -> Mapping[str, frozenset[str]]:
    """The labels of each series that some server exports, by the series' name."""
    return {
        f"{family.name}{suffix}": frozenset(labels) | more
        for kind in metric_classes()
        for family, labels in families(kind)
        for suffix, more in _SUFFIXES[family.type].items()
    }


@cache
def recorded() -> frozenset[str]:
    """What the recording rules add."""
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


@cache
def rule_files() -> tuple[Path, ...]:
    """The files of rules that the shipped Prometheus reads."""
    config = yaml.safe_load(PROMETHEUS.read_text("utf-8"))
    return tuple(PROMETHEUS.parent / name for name in config["rule_files"])


def rules() -> list[dict[str, Any]]:
    """Every rule, recording or alerting, in order."""
    files = [yaml.safe_load(path.read_text("utf-8")) for path in rule_files()]
    return [rule for content in files for group in content["groups"] for rule in group["rules"]]


def selectors(query: str) -> list[Selector]:
    """Every selector of a query, in order.

    Raises:
        ValueError: it is no PromQL.
    """
    return [
        Selector(
            name=_name(node),
            labels=frozenset(each.name for each in node.matchers.matchers if each.name != "__name__"),
            text=node.prettify(),
        )
        for node in _nodes(query)
        if isinstance(node, promql_parser.VectorSelector)
    ]


def problems(query: str, *, foreign: Collection[str] = ()) -> list[str]:
    """What is wrong with a query: it does not parse, or asks for a metric or a label that nobody exports.

    Args:
        foreign: names of others' metrics, such as those of Kubernetes.
    """
    try:
        found = selectors(query)
    except ValueError as error:
        return [f"{query}: {error}"]
    known = {**exported(), **dict.fromkeys(recorded(), frozenset[str]()), **PROMETHEUS_OWN}
    wrong = []
    for each in found:
        if each.name in foreign:
            continue
        if each.name not in known:
            wrong.append(f"{each.text}: nobody exports {each.name or 'a metric without a name'}")
        elif strange := each.labels - known[each.name] - TARGET_LABELS:
            wrong.append(f"{each.text}: {each.name} has no label {', '.join(sorted(strange))}")
    if not {each.name for each in found} & set(foreign):
        at_hand = frozenset().union(*(known.get(each.name, frozenset()) for each in found)) | TARGET_LABELS
        wrong += [
            f"{query}: grouped by {label}, which no metric in it has" for label in sorted(_grouped(query) - at_hand)
        ]
    return wrong


def _grouped(query: str) -> frozenset[str]:
    """The labels that `by (...)` keeps."""
    return frozenset(
        label
        for node in _nodes(query)
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None
        for label in node.modifier.labels
    )


def _name(node: Any) -> str:
    named = [each.value for each in node.matchers.matchers if each.name == "__name__"]
    return node.name or "".join(named)


def _nodes(query: str) -> Iterator[Any]:
    nodes: list[Any] = []
    promql_parser.walk(promql_parser.parse(query), pre_visit=nodes.append)
    return iter(nodes)
