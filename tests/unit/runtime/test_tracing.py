"""Steps of traces: what they continue, and what turns them on."""

import sys

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from shared.runtime.otel import OpenTelemetry
from shared.runtime.settings import BadSettings
from shared.runtime.tracing import open_tracing

GIVEN = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: InMemorySpanExporter) -> OpenTelemetry:
    return OpenTelemetry("front", None, processor=SimpleSpanProcessor(exporter))


def test_a_step_goes_on_from_what_it_is_told(
    tracing: OpenTelemetry, exporter: InMemorySpanExporter
) -> None:
    """And says in the same words what goes on from it."""
    with tracing.span("a", "server", parent=GIVEN) as span:
        told = span.traceparent
        assert tracing.is_under_way
    [done] = exporter.get_finished_spans()

    assert done.parent is not None
    assert f"{done.parent.span_id:016x}" == "b7ad6b7169203331"
    assert told.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert told != GIVEN
    assert not tracing.is_under_way


def test_a_step_within_a_step_is_under_it(
    tracing: OpenTelemetry, exporter: InMemorySpanExporter
) -> None:
    """Unless it is told of another one."""
    with tracing.span("a", "server", parent=GIVEN), tracing.span("b", "producer", parent=None):
        pass
    inner, outer = exporter.get_finished_spans()

    assert inner.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id


@pytest.mark.parametrize("given", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_what_is_no_traceparent_begins_a_new_trace(
    tracing: OpenTelemetry, exporter: InMemorySpanExporter, given: str
) -> None:
    """Whatever a stranger sends."""
    with tracing.span("a", "server", parent=given):
        pass
    assert exporter.get_finished_spans()[0].parent is None


def test_who_is_not_sampled_sends_nothing_and_goes_on(
    tracing: OpenTelemetry, exporter: InMemorySpanExporter
) -> None:
    """The caller has decided for the whole trace."""
    with tracing.span("a", "server", parent=GIVEN[:-1] + "0") as span:
        assert span.traceparent.endswith("-00")
    assert exporter.get_finished_spans() == ()


def test_a_step_may_have_begun_before_anybody_could_say_so(
    tracing: OpenTelemetry, exporter: InMemorySpanExporter
) -> None:
    """A job has waited when it is claimed."""
    with tracing.span("claim", "consumer", parent=GIVEN, waited=2.5):
        pass
    [done] = exporter.get_finished_spans()
    assert done.end_time is not None
    assert done.start_time is not None
    assert done.end_time - done.start_time >= 2_500_000_000


@pytest.mark.parametrize(
    "name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]
)
def test_a_standard_variable_turns_traces_on(name: str) -> None:
    """As every other service of the house is told."""
    tracing = open_tracing("front", None, {name: "http://127.0.0.1:1"})
    assert tracing is not None
    tracing.close()


def test_traces_without_their_extra_refuse_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for them must not believe that he has them."""
    monkeypatch.delitem(sys.modules, "shared.runtime.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(BadSettings, match="extra otel"):
        open_tracing("front", "http://127.0.0.1:1", {})
