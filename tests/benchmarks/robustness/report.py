"""What every run prints: a table for people, and last one JSON object, which `--output` keeps."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks import machine


@dataclass(frozen=True, kw_only=True)
class Goal:
    """One line of a table: what was counted, what was wanted, and whether it is so."""

    what: str
    found: str
    wanted: str
    met: bool


@dataclass
class Report:
    """The result of one run."""

    program: str
    facts: Mapping[str, Any]
    """For JSON, all that was counted."""
    goals: list[Goal] = field(default_factory=list)

    def add(self, what: str, found: object, wanted: str, met: bool) -> None:
        """A line."""
        self.goals.append(Goal(what=what, found=str(found), wanted=wanted, met=met))

    @property
    def met(self) -> bool:
        """All of them."""
        return all(goal.met for goal in self.goals)

    def print(self, output: Path | None = None) -> None:
        """Tells, keeps, and ends the process with 1 where a goal was missed."""
        table = Table("counted", "found", "wanted", "met", title=self.program, title_justify="left")
        for goal in self.goals:
            table.add_row(goal.what, goal.found, goal.wanted, "yes" if goal.met else "NO")
        Console(width=150 if not sys.stdout.isatty() else None).print(table)
        machine.keep(self.json(), output)
        if not self.met:
            raise SystemExit(1)

    def json(self) -> dict[str, object]:
        """With where and on what it ran."""
        return {**machine.stamp(self.program), "met": self.met, **self.facts}
