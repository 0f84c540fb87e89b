"""The dashboard of one model service: its queue, its batches, its model and its device, replica by replica."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from deploy.grafana.boards import board, chosen
from deploy.grafana.panels import (
    BYTES,
    CALLS,
    COUNT,
    ITEMS,
    RED,
    SECONDS,
    SHARE,
    Bound,
    graph,
    listing,
    quantile,
    query,
)

_OF = 'component="$component", instance=~"$instance"'


def service() -> Dashboard:
    """Queue, batches, model process, calls."""
    queue = [
        graph(
            "Items that wait, and items with the model",
            "A full queue (DIPTYCH_MAX_QUEUE_ITEMS, 256 by default) refuses. The model has two full batches at most.",
            COUNT,
            query(f"diptych_queue_depth{{{_OF}}}", "{{instance}} waiting"),
            query(f"diptych_items_in_flight{{{_OF}}}", "{{instance}} with the model"),
        ),
        graph(
            "Wait in the queue",
            "Time from an item's arrival until its batch began, of all replicas.",
            SECONDS,
            query(
                quantile(0.99, f"diptych_queue_seconds_bucket{{{_OF}}}"),
                "99 %",
            ),
            query(
                quantile(0.5, f"diptych_queue_seconds_bucket{{{_OF}}}"),
                "half",
            ),
        ),
        graph(
            "Requests that were not served, by reason",
            "Refused at arrival (queue_full, overload, hopeless_deadline, not_serving), or admitted and left "
            "(cancelled, expired, model_lost, displaced).",
            CALLS,
            query(f"sum by (reason) (rate(diptych_rejected_total{{{_OF}}}[$__rate_interval]))", "refused: {{reason}}"),
            query(f"sum by (reason) (rate(diptych_dropped_total{{{_OF}}}[$__rate_interval]))", "left: {{reason}}"),
        ),
        graph(
            "Past the deadline in the queue",
            "How long requests stayed after their deadline before they were taken out, of those that did: 99 %.",
            SECONDS,
            query(
                quantile(0.99, f"diptych_overdue_seconds_bucket{{{_OF}}}"),
                "99 %",
            ),
        ),
    ]
    batches = [
        graph(
            "Batches a second",
            "By replica.",
            ITEMS,
            query(f"sum by (instance) (rate(diptych_batch_size_count{{{_OF}}}[$__rate_interval]))", "{{instance}}"),
        ),
        graph(
            "Items a batch",
            "The mean, and the most that a batch may have; that falls for a while after a batch without memory.",
            COUNT,
            query(
                f"""sum by (instance) (rate(diptych_batch_size_sum{{{_OF}}}[$__rate_interval]))
                / sum by (instance) (rate(diptych_batch_size_count{{{_OF}}}[$__rate_interval]))""",
                "{{instance}} mean",
            ),
            query(f"diptych_batch_size_limit{{{_OF}}}", "{{instance}} most"),
        ),
        graph(
            "Time of a batch, by bucket",
            "Mean seconds in the model process: decoding, model, encoding. A batch is padded to its bucket.",
            SECONDS,
            query(
                f"""sum by (bucket) (rate(diptych_inference_seconds_sum{{{_OF}}}[$__rate_interval]))
                / sum by (bucket) (rate(diptych_inference_seconds_count{{{_OF}}}[$__rate_interval]))""",
                "{{bucket}}",
            ),
        ),
        graph(
            "Padding",
            "Share of rows, and for texts of places for tokens, that the model computed for nothing.",
            SHARE,
            query(
                f"""sum(rate(diptych_padding_items_total{{{_OF}}}[$__rate_interval]))
                / (sum(rate(diptych_padding_items_total{{{_OF}}}[$__rate_interval]))
                + sum(rate(diptych_batch_size_sum{{{_OF}}}[$__rate_interval])))""",
                "rows",
            ),
            query(
                f"""sum(rate(diptych_tokens_total{{{_OF}, kind="padding"}}[$__rate_interval]))
                / sum(rate(diptych_tokens_total{{{_OF}}}[$__rate_interval]))""",
                "tokens",
            ),
            most=1,
        ),
        graph(
            "Work in vain",
            "Items that ran although nobody waited any more, as was known when the batch began, or only at its end.",
            ITEMS,
            query(f"sum by (when) (rate(diptych_late_items_total{{{_OF}}}[$__rate_interval]))", "{{when}}"),
        ),
        graph(
            "Wait of a batch's oldest item",
            "When the batch began: 99 %.",
            SECONDS,
            query(
                quantile(0.99, f"diptych_batch_wait_seconds_bucket{{{_OF}}}"),
                "99 %",
            ),
        ),
    ]
    model = [
        graph(
            "Share of time that the model is busy",
            "Near 1 is all that a replica can do.",
            SHARE,
            query(
                f"sum by (instance) (rate(diptych_inference_seconds_sum{{{_OF}}}[$__rate_interval]))", "{{instance}}"
            ),
            most=1,
            bounds=[Bound(value=0.9, colour=RED)],
        ),
        graph(
            "GPU memory",
            "What the model process holds, and what it may hold; both 0 on a CPU.",
            BYTES,
            query(f"diptych_gpu_memory_bytes{{{_OF}}}", "{{instance}} held"),
            query(f"diptych_gpu_memory_limit_bytes{{{_OF}}}", "{{instance}} limit"),
        ),
        graph(
            "Resident memory",
            "Of the front end and of the model process; pages that they share are counted in both.",
            BYTES,
            query(f"diptych_process_resident_memory_bytes{{{_OF}}}", "{{instance}} {{process}}"),
        ),
        graph(
            "Model process lost, and batches without memory",
            "In the last 15 minutes.",
            COUNT,
            query(f"increase(diptych_model_process_restarts_total{{{_OF}}}[15m])", "{{instance}} started again"),
            query(f"increase(diptych_out_of_memory_total{{{_OF}}}[15m])", "{{instance}} no memory"),
        ),
    ]
    calls = [
        graph(
            "Calls, by code",
            "As the service ended them; the gateway may have tried elsewhere.",
            CALLS,
            query(f"sum by (code) (rate(diptych_rpc_requests_total{{{_OF}}}[$__rate_interval]))", "{{code}}"),
            stacked=True,
        ),
        graph(
            "Time of a call",
            "In the service: queue, batch, and all around them.",
            SECONDS,
            query(
                quantile(0.99, f"diptych_rpc_seconds_bucket{{{_OF}}}"),
                "99 %",
            ),
            query(
                quantile(0.5, f"diptych_rpc_seconds_bucket{{{_OF}}}"),
                "half",
            ),
        ),
    ]
    models = [
        listing(
            "Models",
            "What each replica serves, and on which device.",
            f"diptych_model_info{{{_OF}}}",
            hidden=["__name__", "job", "component"],
        ),
    ]
    return board(
        "diptych-service",
        "one service",
        "Queue, batches, model and device of one model service.",
        [("Queue", queue), ("Batches", batches), ("Model process", model), ("Calls", calls), ("Model", models)],
        variables=[
            chosen("component", "Service", "label_values(diptych_model_info, component)", "text"),
            chosen(
                "instance",
                "Replica",
                'label_values(diptych_model_info{component="$component"}, instance)',
                "All",
                many=True,
            ),
        ],
    )
