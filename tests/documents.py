"""Renders the README's tables of settings, metrics and errors from the code; `python -m tests.documents` rewrites them.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from gateway import metrics as gateway_metrics
from gateway.settings import GatewaySettings
from services.captioning.settings import CaptioningSettings
from services.classification.settings import ClassificationSettings
from services.generation.settings import GenerationSettings
from services.text.settings import TextSettings
from shared import metrics
from shared.codes import Reason
from shared.settings import ModelServiceSettings, ServerSettings, settings_rows

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
_BLOCK = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

Row = tuple[str, ...]

SERVICE_SETTINGS: Mapping[str, type[ModelServiceSettings]] = {
    "text": TextSettings,
    "classification": ClassificationSettings,
    "generation": GenerationSettings,
    "captioning": CaptioningSettings,
}
EXPORTERS: Mapping[type, str] = {
    metrics.RpcMetrics: "every server",
    metrics.BatcherMetrics: "model services",
    metrics.WorkerMetrics: "model services",
    gateway_metrics.AccessMetrics: "gateway",
    metrics.DownstreamMetrics: "gateway",
    gateway_metrics.FlowMetrics: "gateway",
    gateway_metrics.EncodingCacheMetrics: "gateway",
    metrics.CertificateMetrics: "every server with TLS",
    metrics.ProcessMemory: "every server",
}
"""Who exports the metrics of which class."""


def updated(text: str) -> str:
    """A document with all its tables rendered anew."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{TABLES[found[2]]()}\n\n{found[3]}", text)


def table_names(text: str) -> list[str]:
    """The names of a document's tables, in order."""
    return [name for _, name, _ in _BLOCK.findall(text)]


def metric_classes() -> list[type]:
    """The classes of both files of metrics that register some."""
    return [
        each
        for module in (metrics, gateway_metrics)
        for _, each in inspect.getmembers(module, inspect.isclass)
        if each.__module__ == module.__name__ and "registry" in inspect.signature(each).parameters
    ]


def _server_settings() -> str:
    return _settings_table(_rows(ServerSettings))


def _model_service_settings() -> str:
    return _settings_table(_added(ModelServiceSettings))


def _service_settings() -> str:
    rows = [(name, *row) for name, settings in SERVICE_SETTINGS.items() for row in _added(settings)]
    return _table(("service", "variable", "default", "meaning"), rows)


def _gateway_settings() -> str:
    return _settings_table(_added(GatewaySettings))


def _metrics() -> str:
    rows: list[Row] = []
    for kind, where in EXPORTERS.items():
        for family, labels in families(kind):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labelled = ", ".join(f"`{label}`" for label in labels)
            rows.append((f"`{name}`", family.type, labelled, family.documentation, where))
    return _table(("metric", "type", "labels", "meaning", "exported by"), rows)


def _errors() -> str:
    rows = [(each.code.name, f"`{each.name}`", each.cause, each.remedy) for each in Reason]
    return _table(("code", "reason", "cause", "remedy"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "server-settings": _server_settings,
    "model-service-settings": _model_service_settings,
    "service-settings": _service_settings,
    "gateway-settings": _gateway_settings,
    "metrics": _metrics,
    "errors": _errors,
}
"""What renders each table, by the name in its marker."""


def _rows(settings: type[ServerSettings]) -> list[Row]:
    rows = settings_rows(settings)
    return [(f"`{variable}`", _told_default(default), meaning) for variable, default, meaning in rows]


def _added(settings: type[ServerSettings]) -> list[Row]:
    """The rows that a class has and the class it extends has not."""
    parent = next(base for base in settings.__bases__ if issubclass(base, ServerSettings))
    inherited = _rows(parent)
    return [row for row in _rows(settings) if row not in inherited]


def _told_default(default: str) -> str:
    """Paths of this checkout are told from its root."""
    if default in ("None", ""):
        return "not set"
    return default if default == "required" else f"`{default.removeprefix(f'{REPOSITORY}/')}`"


def families(kind: type) -> Iterable[tuple[Metric, tuple[str, ...]]]:
    """Each metric of a class, with the names of its labels."""
    registry = CollectorRegistry()
    made = kind(registry)
    collectors = [each for each in vars(made).values() if isinstance(each, MetricWrapperBase)]
    if not collectors:  # it is a collector itself, which reads its values when scraped
        return [(family, tuple(family.samples[0].labels)) for family in registry.collect()]
    return [(family, each._labelnames) for each in collectors for family in each.describe()]


def _settings_table(rows: Iterable[Row]) -> str:
    return _table(("variable", "default", "meaning"), rows)


def _table(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Rewrites the tables of the README."""
    before = README.read_text("utf-8")
    after = updated(before)
    README.write_text(after, "utf-8")
    sys.stdout.write(f"{README.name}: {'rewritten' if after != before else 'was up to date'}\n")


if __name__ == "__main__":
    main()
