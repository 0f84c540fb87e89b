"""What of an earlier run still holds: answers of the models that are served now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gateway.client import AsyncDiptych

Served = Mapping[str, set[str]]
"""Digests of the models that serve, by service."""


async def served_beside(diptych: AsyncDiptych, file: Path) -> Served:
    """The models that serve now; nobody is asked where the file has no lines to compare them with.

    Raises:
        CallError: the gateway does not answer.
    """
    if not _has_lines(file):
        return {}
    found = await diptych.capabilities()
    return {each.name: {one.model.digest for one in each.models} for each in found.services}


def _has_lines(file: Path) -> bool:
    return file.is_file() and file.stat().st_size > 0


def is_of(record: Mapping[str, Any], served: Served) -> bool:
    """Whether a line's answer is of models that serve; yes where a service has none to compare with."""
    return all(
        model.get("digest") in served[service]
        for service, model in record.get("models", {}).items()
        if served.get(service)
    )
