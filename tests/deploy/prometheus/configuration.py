"""The shipped configuration of Prometheus and Alertmanager with a test's own targets, addresses and patience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.queries import DEPLOY, rule_files
from tests.end_to_end.servers import Server

SHIPPED = DEPLOY / "prometheus"


def write_prometheus(
    folder: Path,
    targets: Mapping[str, Sequence[Server]],
    *,
    alertmanager: str | None = None,
    seconds: Mapping[str, str] | None = None,
) -> Path:
    """prometheus.yml and its rules as shipped, but for who is scraped, how often, and where alerts go.

    Args:
        targets: servers by component, in place of DNS names.
        alertmanager: its address; None sends alerts nowhere.
        seconds: `for` of alerts by name, in place of what is shipped.
    """
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text("utf-8"))
    config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    [own] = [job for job in config["scrape_configs"] if job["job_name"] == "diptych"]
    del own["dns_sd_configs"], own["relabel_configs"]
    own["static_configs"] = [
        {"targets": [f"127.0.0.1:{server.metrics_port}" for server in servers], "labels": {"component": component}}
        for component, servers in targets.items()
    ]
    config["scrape_configs"] = [own]
    config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []
    for path in rule_files():
        content = yaml.safe_load(path.read_text("utf-8"))
        for group in content["groups"]:
            group.pop("interval", None)
            for rule in group["rules"]:
                if rule.get("alert") in (seconds or {}):
                    rule["for"] = (seconds or {})[rule["alert"]]
        _write(folder / path.name, content)
    return _write(folder / "prometheus.yml", config)


def write_alertmanager(folder: Path, webhook: str) -> Path:
    """alertmanager.yml as shipped, but that its receiver `page` calls a webhook, without waiting for more alerts."""
    config = yaml.safe_load((SHIPPED / "alertmanager.yml").read_text("utf-8"))
    config["route"] |= {"group_wait": "0s", "group_interval": "1s"}
    [page] = [receiver for receiver in config["receivers"] if receiver["name"] == "page"]
    page["webhook_configs"] = [{"url": webhook}]
    return _write(folder / "alertmanager.yml", config)


def _write(path: Path, content: Any) -> Path:
    path.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    return path
