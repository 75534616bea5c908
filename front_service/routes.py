"""The whole API on one screen: where, for whom, what serves it, and what it says of itself."""

from typing import Final

from front_service.api import batches, blobs, descriptions, health, jobs, operate, pages, tokens
from front_service.api.route import delete, get, post
from front_service.api.submit import submit
from front_service.described import batches as of_batches
from front_service.described import blobs as of_blobs
from front_service.described import jobs as of_jobs
from front_service.described import operate as of_operate
from front_service.described import service as of_service
from front_service.described import streams as of_streams
from front_service.push import many, sse, websocket
from shared.contract.access import Scope

ANYBODY: Final = None
SUBMIT: Final = Scope.SUBMIT
READ: Final = Scope.READ
CANCEL: Final = Scope.CANCEL
OPERATE: Final = Scope.OPERATE

ROUTES: Final = (
    get("/livez", ANYBODY, health.livez, of_service.LIVEZ),
    get("/readyz", ANYBODY, health.readyz, of_service.READYZ),
    get("/metrics", OPERATE, health.metrics, of_service.METRICS),
    get("/openapi.json", ANYBODY, descriptions.openapi, of_service.OPENAPI),
    get("/asyncapi.json", ANYBODY, descriptions.asyncapi, of_service.ASYNCAPI),
    get("/docs", ANYBODY, pages.docs, of_service.DOCS),
    get("/docs/{file}", ANYBODY, pages.docs_file, of_service.DOCS_FILE),
    get("/jobs/{id}", READ, websocket.watch, of_streams.SOCKET, also_head=False),
    get("/batches/{id}", READ, batches.watch, of_batches.SOCKET, also_head=False),
    get("/api/socket", READ, many.socket, of_streams.MANY, also_head=False),
    get("/api/jobs", READ, jobs.list_jobs, of_jobs.LIST),
    get("/api/dead-letters", READ, operate.dead_letters, of_operate.DEAD_LETTERS),
    get("/api/stats", READ, operate.stats, of_operate.STATS),
    get("/api/job-types", READ, operate.job_types, of_operate.JOB_TYPES),
    post("/api/jobs/bulk", OPERATE, operate.bulk, of_operate.BULK),
    get("/api/jobs/{id}", READ, jobs.status, of_jobs.JOB),
    delete("/api/jobs/{id}", CANCEL, jobs.cancel, of_jobs.DELETE),
    post("/api/jobs/{id}/replay", OPERATE, jobs.replay, of_jobs.REPLAY),
    post("/api/jobs/{id}/release", OPERATE, jobs.release, of_jobs.RELEASE),
    post("/api/jobs/{id}/tokens", READ, tokens.mint, of_jobs.TOKENS),
    get("/api/jobs/{id}/events", READ, sse.events, of_streams.EVENTS, also_head=False),
    post("/api/batches", SUBMIT, batches.submit, of_batches.SUBMIT),
    get("/api/batches/{id}", READ, batches.status, of_batches.STATUS),
    get("/api/batches/{id}/events", READ, batches.events, of_batches.EVENTS, also_head=False),
    post("/api/blobs", SUBMIT, blobs.upload, of_blobs.UPLOAD),
    get("/api/blobs/{id}", READ, blobs.download, of_blobs.DOWNLOAD),
    post("/api/{collection}/{action}", SUBMIT, submit, of_jobs.SUBMIT),
    get("/api/{collection}/status/{id}", READ, jobs.status, of_jobs.STATUS),
    get("/api/{collection}/result/{id}", READ, jobs.result, of_jobs.RESULT),
    post("/api/{collection}/cancel/{id}", CANCEL, jobs.cancel, of_jobs.CANCEL),
)
"""Each with the scope that its callers need."""

PUBLIC_ROUTES = tuple(route for route in ROUTES if route.path != "/metrics")
"""The API of a front whose figures have a port of their own."""
