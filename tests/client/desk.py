"""A small front service on a real port: it keeps to ``http-api.md`` until it is told not to.

``script`` holds answers for the next requests of one kind; whoever finds none answers honestly.
``sockets`` holds the fate of the next sockets: how many frames they tell, and how they end.
"""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import BodyPartReader, WSMsgType, web

from tests.client.documents import FINAL, a_ticket

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    parts: dict[str, tuple[str | None, bytes]] = field(default_factory=dict)

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Ends:
    """A socket that tells *frames* more, then closes with *code*; ``None``: is cut."""

    frames: int
    code: int | None


class Desk:
    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.script: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self.sockets: deque[Ends | Reply] = deque()
        self.common: deque[Reply] = deque()
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self.gone: set[str] = set()
        self.blobs: dict[str, tuple[bytes, str]] = {}
        self._polls: defaultdict[str, int] = defaultdict(int)
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.add_routes(
            [
                web.get("/jobs/{id}", self._socket),
                web.get("/api/socket", self._common),
                web.get("/api/jobs", self._kind("list", self._list)),
                web.get("/api/jobs/{id}", self._kind("status", self._status)),
                web.delete("/api/jobs/{id}", self._kind("cancel", self._cancel)),
                web.post("/api/jobs/{id}/replay", self._kind("replay", self._replay)),
                web.get("/api/blobs/{id}", self._kind("blob", self._blob)),
                web.get("/api/{collection}/status/{id}", self._kind("status", self._status)),
                web.get("/api/{collection}/result/{id}", self._kind("result", self._result)),
                web.post("/api/{collection}/{action}", self._kind("submit", self._submit)),
                web.get("/{elsewhere:.*}", self._kind("elsewhere", self._nowhere)),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def tells(self, *statuses: dict[str, Any]) -> str:
        """Put a job on the desk; its last document is how it is now."""
        job_id = str(statuses[-1]["jobId"])
        self.jobs[job_id] = list(statuses)
        return job_id

    def of(self, method: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.method == method]

    def polled(self, job_id: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == f"/api/jobs/{job_id}"]

    def met(self) -> list[Seen]:
        """List the openings of a common socket."""
        return [seen for seen in self.seen if seen.path == "/api/socket"]

    def watched(self, job_id: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == f"/jobs/{job_id}"]

    def _kind(self, kind: str, honest: Reply) -> Reply:
        async def answer(request: web.Request) -> web.StreamResponse:
            if not request.content_type.startswith("multipart/"):
                self._note(request, await request.read())
            waiting = self.script[kind]
            return await (waiting.popleft() if waiting else honest)(request)

        return answer

    def _note(self, request: web.Request, body: bytes, parts: dict[str, Any] | None = None) -> None:
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path,
                query=dict(request.query),
                headers=dict(request.headers),
                body=body,
                parts=parts or {},
            )
        )

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        if request.content_type.startswith("multipart/"):
            await self.take_parts(request)
        job_type = f"{request.match_info['collection']}.{request.match_info['action']}"
        document = a_ticket(job_type)
        return web.json_response(document, status=202, headers={"X-Track-ID": "track-1"})

    async def take_parts(self, request: web.Request) -> None:
        parts: dict[str, tuple[str | None, bytes]] = {}
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            parts[str(part.name)] = (part.filename, bytes(await part.read()))
        self._note(request, parts["request"][1], parts)

    def _trouble(self, job_id: str) -> web.Response | None:
        if job_id in self.gone:
            return problem(410, "gone")
        return None if job_id in self.jobs else problem(404, "unknown_job")

    async def _status(self, request: web.Request) -> web.StreamResponse:
        """Answer the history one document a poll; the last one again and again."""
        job_id = request.match_info["id"]
        if trouble := self._trouble(job_id):
            return trouble
        history = self.jobs[job_id]
        at = min(self._polls[job_id], len(history) - 1)
        self._polls[job_id] += 1
        return web.json_response(history[at])

    async def _result(self, request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["id"]
        if trouble := self._trouble(job_id):
            return trouble
        now = self.jobs[job_id][-1]
        if now["status"] != "completed":
            return problem(409, "no_result")
        return web.json_response({"jobId": job_id, "status": "completed", "results": {"n": 1}})

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["id"]
        if trouble := self._trouble(job_id):
            return trouble
        now = self.jobs[job_id][-1]
        if now["status"] in FINAL:
            return problem(409, "already_ended", job=now)
        return web.json_response({**now, "state": "cancelling"}, status=202)

    async def _replay(self, request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["id"]
        if trouble := self._trouble(job_id):
            return trouble
        now = self.jobs[job_id][-1]
        if now["status"] not in FINAL - {"completed"}:
            return problem(409, "not_replayable", job=now)
        return web.json_response({**now, "state": "queued", "status": "pending"}, status=202)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        """Two jobs a page."""
        start = int(request.query.get("cursor", "0"))
        everything = [history[-1] for history in self.jobs.values()]
        page: dict[str, Any] = {"jobs": everything[start : start + 2]}
        if len(everything) > start + 2:
            page["nextCursor"] = str(start + 2)
        return web.json_response(page)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        kept = self.blobs.get(request.match_info["id"])
        if kept is None:
            return problem(404, "unknown_blob")
        return web.Response(body=kept[0], headers={"Content-Disposition": kept[1]})

    async def _nowhere(self, _: web.Request) -> web.StreamResponse:
        return problem(404, "not_found")

    async def _common(self, request: web.Request) -> web.StreamResponse:
        """Tell every job that is asked for to its end."""
        self._note(request, b"")
        if self.common:
            return await self.common.popleft()(request)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            said = json.loads(message.data)
            for job_id in said["jobs"] if said["op"] == "subscribe" else ():
                if job_id not in self.jobs:
                    trouble = {"event": "error", "code": "unknown_job", "jobId": job_id}
                    await socket.send_json(trouble | {"error": "no", "id": said["id"]})
                after = said.get("after", {}).get(job_id, 0)
                for frame in self.jobs.get(job_id, ()):
                    if frame["sequence"] > after:
                        await socket.send_json(frame)
        return socket

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self._note(request, b"")
        job_id = request.match_info["id"]
        if trouble := self._trouble(job_id):
            return trouble
        fate = self.sockets.popleft() if self.sockets else Ends(1_000, 1000)
        if not isinstance(fate, Ends):
            return await fate(request)
        after = int(request.query.get("after", "0"))
        frames = [f for f in self.jobs[job_id] if f["sequence"] > after]
        return await converse(request, frames[: fate.frames], fate.code)


async def converse(
    request: web.Request, frames: Iterable[dict[str, Any] | str | bytes], code: int | None
) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    for frame in frames:
        if isinstance(frame, bytes):
            await socket.send_bytes(frame)
        else:
            await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
    if code is None:
        assert request.transport is not None
        request.transport.abort()
    else:
        await socket.close(code=code)
    return socket


def says(*frames: dict[str, Any] | str | bytes, code: int | None = 1000) -> Reply:
    """Build a socket that tells exactly this."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await converse(request, frames, code)

    return answer


def stays_silent(left: asyncio.Event | None = None) -> Reply:
    """Build a socket that tells nothing and stays; *left* is set when the client goes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        while (await socket.receive()).type is WSMsgType.TEXT:
            pass
        if left is not None:
            left.set()
        return socket

    return answer


def answers(
    status: int, body: bytes | str | dict[str, Any] | list[Any] = b"", **headers: str
) -> Reply:
    """Build an answer of exactly this; a header's ``_`` stands for ``-``."""

    async def answer(_: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        raw = json.dumps(body) if isinstance(body, dict | list) else body
        return web.Response(status=status, body=raw, headers=named)

    return answer


def problem(status: int, code: str, **members: Any) -> web.Response:
    document = {"type": "about:blank", "status": status, "code": code, "detail": f"it is {code}"}
    return web.json_response(
        document | {"trackId": "track-9"} | members,
        status=status,
        content_type="application/problem+json",
    )


def refuses(status: int, code: str, retry_after: int | None = None, **members: Any) -> Reply:
    async def answer(_: web.Request) -> web.StreamResponse:
        response = problem(status, code, **members)
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        return response

    return answer


async def is_cut(request: web.Request) -> web.StreamResponse:
    """Drop the connection without an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def stalls(_: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def drips(request: web.Request) -> web.StreamResponse:
    """Send a byte every now and then, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.01)  # what it does, not what anybody waits for
