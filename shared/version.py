"""Diptych's version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def diptych_version() -> str:
    """The version of the installed distribution, such as "0.2.0"; "0+source" of a checkout that is not installed."""
    try:
        return version("diptych")
    except PackageNotFoundError:
        return "0+source"
