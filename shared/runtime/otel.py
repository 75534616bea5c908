"""Traces by OpenTelemetry, sent by OTLP over HTTP in the background.

Its instrumentors are not used: they lose a trace at the outbox. Only ``tracing`` imports this.
"""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from shared.runtime.tracing import Kind

_PATH: Final = "/v1/traces"
_PATIENCE: Final = 2.0  # seconds for one lot to be taken
_LAST_WORDS: Final = 3.0
_NANOSECONDS: Final = 1_000_000_000
_KINDS: Final[Mapping[Kind, trace.SpanKind]] = {
    "server": trace.SpanKind.SERVER,
    "producer": trace.SpanKind.PRODUCER,
    "consumer": trace.SpanKind.CONSUMER,
    "internal": trace.SpanKind.INTERNAL,
}
_FORM: Final = TraceContextTextMapPropagator()


class OpenTelemetrySpan:
    """As ``Span``."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _FORM.inject(carrier, trace.set_span_in_context(self._span))
        return carrier["traceparent"]

    def note(self, name: str, value: str | int) -> None:
        self._span.set_attribute(name, value)


class OpenTelemetry:
    """As ``Tracing``. The standard variables say all the rest: name, sampler, limits, headers."""

    def __init__(
        self, service: str, endpoint: str | None, *, processor: SpanProcessor | None = None
    ) -> None:
        resource = Resource.create({"service.namespace": "uketsuke"})
        if resource.attributes.get("service.name", "").startswith("unknown_service"):  # type: ignore[union-attr]
            resource = resource.merge(Resource({"service.name": f"uketsuke-{service}"}))
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        if processor is None:
            where = endpoint and f"{endpoint.rstrip('/')}{_PATH}"
            processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=where, timeout=_PATIENCE))
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("uketsuke")

    @contextmanager
    def span(
        self, name: str, kind: Kind, *, parent: str | None, waited: float = 0.0
    ) -> Iterator[OpenTelemetrySpan]:
        context = None if parent is None else _read(parent)
        begun = time.time_ns() - round(waited * _NANOSECONDS)
        with self._tracer.start_as_current_span(
            name, context, kind=_KINDS[kind], start_time=begun, record_exception=False
        ) as span:
            yield OpenTelemetrySpan(span)

    @property
    def is_under_way(self) -> bool:
        return trace.get_current_span().get_span_context().is_valid

    def close(self) -> None:
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_LAST_WORDS)


def _read(traceparent: str) -> Context | None:
    """Read what continues a trace; ``None`` if *traceparent* is nothing of the kind."""
    context = _FORM.extract({"traceparent": traceparent}, Context())
    is_one = trace.get_current_span(context).get_span_context().is_valid
    return context if is_one else None
