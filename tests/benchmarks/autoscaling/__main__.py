"""`python -m tests.benchmarks.autoscaling`: a day of load against HPA and KEDA; picks the thresholds that are shipped.

It prints tables and, as its last line, one JSON object, which `--output` keeps; see README.md here.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from tests.benchmarks import machine
from tests.benchmarks.autoscaling import comparison, fleet, hpa, search
from tests.benchmarks.autoscaling.measured import BENCH, services
from tests.benchmarks.autoscaling.signals import BACKLOG_STEP
from tests.benchmarks.autoscaling.tables import tables, where
from tests.benchmarks.effort import Result


def main(
    seed: Annotated[int, typer.Option(help="Of the days; the same seed, the same result.")] = 1,
    bench: Annotated[Path, typer.Option(help="What `make bench` kept: capacities, readings, starts.")] = BENCH,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Searches, compares, tells."""
    console = Console(width=200 if not sys.stdout.isatty() else None)
    result = simulate(seed, bench)
    for table in tables(result):
        console.print(table.rich())
    console.print(where(result))
    machine.keep(result, output)


def simulate(seed: int, bench: Path) -> Result:
    """All that is told."""
    found = services(bench)
    measured = json.loads(bench.read_text("utf-8"))
    searched = search.Search(services=found, seed=seed)
    chosen = searched.best(search.Candidate(), search.GRID)
    signals = comparison.alone(searched, chosen)
    return {
        **machine.stamp("autoscaling"),
        "measured_at": measured["at"],
        "measured_commit": measured["commit"],
        "seed": seed,
        "services": [
            {"name": each.name, "capacity": each.capacity, "start_seconds": fleet.start_seconds(each)} for each in found
        ],
        "stated": {
            "scheduling_seconds": fleet.SCHEDULING_SECONDS,
            "image_seconds": fleet.IMAGE_SECONDS,
            "readiness_seconds": fleet.READINESS_SECONDS,
            "resolve_seconds": fleet.RESOLVE_SECONDS,
            "lost_call_in_served_calls": search.LOST_CALL,
        },
        "chosen": shipped(chosen),
        "candidates": {name: asdict(each) for name, each in {"chosen": chosen, **signals}.items()},
        "tried": searched.tried,
        "comparison": [comparison.run(case, found, seed) for case in comparison.cases(chosen, signals)],
        "readings": comparison.readings(found[0], chosen, signals),
    }


def shipped(chosen: search.Candidate) -> Result:
    """As manifests have it."""
    setup, behavior = chosen.setup(), chosen.behavior()
    return {
        "offered_target": chosen.offered,
        "queue_target_seconds": chosen.queue[1] if chosen.queue else None,
        "queue_most_seconds": round((1 + BACKLOG_STEP) * chosen.queue[1], 9) if chosen.queue else None,
        "scrape_seconds": chosen.scraping[0],
        "window_seconds": chosen.scraping[1],
        "rules_seconds": chosen.scraping[2],
        "polling_seconds": setup.polling_seconds,
        "cooldown_seconds": setup.cooldown_seconds,
        "min_replicas": setup.min_replicas,
        "behavior": {"scaleUp": _rules(behavior.scale_up), "scaleDown": _rules(behavior.scale_down)},
    }


def _rules(rules: hpa.ScalingRules) -> dict[str, Any]:
    return {
        "stabilizationWindowSeconds": rules.stabilization_window_seconds,
        "selectPolicy": rules.select_policy,
        "policies": [
            {"type": each.type, "value": each.value, "periodSeconds": each.period_seconds} for each in rules.policies
        ],
    }


if __name__ == "__main__":
    typer.run(main)
