"""The committed dashboards taken apart: panels, queries, variables."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.deploy.queries import DEPLOY

FOLDER = DEPLOY / "grafana" / "dashboards"
_LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")
_DEFAULTS = {"__rate_interval": "1m", "component": "text", "instance": ".+", "method": "x"}


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One panel of a dashboard."""

    dashboard: str
    title: str
    kind: str
    content: Mapping[str, Any]

    @property
    def queries(self) -> tuple[str, ...]:
        """With their variables."""
        return tuple(target["expr"] for target in self.content["targets"])


@cache
def dashboards() -> Mapping[str, Mapping[str, Any]]:
    """By the name of the file."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels() -> list[Panel]:
    """Every panel but the titles of rows."""
    return [
        Panel(dashboard=name, title=content["title"], kind=content["type"], content=content)
        for name, dashboard in dashboards().items()
        for content in dashboard["panels"]
        if content["type"] != "row"
    ]


def variables(dashboard: str) -> list[tuple[str, str, str]]:
    """Name, label and selector of each variable whose values are asked of Prometheus."""
    found = []
    for each in dashboards()[dashboard]["templating"]["list"]:
        if each["type"] == "query":
            match = _LABEL_VALUES.fullmatch(each["query"]["query"])
            assert match is not None, each["query"]
            found.append((each["name"], match[2], match[1]))
    return found


def filled(query: str, values: Mapping[str, str]) -> str:
    """A query with values, or some that parse, for its variables."""
    return re.sub(r"\$(\w+)", lambda found: {**_DEFAULTS, **values}[found[1]], query)
