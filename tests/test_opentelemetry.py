"""``examples/opentelemetry_observer.py``, heard by OpenTelemetry's own exporters in memory."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from examples.opentelemetry_observer import OpenTelemetryObserver
from tests.support.recording import RecordingStore
from tests.support.visitor import Visitor
from wsgi_sessions import SessionManager, StoreUnavailable
from wsgi_sessions.testing import ManualClock

Points = dict[str, list[tuple[dict[str, Any], Any]]]


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def visitor(store: RecordingStore, clock: ManualClock, reader: InMemoryMetricReader) -> Visitor:
    observer = OpenTelemetryObserver(MeterProvider([reader]))
    secret = "the signing secret of the tests"
    return Visitor(SessionManager(store, secret=secret, clock=clock, observer=observer))


def points_of(reader: InMemoryMetricReader) -> Points:
    """What was collected, by the name of the metric."""
    data = reader.get_metrics_data()
    assert data is not None
    return {
        metric.name: [(dict(point.attributes or {}), point) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_calls_to_the_store_are_operations_of_a_database_client(
    visitor: Visitor, store: RecordingStore, reader: InMemoryMetricReader
) -> None:
    """With ``error.type`` if and only if the operation failed."""
    with visitor.request() as session:
        session["name"] = "Ada"
    store.failing = {"load"}
    with pytest.raises(StoreUnavailable):
        visitor.read()
    system = {"db.system.name": "recording"}
    saved, failed = (
        {"db.operation.name": "save", "wsgi_sessions.outcome": "ok"},
        {
            "db.operation.name": "load",
            "wsgi_sessions.outcome": "unavailable",
            "error.type": "unavailable",
        },
    )
    points = points_of(reader)["db.client.operation.duration"]
    attributes = [attributes for attributes, _ in points]
    assert system | saved in attributes
    assert [one for one in attributes if "error.type" in one] == [system | failed]
    assert points[0][1].explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)


def test_events_are_counted_without_ids(visitor: Visitor, reader: InMemoryMetricReader) -> None:
    """One time series for each name."""
    for _ in range(2):
        with Visitor(visitor.manager).request() as session:
            session.login("ada")
    points = points_of(reader)["wsgi_sessions.events"]
    assert [(attributes, point.value) for attributes, point in points] == [
        ({"wsgi_sessions.event": "created"}, 2),
        ({"wsgi_sessions.event": "login"}, 2),
    ]


def test_events_are_noted_on_the_span_of_the_request(visitor: Visitor) -> None:
    """By id, never by sid."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with (
        provider.get_tracer("tests").start_as_current_span("GET /"),
        visitor.request() as session,
    ):
        session["name"] = "Ada"
    [span] = exporter.get_finished_spans()
    assert [(event.name, dict(event.attributes or {})) for event in span.events] == [
        ("wsgi_sessions.created", {"session.id": session.id})
    ]
