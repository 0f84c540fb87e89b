"""The dashboard for how much there must be: offered load beside capacity, what is refused, wasted and spared."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.boards import board
from deploy.grafana.panels import BYTES, CALLS, COUNT, ITEMS, RED, SECONDS, SHARE, YELLOW, Bound, graph, quantile, query


def capacity() -> Dashboard:
    """Load, refusals, savings and waste."""
    load = [
        graph(
            "Offered load over capacity",
            "Items that callers wanted over what the replicas can do, as scalers count both. At 1 queues grow.",
            SHARE,
            query(
                "component:diptych_load_replicas:rate30s "
                "/ on (component) count by (component) (diptych_capacity_items_per_second)",
                "{{component}}",
            ),
            bounds=[Bound(value=0.7, colour=YELLOW), Bound(value=1, colour=RED)],
        ),
        graph(
            "Items offered and items served",
            "What lies between them was refused or left.",
            ITEMS,
            query("component:diptych_offered_items:rate30s", "{{component}} offered"),
            query("sum by (component) (rate(diptych_batch_size_sum[$__rate_interval]))", "{{component}} served"),
        ),
        graph(
            "Capacity",
            "Items a second that all replicas together can serve, by their own measure.",
            ITEMS,
            query("sum by (component) (diptych_capacity_items_per_second)", "{{component}}"),
        ),
        graph(
            "Replicas",
            "That answer Prometheus.",
            COUNT,
            query('sum by (component) (up{job="diptych"})', "{{component}}"),
        ),
        graph(
            "Share of time that the models are busy",
            "Mean of a service's replicas.",
            SHARE,
            query(
                "avg by (component) "
                "(sum by (component, instance) (rate(diptych_inference_seconds_sum[$__rate_interval])))",
                "{{component}}",
            ),
            most=1,
            bounds=[Bound(value=0.9, colour=RED)],
        ),
        graph(
            "99 % of items begin within",
            "Wait in the queue, the scalers' second look.",
            SECONDS,
            query(
                quantile(0.99, "diptych_queue_seconds_bucket", "component"),
                "{{component}}",
            ),
        ),
    ]
    refusals = [
        graph(
            "Refused by the services",
            "Requests a second, by reason.",
            CALLS,
            query(
                "sum by (component, reason) (rate(diptych_rejected_total[$__rate_interval]))",
                "{{component}} {{reason}}",
            ),
            stacked=True,
        ),
        graph(
            "Refused by the gateway",
            "Before a service was asked, since none of its replicas would have answered in time.",
            CALLS,
            query("sum by (service) (rate(diptych_downstream_refused_total[$__rate_interval]))", "{{service}}"),
            stacked=True,
        ),
        graph(
            "Refused for the limits of a key",
            "Calls over what their key may do; no sign of too little capacity.",
            CALLS,
            query("sum by (reason) (rate(diptych_throttled_total[$__rate_interval]))", "{{reason}}"),
            stacked=True,
        ),
    ]
    economy = [
        graph(
            "Encodings that were remembered",
            "Share of texts that needed no call.",
            SHARE,
            query(
                "sum(rate(diptych_encoding_cache_hits_total[$__rate_interval])) "
                "/ (sum(rate(diptych_encoding_cache_hits_total[$__rate_interval])) "
                "+ sum(rate(diptych_encoding_cache_misses_total[$__rate_interval])))",
                "hits",
            ),
            most=1,
        ),
        graph(
            "Memory for encodings",
            "Of each gateway; DIPTYCH_ENCODING_CACHE_BYTES is the most.",
            BYTES,
            query("diptych_encoding_cache_bytes", "{{instance}}"),
        ),
        graph(
            "Encodings forgotten",
            "To make room for others; many of them, and few hits, ask for more memory.",
            ITEMS,
            query("sum(rate(diptych_encoding_cache_evicted_total[$__rate_interval]))", "forgotten"),
        ),
        graph(
            "Calls that joined an equal one",
            "Share of the gateway's calls that got the answer of one under way.",
            SHARE,
            query(
                "sum by (service) (rate(diptych_downstream_joined_total[$__rate_interval])) "
                "/ (sum by (service) (rate(diptych_downstream_joined_total[$__rate_interval])) "
                "+ sum by (service) (rate(diptych_downstream_requests_total[$__rate_interval])))",
                "{{service}}",
            ),
            most=1,
        ),
        graph(
            "Padding",
            "Share of the rows of forward passes that no item needed.",
            SHARE,
            query(
                "sum by (component) (rate(diptych_padding_items_total[$__rate_interval])) "
                "/ (sum by (component) (rate(diptych_padding_items_total[$__rate_interval])) "
                "+ sum by (component) (rate(diptych_batch_size_sum[$__rate_interval])))",
                "{{component}}",
            ),
            most=1,
        ),
        graph(
            "Items a batch",
            "The mean; larger batches do more in the same time.",
            COUNT,
            query(
                "sum by (component) (rate(diptych_batch_size_sum[$__rate_interval])) "
                "/ sum by (component) (rate(diptych_batch_size_count[$__rate_interval]))",
                "{{component}}",
            ),
        ),
    ]
    return board(
        "diptych-capacity",
        "capacity",
        "Whether there is enough of each service, and what its work is spent on.",
        [("Load", load), ("Refusals", refusals), ("What spares work, and what wastes it", economy)],
    )
