"""The dashboard to begin with: are callers served as promised, and if not, where."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.boards import board
from deploy.grafana.panels import (
    BYTES,
    CALLS,
    COUNT,
    GREEN,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    Bound,
    graph,
    listing,
    number,
    quantile,
    query,
)

_FAILED_30D = """
    avg_over_time(diptych:calls_failed:rate5m[30d])
    / (avg_over_time(diptych:calls_failed:rate5m[30d]) + avg_over_time(diptych:calls_answered:rate5m[30d]))
"""
_GATEWAY = 'method=~"diptych[.]gateway[.].+"'


def overview() -> Dashboard:
    """Objectives, calls, services."""
    objectives = [
        number(
            "Calls answered, 30 days",
            "Of the calls that were ours to answer, refusals for the load and callers' own mistakes left out. "
            "The objective is 99.9 %.",
            SHARE,
            f"1 - {_FAILED_30D}",
            bounds=[Bound(value=0.999, colour=GREEN)],
            lowest=RED,
        ),
        number(
            "Error budget left, 30 days",
            "1 is all of it; below 0 more calls failed than the objective allows.",
            SHARE,
            f"1 - {_FAILED_30D} / diptych:slo:error_ratio",
            bounds=[Bound(value=0, colour=YELLOW), Bound(value=0.25, colour=GREEN)],
            lowest=RED,
        ),
        number(
            "99 % of calls end within",
            "All calls but streams, of the last 5 minutes. The objective is 1 s.",
            SECONDS,
            "histogram_quantile(0.99, sum by (le) (rate(diptych_rpc_seconds_bucket{"
            f'{_GATEWAY}, method!~".+/Stream.+"}}[5m])))',
            bounds=[Bound(value=0.5, colour=YELLOW), Bound(value=1, colour=RED)],
        ),
        number(
            "Calls refused for the load",
            "Share of calls that were refused at once, since the queues were too long or full. Told from 10 % on.",
            SHARE,
            "diptych:calls_refused:ratio_rate5m",
            bounds=[Bound(value=0.01, colour=YELLOW), Bound(value=0.1, colour=RED)],
        ),
        number(
            "Calls a second",
            "All that ended at the gateways, whatever their end.",
            CALLS,
            f"sum(rate(diptych_rpc_requests_total{{{_GATEWAY}}}[5m]))",
        ),
        number(
            "Alerts that fire",
            "Of Diptych's own; RUNBOOK.md has a heading for each.",
            COUNT,
            'count(ALERTS{alertname=~"Diptych.+", alertstate="firing"}) or vector(0)',
            bounds=[Bound(value=1, colour=RED)],
        ),
    ]
    calls = [
        graph(
            "Calls, by method",
            "Calls a second that ended at the gateways.",
            CALLS,
            query(f"sum by (method) (rate(diptych_rpc_requests_total{{{_GATEWAY}}}[$__rate_interval]))", "{{method}}"),
            stacked=True,
        ),
        graph(
            "99 % of calls end within, by method",
            "A stream lasts as long as its pictures; for all others the objective is the dashed line.",
            SECONDS,
            query(
                quantile(0.99, f"diptych_rpc_seconds_bucket{{{_GATEWAY}}}", "method"),
                "{{method}}",
            ),
            bounds=[Bound(value=1, colour=RED)],
        ),
        graph(
            "Ends other than OK, by reason",
            "Callers' own mistakes and refusals as well; README.md has a remedy for each reason. CANCELLED has none: "
            "the caller left.",
            CALLS,
            query(
                f"sum by (code, reason) (rate(diptych_rpc_failures_total{{{_GATEWAY}}}[$__rate_interval])) > 0",
                "{{code}} {{reason}}",
            ),
            stacked=True,
            empty="none",
        ),
        graph(
            "How fast the error budget goes",
            "1 uses it up in exactly 30 days. Alerts: 14.4 over an hour, 6 over six hours, 1 over three days.",
            COUNT,
            query("diptych:calls_failed:ratio_rate1h / diptych:slo:error_ratio", "over 1 hour"),
            query("diptych:calls_failed:ratio_rate6h / diptych:slo:error_ratio", "over 6 hours"),
            query("diptych:calls_failed:ratio_rate3d / diptych:slo:error_ratio", "over 3 days"),
            bounds=[Bound(value=1, colour=YELLOW), Bound(value=14.4, colour=RED)],
        ),
        graph(
            "Half of the calls end within, by method",
            "The usual call, beside the slowest ones.",
            SECONDS,
            query(
                quantile(0.5, f"diptych_rpc_seconds_bucket{{{_GATEWAY}}}", "method"),
                "{{method}}",
            ),
        ),
        graph(
            "Calls under way, by method",
            "At the gateways.",
            COUNT,
            query(f"sum by (method) (diptych_rpc_in_flight{{{_GATEWAY}}})", "{{method}}"),
        ),
    ]
    services = [
        graph(
            "Replicas that serve",
            "As the gateway that sees fewest of a service sees it; 0 is an outage of the flows that need it.",
            COUNT,
            query('min by (service) (diptych_replicas{state="serving"})', "{{service}}"),
        ),
        graph(
            "99 % of items begin within",
            "Time from an item's arrival at a model service until its batch began.",
            SECONDS,
            query(
                quantile(0.99, "diptych_queue_seconds_bucket", "component"),
                "{{component}}",
            ),
        ),
        graph(
            "Servers that do not answer Prometheus",
            "By what they are; 0 is well.",
            COUNT,
            query('sum by (component) (1 - up{job="diptych"})', "{{component}}"),
        ),
        graph(
            "Resident memory",
            "Of each server's processes; pages that they share are counted in each.",
            BYTES,
            query("sum by (component, process) (diptych_process_resident_memory_bytes)", "{{component}} {{process}}"),
        ),
        graph(
            "Model processes started again",
            "In the last 15 minutes; each cost the calls of one batch.",
            COUNT,
            query("sum by (component) (increase(diptych_model_process_restarts_total[15m]))", "{{component}}"),
        ),
        graph(
            "Joint spaces",
            "Services that serve each space. Some space must have all four, or flows between them fail.",
            COUNT,
            query("count by (space) (count by (space, component) (diptych_model_info))", "{{space}}"),
        ),
        listing(
            "Models",
            "What each replica serves, and on which device.",
            "diptych_model_info",
            hidden=["__name__", "job", "digest"],
        ),
    ]
    return board(
        "diptych-overview",
        "overview",
        "Whether callers are served as promised, and if not, where to look.",
        [("Objectives", objectives), ("Calls", calls), ("Services", services)],
    )
