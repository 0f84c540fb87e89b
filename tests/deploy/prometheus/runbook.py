"""RUNBOOK.md taken apart: its sections, its commands and the queries in them."""

from __future__ import annotations

import re

from tests.deploy.queries import DEPLOY

RUNBOOK = DEPLOY / "RUNBOOK.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_QUERY = re.compile(r"^promtool query instant \"\$PROMETHEUS\" '(.+)'$", re.MULTILINE)


def sections() -> dict[str, str]:
    """The text under each heading of the second level, in order."""
    _, *parts = re.split(r"^## ", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)
    return {head.strip(): body for head, _, body in (part.partition("\n") for part in parts)}


def commands() -> list[str]:
    """The blocks of shell, in order."""
    return _BLOCK.findall(RUNBOOK.read_text("utf-8"))


def queries() -> list[str]:
    """The PromQL in them."""
    return _QUERY.findall(RUNBOOK.read_text("utf-8"))
