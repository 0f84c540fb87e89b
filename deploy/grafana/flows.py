"""The dashboard of one kind of call: where its time goes, and what the gateway's calls to the services do."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.boards import board, chosen
from deploy.grafana.panels import CALLS, COUNT, SECONDS, SHARE, graph, quantile, query

_ANSWERED = 'sum(rate(diptych_rpc_requests_total{method="$method", code="OK"}[$__rate_interval]))'


def flows() -> Dashboard:
    """Where the time goes, the calls to services, and what spares or costs work."""
    time = [
        graph(
            "Where an answered call spends its time",
            "Mean seconds; what is stacked adds up to the whole call. Of each service queue, inference, and all "
            "else until the answer was at the gateway (call: network, front end, waiting for a replica); own is the "
            "gateway's.",
            SECONDS,
            query(
                'sum by (service, part) (rate(diptych_flow_seconds_total{method="$method"}[$__rate_interval])) '
                f"/ on () group_left () {_ANSWERED}",
                "{{service}} {{part}}",
            ),
            stacked=True,
        ).span(16),
        graph(
            "Time of a call",
            "The mean of all calls, whatever their end, beside the sum of parts of answered ones: apart where many "
            "calls fail fast, or late.",
            SECONDS,
            query(
                'sum(rate(diptych_rpc_seconds_sum{method="$method"}[$__rate_interval])) '
                '/ sum(rate(diptych_rpc_seconds_count{method="$method"}[$__rate_interval]))',
                "mean",
            ),
            query(
                f'sum(rate(diptych_flow_seconds_total{{method="$method"}}[$__rate_interval])) / {_ANSWERED}',
                "sum of the parts",
            ),
            query(
                quantile(0.99, 'diptych_rpc_seconds_bucket{method="$method"}'),
                "99 %",
            ),
        ),
        graph(
            "Share of the time, by service",
            "Of all answered calls of this method together.",
            SHARE,
            query(
                'sum by (service) (rate(diptych_flow_seconds_total{method="$method"}[$__rate_interval])) '
                '/ on () group_left () sum(rate(diptych_flow_seconds_total{method="$method"}[$__rate_interval]))',
                "{{service}}",
            ),
            stacked=True,
            most=1,
        ),
        graph(
            "Calls of this method, by code",
            "Ended a second.",
            CALLS,
            query('sum by (code) (rate(diptych_rpc_requests_total{method="$method"}[$__rate_interval]))', "{{code}}"),
            stacked=True,
        ),
        graph(
            "Ends other than OK, by reason",
            "Of this method.",
            CALLS,
            query(
                'sum by (reason) (rate(diptych_rpc_failures_total{method="$method"}[$__rate_interval])) > 0',
                "{{reason}}",
            ),
            stacked=True,
            empty="none",
        ),
    ]
    downstream = [
        graph(
            "Calls to the services",
            "Of all methods together, retries counted each.",
            CALLS,
            query("sum by (service) (rate(diptych_downstream_requests_total[$__rate_interval]))", "{{service}}"),
        ),
        graph(
            "99 % of calls to a service end within",
            "As the gateway sees it.",
            SECONDS,
            query(
                quantile(0.99, "diptych_downstream_seconds_bucket", "service"),
                "{{service}}",
            ),
        ),
        graph(
            "Calls to a service that failed",
            "UNAVAILABLE is tried on another replica.",
            CALLS,
            query(
                'sum by (service, code) (rate(diptych_downstream_requests_total{code!="OK"}[$__rate_interval]))',
                "{{service}} {{code}}",
            ),
            stacked=True,
        ),
        graph(
            "Calls to a service under way",
            "Equal ones counted once.",
            COUNT,
            query("sum by (service) (diptych_downstream_in_flight)", "{{service}}"),
        ),
        graph(
            "Tried again",
            "On another replica, or on the same one when it was back.",
            CALLS,
            query("sum by (service) (rate(diptych_downstream_retries_total[$__rate_interval]))", "{{service}}"),
        ),
        graph(
            "Refused before a service was asked",
            "By what the replicas had told, none would have answered in time.",
            CALLS,
            query("sum by (service) (rate(diptych_downstream_refused_total[$__rate_interval]))", "{{service}}"),
        ),
    ]
    return board(
        "diptych-flows",
        "flows",
        "Where the time of a kind of call goes, such as from text to picture.",
        [("The call", time), ("The gateway's calls to the services", downstream)],
        variables=[
            chosen(
                "method",
                "Call",
                "label_values(diptych_flow_seconds_total, method)",
                "diptych.gateway.v1.GatewayService/TextToImage",
            )
        ],
    )
