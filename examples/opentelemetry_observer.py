"""An observer for OpenTelemetry: copy it into your application.

    pip install wsgi-sessions opentelemetry-api

    SessionMiddleware(app, store, observer=OpenTelemetryObserver())

The calls to the store are the histogram ``db.client.operation.duration`` of the semantic
conventions for database clients, the events a counter of their own. Where a span is recorded, an
event is noted on it with the id of its session, which has no place among a metric's attributes:
there each id would be a time series of its own.
"""

from __future__ import annotations

from opentelemetry import metrics, trace

SYSTEMS = {
    "dynamodb": "aws.dynamodb",
    "memcached": "memcached",
    "mongodb": "mongodb",
    "redis": "redis",
    "sqlalchemy": "other_sql",  # or what it is: "postgresql", "mysql", "mariadb"
    "sqlite": "sqlite",
}
"""``db.system.name`` of the stores; any other store has its own name."""

BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
"""Seconds, as the conventions recommend for this histogram."""


class OpenTelemetryObserver:
    """Records with *meter_provider*, or else with that of the process."""

    def __init__(self, meter_provider: metrics.MeterProvider | None = None) -> None:
        meter = metrics.get_meter("wsgi_sessions", meter_provider=meter_provider)
        self._calls = meter.create_histogram(
            "db.client.operation.duration",
            unit="s",
            description="Duration of database client operations.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._events = meter.create_counter(
            "wsgi_sessions.events", unit="{event}", description="What became of sessions."
        )

    def store_call(self, store: str, operation: str, outcome: str, seconds: float) -> None:
        attributes = {
            "db.system.name": SYSTEMS.get(store, store),
            "db.operation.name": operation,
            "wsgi_sessions.outcome": outcome,
        }
        if outcome == "unavailable":
            attributes["error.type"] = outcome
        self._calls.record(seconds, attributes)

    def event(self, name: str, id: str | None) -> None:
        self._events.add(1, {"wsgi_sessions.event": name})
        session = {} if id is None else {"session.id": id}
        trace.get_current_span().add_event(f"wsgi_sessions.{name}", session)
