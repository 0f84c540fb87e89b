"""What a server's /metrics page says, as numbers by name and labels."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """One scrape."""

    families: frozenset[str]
    samples: Mapping[tuple[str, frozenset[tuple[str, str]]], float]

    def total(self, name: str, /, **labels: str) -> float:
        """The sum of the samples of that name which have these labels; 0 when there are none."""
        wanted = labels.items()
        return sum(value for (sample, found), value in self.samples.items() if sample == name and wanted <= found)


def scrape(port: int, host: str = "127.0.0.1") -> Metrics:
    """Reads http://host:port/metrics."""
    with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=10) as page:
        assert page.status == 200
        families = list(text_string_to_metric_families(page.read().decode()))
    return Metrics(
        families=frozenset(family.name for family in families),
        samples={
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        },
    )
