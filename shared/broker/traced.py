"""A publisher whose knocks are steps of the traces that they carry on."""

from collections.abc import Mapping, Sequence

from shared.broker.publisher import Publisher
from shared.contract.headers import TRACEPARENT
from shared.runtime.tracing import Tracing


class TracedPublisher(Publisher):
    def __init__(
        self, url: str, *, name: str, pools: Sequence[str], declare: bool, tracing: Tracing
    ) -> None:
        super().__init__(url, name=name, pools=pools, declare=declare)
        self._tracing = tracing

    async def knock(
        self,
        route: str,
        body: bytes,
        *,
        message_id: str,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
        relay: bool = False,
    ) -> None:
        """As ``Publisher.knock``; what belongs to no trace begins none."""
        told = dict(headers or {})
        parent = told.get(TRACEPARENT)
        if parent is None and not self._tracing.is_under_way:
            await super().knock(
                *(route, body), message_id=message_id, headers=told, patience=patience, relay=relay
            )
            return
        name = "relay knock" if relay else "knock"
        with self._tracing.span(name, "producer", parent=parent) as span:
            span.note("messaging.system", "rabbitmq")
            span.note("messaging.destination.name", route)
            span.note("messaging.message.id", message_id)
            told[TRACEPARENT] = span.traceparent
            await super().knock(
                *(route, body), message_id=message_id, headers=told, patience=patience, relay=relay
            )


def publisher_of(
    url: str, *, name: str, pools: Sequence[str], declare: bool, tracing: Tracing | None
) -> Publisher:
    """Make a publisher; where traces are on, its knocks are steps of them."""
    if tracing is None:
        return Publisher(url, name=name, pools=pools, declare=declare)
    return TracedPublisher(url, name=name, pools=pools, declare=declare, tracing=tracing)
