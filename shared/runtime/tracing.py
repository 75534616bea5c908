"""Traces, where somebody asks for them: the seam, and the switch.

Nothing of OpenTelemetry is imported here, nor anywhere else as long as traces are off.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Literal, Protocol

from shared.runtime.settings import BadSettings

Kind = Literal["server", "producer", "consumer", "internal"]

_STANDARD: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Span(Protocol):
    """One step of a trace, under way."""

    @property
    def traceparent(self) -> str:
        """What continues the trace from here, as W3C writes it."""

    def note(self, name: str, value: str | int) -> None:
        """Add an attribute; never a payload or a secret."""


class Tracing(Protocol):
    def span(
        self, name: str, kind: Kind, *, parent: str | None, waited: float = 0.0
    ) -> AbstractContextManager[Span]:
        """Begin a step, *waited* seconds ago, of the trace that *parent* names.

        Without *parent*, or if it is no traceparent, of the one under way; else of a new one.
        """

    @property
    def is_under_way(self) -> bool:
        """Whether this task is within a step of a trace."""

    def close(self) -> None:
        """Send what is left, within three seconds."""


def open_tracing(
    service: str, endpoint: str | None, environment: Mapping[str, str] = os.environ
) -> Tracing | None:
    """Open traces of *service* if *endpoint*, or a standard variable, says where to send them.

    Raises ``BadSettings`` where the extra ``otel`` is missing.
    """
    is_off = environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if is_off or not (endpoint or any(environment.get(name) for name in _STANDARD)):
        return None
    try:
        from shared.runtime.otel import OpenTelemetry  # noqa: PLC0415  only who wants it pays
    except ImportError as error:
        text = f"UKETSUKE_OTLP_ENDPOINT: traces need the extra otel ({error.name} is missing)"
        raise BadSettings(text) from error
    return OpenTelemetry(service, endpoint)


@contextmanager
def traces(service: str, endpoint: str | None) -> Iterator[Tracing | None]:
    """As ``open_tracing``, and closed at the end."""
    tracing = open_tracing(service, endpoint)
    try:
        yield tracing
    finally:
        if tracing is not None:
            tracing.close()
