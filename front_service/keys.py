"""Under which names the application and each request carry what handlers need."""

from typing import Final

from aiohttp import web

from front_service.admission import Admission
from front_service.attendance import Seat
from front_service.batching import Batching
from front_service.bulk import Bulk
from front_service.control import Control
from front_service.described.library import Library
from front_service.health import Readiness
from front_service.identity import Principal
from front_service.lookup import Lookup
from front_service.outlook import Outlook
from front_service.overview import Overview
from front_service.push.batches import BatchStreams
from front_service.push.stream import Streams
from front_service.quotas import Quotas
from front_service.tokens import Grant, Tokens
from front_service.uploads import Uploads
from shared.runtime.metrics import FrontMetrics
from shared.runtime.settings import FrontSettings

ADMISSION: Final = web.AppKey("admission", Admission)
BATCHES: Final = web.AppKey("batches", BatchStreams)
BATCHING: Final = web.AppKey("batching", Batching)
BULK: Final = web.AppKey("bulk", Bulk)
OVERVIEW: Final = web.AppKey("overview", Overview)
CONTROL: Final = web.AppKey("control", Control)
LIBRARY: Final = web.AppKey("library", Library)
LOOKUP: Final = web.AppKey("lookup", Lookup)
OUTLOOK: Final = web.AppKey("outlook", Outlook)
QUOTAS: Final = web.AppKey("quotas", Quotas)
TOKENS: Final = web.AppKey("tokens", Tokens)
UPLOADS: Final = web.AppKey("uploads", Uploads)
STREAMS: Final = web.AppKey("streams", Streams)
METRICS: Final = web.AppKey("metrics", FrontMetrics)
READINESS: Final = web.AppKey("readiness", Readiness)
SETTINGS: Final = web.AppKey("settings", FrontSettings)

TRACK_ID: Final = web.RequestKey("track_id", str)
TRACE: Final = web.RequestKey("trace", str)
"""The traceparent of the step that a request is, where traces are on."""
MARKS: Final = web.RequestKey[dict[str, str]]("marks", dict)  # headers of every answer
PRINCIPAL: Final = web.RequestKey("principal", Principal)
SEAT: Final = web.RequestKey("seat", Seat)  # of a stream, or of a request that may wait
GRANT: Final = web.RequestKey("grant", Grant)  # of a stream that a read token opens
