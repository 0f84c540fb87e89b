"""Diptych's version."""

from __future__ import annotations

from importlib.metadata import version


def diptych_version() -> str:
    """The version of the installed distribution, such as "0.2.0"."""
    return version("diptych")
