"""The asynchronous client of the front service.

    async with Client("http://127.0.0.1:8080") as client:
        ticket = await client.submit("documents.process", {"fileUrl": "https://…"})
        status = await client.wait(ticket.job_id, deadline=timedelta(minutes=5))

What it promises: a submit that it repeats is one job; a watch tells nothing twice and ends with
the ending; every trouble is an error of ``uketsuke.errors`` or of the contract. Leaving the
client, or ending a watch early, cancels no job.
"""

import asyncio
import random
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from shared.contract.headers import IDEMPOTENT_REPLAYED, TRACK_ID
from shared.contract.ids import BatchId, JobId, parse_track_id
from shared.contract.job_types import JobType
from shared.contract.jobs import OnConflict, Priority
from uketsuke import downloads
from uketsuke.documents import ReadToken, Status, Ticket, read_status, read_ticket, read_token
from uketsuke.errors import BadAnswer
from uketsuke.many import Many
from uketsuke.patience import Clock, Deadline, Pace, SystemClock
from uketsuke.submission import Wishes, moment, submission
from uketsuke.together import Together
from uketsuke.uploads import Files, listed
from uketsuke.watching import Watch, checked
from uketsuke.wire import Call, Wire

__all__ = ["Client", "ReadToken", "Status", "Ticket"]

_PATIENCE: Final = timedelta(minutes=1)


class Client(Many):
    """One way to one front service; use it as ``async with``.

    *patience* is how long trouble that may pass (no connection, 429, 502 to 504) is tried again.
    *pace*, *clock* and *dice* are for tests, and for callers in a special hurry.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        track_id: str | None = None,
        patience: timedelta = _PATIENCE,
        pace: Pace | None = None,
        clock: Clock | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        if track_id is not None and parse_track_id(track_id) is None:
            raise ValueError("a TrackID is 1 to 64 of A-Z a-z 0-9 . _ -")
        if token is not None and not (token.isascii() and token.isprintable()):
            raise ValueError("a token is printable ASCII")
        self._patience = patience
        self._wire = Wire(
            base_url,
            token=token,
            track_id=track_id,
            pace=pace or Pace(),
            clock=clock or SystemClock(),
            dice=dice,
        )

    async def __aenter__(self) -> Self:
        self._wire.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._wire.close()

    async def submit(
        self,
        job_type: str | JobType,
        request: Mapping[str, Any] | BaseModel,
        *,
        files: Files | None = None,
        idempotency_key: str | None = None,
        ordering_key: str | None = None,
        priority: Priority | str | None = None,
        delay: timedelta | None = None,
        run_at: datetime | None = None,
        start_deadline: datetime | None = None,
        deadline: datetime | None = None,
        max_attempts: int | None = None,
        result_ttl: timedelta | None = None,
        tags: Sequence[str] = (),
        callback_url: str | None = None,
        callback_events: Sequence[str] = (),
        unique_key: str | None = None,
        unique_for: timedelta | None = None,
        on_conflict: OnConflict | str | None = None,
        patience: timedelta | None = None,
    ) -> Ticket:
        """Hand in a job; when this returns, the job is durable.

        Without an *idempotency_key* the call makes one of its own, so that its repeats over a
        bad network are one job; two calls are two jobs. *deadline* is the job's own: the moment
        by which it must have ended; *patience* is how long this call tries. A file in *files*
        becomes the request member of that name; several of one name become a list.

        One job of a type at a time holds *unique_key*: while it lives, or *unique_for* so long.
        By *on_conflict* a second one is that job (``existing``), ``NotUnique``, or replaces it.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        wishes = Wishes(
            ordering_key=ordering_key,
            priority=priority,
            delay=delay,
            run_at=run_at,
            start_deadline=start_deadline,
            deadline=deadline,
            max_attempts=max_attempts,
            result_ttl=result_ttl,
            tags=tags,
            callback_url=callback_url,
            callback_events=callback_events,
            unique_key=unique_key,
            unique_for=unique_for,
            on_conflict=on_conflict,
            files=await asyncio.to_thread(listed, files or {}),
        )
        at_most = self._wire.pace.upload
        call = submission(job_type, request, wishes, key=key, upload_at_most=at_most)
        answer = await self._wire.ask(call, self._until(patience))
        return read_ticket(
            answer.document,
            idempotency_key=key,
            replayed=answer.headers.get(IDEMPOTENT_REPLAYED, "").lower() == "true",
            track_id=answer.headers.get(TRACK_ID),
        )

    async def status(self, job_id: JobId | str) -> Status:
        """Ask how the job is now."""
        answer = await self._ask("GET", f"/api/jobs/{checked(job_id)}")
        return read_status(answer, str(job_id))

    def watch(
        self, job_id: JobId | str, *, after: int | None = None, deadline: timedelta | None = None
    ) -> AsyncGenerator[Status]:
        """Follow the job; the last status told is its ending.

        *after* is the ``sequence`` of the last status that the caller has seen. Raises
        ``DeadlinePassed``, ``UnknownJob``, ``Gone``; ``Unreachable`` when there is no *deadline*
        and nobody answers for longer than the client's patience.
        """
        return Watch(
            self._wire,
            checked(job_id),
            after=after,
            deadline=deadline,
            patience=self._patience,
        ).statuses()

    @asynccontextmanager
    async def together(self) -> AsyncGenerator[Together]:
        """Watch many jobs over one socket: ``together.watch(job_id)`` is as ``watch``."""
        together = Together(self._wire, self._patience)
        try:
            yield together
        finally:
            await together.close()

    async def wait(self, job_id: JobId | str, *, deadline: timedelta | None = None) -> Status:
        """Wait for the ending, whichever it is; errors as of ``watch``."""
        last = None
        async for status in self.watch(job_id, deadline=deadline):
            last = status
        if last is None:
            raise AssertionError("a watch ends with the ending")
        return last

    async def mint_token(self, job_id: JobId | str, *, ttl: timedelta | None = None) -> ReadToken:
        """Make a token with which somebody may follow this one job, and nothing else.

        It is good for *ttl*, 15 minutes at the most, which is also what is usual. Hand it to a
        page, or whoever else must not have the client's own token.
        """
        asked = {} if ttl is None else {"ttlSeconds": round(ttl.total_seconds())}
        path = f"/api/jobs/{checked(job_id)}/tokens"
        headers = {"Content-Type": "application/json"}
        call = Call(method="POST", path=path, headers=headers, body=lambda: orjson.dumps(asked))
        return read_token((await self._wire.ask(call, self._until())).document)

    async def result(self, job_id: JobId | str) -> Any:
        """Fetch what the job resulted in; raise ``NoResult`` if there is nothing (yet)."""
        status = await self.status(job_id)
        if "results" in status.document:
            return status.results
        collection = quote(status.type.partition(".")[0], safe="")
        document = await self._ask("GET", f"/api/{collection}/result/{job_id}")
        if not isinstance(document, dict) or "results" not in document:
            raise BadAnswer("the result document has no results")
        return document["results"]

    async def cancel(self, job_id: JobId | str) -> Status:
        """Ask for the job's end; ``AlreadyEnded`` if it has one.

        The status says how far it got: a job that runs is ``cancelling`` first.
        """
        answer = await self._ask("DELETE", f"/api/jobs/{checked(job_id)}")
        return read_status(answer, str(job_id))

    async def replay(self, job_id: JobId | str) -> Status:
        """Give a job that failed, was cancelled or expired a new run; else ``NotReplayable``.

        Asked once only: ``Unreachable`` leaves open whether it was done, which the status tells.
        """
        path = f"/api/jobs/{checked(job_id)}/replay"
        call = Call(method="POST", path=path, repeatable=False)
        answer = await self._wire.ask(call, self._until())
        return read_status(answer.document, str(job_id))

    async def jobs(
        self,
        *,
        status: str | None = None,
        state: str | None = None,
        job_type: str | JobType | None = None,
        ordering_key: str | None = None,
        tag: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        batch: BatchId | str | None = None,
        page: int = 100,
        dead: bool = False,
    ) -> AsyncGenerator[Status]:
        """List jobs, page after page, as far as the caller reads; *dead*: those that failed."""
        wanted = {
            "status": status,
            "state": state,
            "type": job_type.name if isinstance(job_type, JobType) else job_type,
            "orderingKey": ordering_key,
            "tag": tag,
            "createdAfter": moment(created_after),
            "createdBefore": moment(created_before),
            "batch": None if batch is None else str(batch),
            "limit": str(page),
        }
        query = {name: value for name, value in wanted.items() if value is not None}
        path = "/api/dead-letters" if dead else "/api/jobs"
        while True:
            found, cursor = _page(await self._ask("GET", path, query))
            for one in found:
                yield read_status(one)
            if cursor is None:
                return
            if not found or cursor == query.get("cursor"):
                raise BadAnswer("the list of jobs has pages without end")
            query["cursor"] = cursor

    async def download(self, url: str, target: Path, *, deadline: timedelta | None = None) -> Path:
        """Stream the file that a result links to into *target*; answer where it is.

        In a folder it gets the name that the server gives, made harmless and unused. It appears
        when it is whole. The token goes to the front service only, whatever *url* is.
        """
        until = Deadline(self._wire.clock, deadline)
        return await downloads.download(self._wire, url, target, until)

    def address(self, url: str) -> str:
        """Make an address from a document whole, to show or to hand on."""
        return str(self._wire.address(url))

    def _until(self, patience: timedelta | None = None) -> Deadline:
        return Deadline(self._wire.clock, self._patience if patience is None else patience)

    async def _ask(self, method: str, path: str, query: Mapping[str, str] | None = None) -> object:
        call = Call(method=method, path=path, query=query or {})
        return (await self._wire.ask(call, self._until())).document


def _page(document: object) -> tuple[list[object], str | None]:
    match document:
        case {"jobs": list() as found, "nextCursor": str() as cursor}:
            return found, cursor
        case {"jobs": list() as found}:
            return found, None
    raise BadAnswer("the list of jobs has no jobs")
