"""The peers as `peers.toml` has them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One server that Diptych is compared with."""

    name: str
    title: str
    """What tables call it."""
    packages: Sequence[str]
    """With their versions."""
    programs: Sequence[str] = ()
    """That must be on the machine, such as `java`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What is put beside its packages, by file name."""
    tried_ms: Sequence[float]
    """Delays of a batch that `tuning` compares."""
    delays_ms: Mapping[str, float]
    """How long a batch may wait, by task: the best of those that were tried."""


PEERS: Mapping[str, Peer] = {
    name: Peer(name=name, **table)
    for name, table in tomllib.loads(Path(__file__).with_name("peers.toml").read_text("utf-8")).items()
}
"""By name, which is also that of `served/NAME_server.py` and of the folder of its venv."""
