"""Figures: what was measured, what it must and should be, what is printed beside it; as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rich.table import Table

from services.training.evaluation.bootstrap import Estimate

Reached = Literal["goal", "must", "short", "reported", "not measured"]

NAMES: Mapping[str, str] = {"en": "English", "zh": "Chinese"}
"""Of the languages that figures are told for."""

_COLOURS: Mapping[Reached, str] = {"goal": "green", "must": "cyan", "short": "red", "not measured": "yellow"}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a figure is to reach; one without any is only reported."""

    must: float | None = None
    goal: float | None = None
    above: float | None = None
    """The whole interval must lie above this."""

    def reached(self, estimate: Estimate) -> Reached:
        """The highest that the value reaches."""
        if self.must is None and self.goal is None and self.above is None:
            return "reported"
        if self.above is not None and not estimate.low > self.above:
            return "short"
        if self.must is not None and not estimate.value >= self.must:
            return "short"
        return "goal" if self.goal is not None and estimate.value >= self.goal else "must"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table."""

    name: str
    """Subject and figure, such as `retrieval.text_to_image.en`; the same in every evaluation."""
    title: str
    estimate: Estimate | None
    """None where it was not measured; `note` says why."""
    target: Target = field(default_factory=Target)
    beside: Mapping[str, Estimate | float] = field(default_factory=dict)
    """What to read it against: ceilings, floors, chance."""
    note: str = ""

    @property
    def reached(self) -> Reached:
        """Against its target."""
        return "not measured" if self.found is None else self.target.reached(self.found)

    @property
    def found(self) -> Estimate | None:
        """The estimate; None where there is none, or no number: a ratio to nothing."""
        return self.estimate if self.estimate is not None and math.isfinite(self.estimate.value) else None

    def to_json(self) -> dict[str, Any]:
        """For the file and the last line of stdout."""
        return {
            "name": self.name,
            "title": self.title,
            **(_numbers(self.found) if self.found else {"value": None}),
            "must": self.target.must,
            "goal": self.target.goal,
            "above": self.target.above,
            "reached": self.reached,
            "beside": {
                key: _numbers(value) if isinstance(value, Estimate) else _rounded(value)
                for key, value in self.beside.items()
            },
            "note": self.note,
        }


def not_measured(name: str, title: str, why: str, target: Target | None = None) -> Figure:
    """A figure that could not be had, which says why."""
    return Figure(name=name, title=title, estimate=None, target=target or Target(), note=f"not measured: {why}")


def table(figures: Sequence[Figure]) -> Table:
    """All figures, one a line, what is beside them under it."""
    lines = Table(title="held-out data only; intervals: 95 %, bootstrap", title_justify="left")
    lines.add_column("figure", overflow="fold")
    for column in ("value", "interval", "n", "must", "goal"):
        lines.add_column(column, justify="right", no_wrap=True)
    lines.add_column("beside", overflow="fold")
    for figure in figures:
        lines.add_row(figure.title, *_measured(figure), _target(figure.target), _number(figure.target.goal),
                      _beside(figure))  # fmt: skip
    return lines


def _measured(figure: Figure) -> tuple[str, str, str]:
    found = figure.found
    if found is None:
        return "[yellow]–[/yellow]", "", ""
    colour = _COLOURS.get(figure.reached)
    value = f"[{colour}]{found.value:.3f}[/{colour}]" if colour else f"{found.value:.3f}"
    return value, f"{found.low:.3f} to {found.high:.3f}", str(found.samples)


def _beside(figure: Figure) -> str:
    told = [
        f"{name} {value if isinstance(value, Estimate) else f'{value:.3f}'}"
        for name, value in figure.beside.items()
        if math.isfinite(value.value if isinstance(value, Estimate) else value)
    ]
    return "; ".join([*told, figure.note] if figure.note else told).replace("[", r"\[")


def _target(target: Target) -> str:
    if target.must is None and target.above is not None:
        return f"all > {target.above:.2f}"
    return _number(target.must)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _numbers(found: Estimate) -> dict[str, float | int | None]:
    """As JSON can say them: what is no number is null."""
    ends = {"value": found.value, "low": found.low, "high": found.high}
    return {
        **{name: _rounded(each) for name, each in ends.items()},
        "samples": found.samples,
    }


def _rounded(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
