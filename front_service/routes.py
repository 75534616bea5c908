"""The whole API on one screen: where, what serves it, and what it says of itself."""

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

ROUTES: Final = (
    get("/livez", health.livez, of_service.LIVEZ),
    get("/readyz", health.readyz, of_service.READYZ),
    get("/metrics", health.metrics, of_service.METRICS),
    get("/openapi.json", descriptions.openapi, of_service.OPENAPI),
    get("/asyncapi.json", descriptions.asyncapi, of_service.ASYNCAPI),
    get("/docs", pages.docs, of_service.DOCS),
    get("/docs/{file}", pages.docs_file, of_service.DOCS_FILE),
    get("/jobs/{id}", websocket.watch, of_streams.SOCKET, also_head=False),
    get("/batches/{id}", batches.watch, of_batches.SOCKET, also_head=False),
    get("/api/socket", many.socket, of_streams.MANY, also_head=False),
    get("/api/jobs", jobs.list_jobs, of_jobs.LIST),
    get("/api/dead-letters", operate.dead_letters, of_operate.DEAD_LETTERS),
    get("/api/stats", operate.stats, of_operate.STATS),
    get("/api/job-types", operate.job_types, of_operate.JOB_TYPES),
    post("/api/jobs/bulk", operate.bulk, of_operate.BULK),
    get("/api/jobs/{id}", jobs.status, of_jobs.JOB),
    delete("/api/jobs/{id}", jobs.cancel, of_jobs.DELETE),
    post("/api/jobs/{id}/replay", jobs.replay, of_jobs.REPLAY),
    post("/api/jobs/{id}/release", jobs.release, of_jobs.RELEASE),
    post("/api/jobs/{id}/tokens", tokens.mint, of_jobs.TOKENS),
    get("/api/jobs/{id}/events", sse.events, of_streams.EVENTS, also_head=False),
    post("/api/batches", batches.submit, of_batches.SUBMIT),
    get("/api/batches/{id}", batches.status, of_batches.STATUS),
    get("/api/batches/{id}/events", batches.events, of_batches.EVENTS, also_head=False),
    post("/api/blobs", blobs.upload, of_blobs.UPLOAD),
    get("/api/blobs/{id}", blobs.download, of_blobs.DOWNLOAD),
    post("/api/{collection}/{action}", submit, of_jobs.SUBMIT),
    get("/api/{collection}/status/{id}", jobs.status, of_jobs.STATUS),
    get("/api/{collection}/result/{id}", jobs.result, of_jobs.RESULT),
    post("/api/{collection}/cancel/{id}", jobs.cancel, of_jobs.CANCEL),
)

PUBLIC_ROUTES = tuple(route for route in ROUTES if route.path != "/metrics")
"""The API of a front whose figures have a port of their own."""
