"""Tables of `autoscaling`; `python -m tests.benchmarks.autoscaling.tables` writes them anew into README.md here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.effort import Result
from tests.benchmarks.tables import Table, rewrite

README = Path(__file__).with_name("README.md")
SIGNALS = {
    "offered": "offered load",
    "arrived": "the same, as services count it",
    "backlog": "queue time, s",
    "in_flight": "in flight",
    "cpu": "CPU",
}


def tables(result: Result) -> list[Table]:
    """All that a result has to tell."""
    return [_chosen(result), _comparison(result["comparison"]), _readings(result["readings"])]


def where(result: Result) -> str:
    """From which measurement, and how much was tried, in a sentence."""
    capacities = ", ".join(f"{each['name']} {each['capacity']:.0f}" for each in result["services"])
    starts = " to ".join(f"{seconds:.0f}" for seconds in sorted({min(_starts(result)), max(_starts(result))}))
    return (
        f"{result['at']} UTC, commit {result['commit']}, from the measurement of {result['measured_at']}: items a "
        f"second and replica: {capacities}; {starts} s to start one. {result['tried']} candidates were tried."
    )


def _starts(result: Result) -> list[float]:
    return [each["start_seconds"] for each in result["services"]]


def _chosen(result: Result) -> Table:
    chosen = result["chosen"]
    up, down = chosen["behavior"]["scaleUp"], chosen["behavior"]["scaleDown"]
    rows = [
        ("offered load, target", f"{chosen['offered_target']:g} of a replica's capacity"),
        ("queue time, target", f"{chosen['queue_target_seconds']:g} s"),
        ("scrape interval, `rate()` window", f"{chosen['scrape_seconds']} s, {chosen['window_seconds']} s"),
        ("scale up", _rules(up)),
        ("scale down", _rules(down)),
    ]
    return Table(title="Chosen, and shipped in `deploy/kubernetes`", header=("threshold", "value"), rows=rows)


def _rules(rules: Result) -> str:
    policies = " or ".join(
        f"{each['value']}{' %' if each['type'] == 'Percent' else ' pods'} in {each['periodSeconds']} s"
        for each in rules["policies"]
    )
    return f"{policies}, whichever is more; window {rules['stabilizationWindowSeconds']} s"


def _comparison(lines: list[Result]) -> Table:
    header = (
        *("autoscaler", "lost", "late", "lost outside of the flash crowd", "replica-hours", "most replicas", "cost"),
    )
    rows = [
        (
            line["name"],
            _share(line["lost_items"], line),
            _share(line["late_items"], line),
            _share(line["lost_outside_flash_items"], line),
            f"{line['replica_hours']:.0f}",
            str(line["most_replicas"]),
            f"{line['cost']:.0f}",
        )
        for line in lines
    ]
    filled = lines[0]["filled_replica_hours"]
    title = f"A day of {filled:.0f} filled replica-hours a service, with a flash crowd of ten times the load"
    return Table(title=title, header=header, rows=rows)


def _share(items: float, line: Result) -> str:
    return f"{100 * items / line['offered_items']:.3f} %"


def _readings(lines: list[Result]) -> Table:
    rows = [
        (
            f"{line['load']:g}",
            *(f"{line[signal]['reads']:.3g}, {line[signal]['asks']}" for signal in SIGNALS),
        )
        for line in lines
    ]
    title = "What each signal reads a replica at a steady load of ten, and how many replicas it asks for (text)"
    return Table(title=title, header=("load / capacity", *SIGNALS.values()), rows=rows)


def autoscaling(result: Result) -> Iterator[str]:
    """The paragraphs of `results/autoscaling.json`."""
    yield where(result)
    for table in tables(result):
        yield table.markdown()


if __name__ == "__main__":
    rewrite(README, {"autoscaling": autoscaling})
