"""What a server counted between two looks at its metrics."""

from __future__ import annotations

from tests.end_to_end.scrape import Metrics

WITH_LABEL = {
    "diptych_rejected_total": "reason",
    "diptych_dropped_total": "reason",
    "diptych_late_items_total": "when",
}
"""Counters that are told by this label, too."""
OVERDUE = "diptych_overdue_seconds"


def counted(before: Metrics, after: Metrics) -> dict[str, float]:
    """Changes of all counters, and of the sums and counts of histograms, by name; those without a change are left out.

    `diptych_rejected_total.overload` and its like are parts of a counter. `diptych_overdue_seconds.most` is the upper
    bound of the last bucket in which a request was found that had stayed in the queue past its deadline.
    """
    names = {name for name, _ in after.samples if name.startswith("diptych_")}
    changes = {
        name: after.total(name) - before.total(name) for name in names if name.endswith(("_total", "_sum", "_count"))
    }
    for name, label in WITH_LABEL.items():
        for value in {dict(labels).get(label, "") for found, labels in after.samples if found == name}:
            changes[f"{name}.{value}"] = after.total(name, **{label: value}) - before.total(name, **{label: value})
    if count := changes.get(f"{OVERDUE}_count"):
        changes[f"{OVERDUE}.most"] = min(
            float(dict(labels)["le"])
            for name, labels in after.samples
            if name == f"{OVERDUE}_bucket" and _in_bucket(before, after, dict(labels)["le"]) == count
        )
    return {name: round(change, 6) for name, change in sorted(changes.items()) if change}


def _in_bucket(before: Metrics, after: Metrics, bound: str) -> float:
    return after.total(f"{OVERDUE}_bucket", le=bound) - before.total(f"{OVERDUE}_bucket", le=bound)
