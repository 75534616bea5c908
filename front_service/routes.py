"""The whole API on one screen."""

from aiohttp import web

from front_service.api import blobs, health, jobs
from front_service.api.submit import expect_submit, submit
from front_service.push import sse, websocket

ROUTES = (
    web.get("/livez", health.livez),
    web.get("/readyz", health.readyz),
    web.get("/metrics", health.metrics),
    web.get("/jobs/{id}", websocket.watch, allow_head=False),
    web.get("/api/jobs", jobs.list_jobs),
    web.get("/api/jobs/{id}", jobs.status),
    web.delete("/api/jobs/{id}", jobs.cancel),
    web.post("/api/jobs/{id}/replay", jobs.replay),
    web.post("/api/jobs/{id}/release", jobs.release),
    web.get("/api/jobs/{id}/events", sse.events, allow_head=False),
    web.post("/api/blobs", blobs.upload),
    web.get("/api/blobs/{id}", blobs.download),
    web.post("/api/{collection}/{action}", submit, expect_handler=expect_submit),
    web.get("/api/{collection}/status/{id}", jobs.status),
    web.get("/api/{collection}/result/{id}", jobs.result),
    web.post("/api/{collection}/cancel/{id}", jobs.cancel),
)
