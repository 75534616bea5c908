"""Names of the headers that travel through HTTP and AMQP alike."""

from typing import Final

TRACK_ID: Final = "X-Track-ID"
TRACEPARENT: Final = "traceparent"
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IDEMPOTENT_REPLAYED: Final = "Idempotent-Replayed"
