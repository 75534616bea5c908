"""Start the front, try cases on raw sockets, and say in words what fell short."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from tests.front.catalogue.case import CLOSED, Case, Talk, get
from tests.front.catalogue.slow import Slow
from tests.front.peer import Answer, Peer, connect, masked
from tests.support.waiting import until

_ROOT: Final = Path(__file__).parents[3]
_START: Final = 30.0  # seconds for the front to be there
_GOOD: Final = get("/livez")
_BUSY: Final = 4.0  # seconds more than promised, on a machine that does other things
_DRIP: Final = 0.5  # seconds
_LARGE: Final = 6_000_000  # bytes of the large result
_PING, _PONG, _CLOSE = 9, 10, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A front of a process of its own."""

    port: int
    known: Mapping[str, str]
    process: asyncio.subprocess.Process
    output: Path

    async def stats(self) -> dict[str, Any]:
        stdin, stderr = self.process.stdin, self.process.stderr
        assert stdin is not None
        assert stderr is not None
        stdin.write(b"stats\n")
        return dict(orjson.loads(await stderr.readline()))

    async def settled(self, connections: int) -> dict[str, Any]:
        """Wait until no more than so many *connections* are left, and say how it is then."""

        async def look() -> dict[str, Any] | None:
            stats = await self.stats()
            return stats if stats["connections"] <= connections else None

        found = await until(look, within=_START, what="the lines are closed")
        assert found is not None
        return found

    def log(self) -> str:
        return self.output.read_text("utf-8")


@asynccontextmanager
async def serve(folder: Path) -> AsyncIterator[Served]:
    """Start a front; its log is a file in *folder*."""
    output = folder / "front.log"
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.front.served", str(folder / "blobs")),
            cwd=_ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=log,
            stderr=asyncio.subprocess.PIPE,
        )
    try:
        assert process.stderr is not None
        first = await asyncio.wait_for(process.stderr.readline(), _START)
        told = orjson.loads(first)
        yield Served(port=told["port"], known=told["known"], process=process, output=output)
        assert process.stdin is not None
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), _START) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def try_case(front: Served, case: Case | Talk | Slow) -> str:
    """Try *case*, then a good request on a new line; answer what fell short, or nothing."""
    try:
        match case:
            case Talk():
                await _talk(front, case)
            case Slow():
                await _dawdle(front, case)
            case Case():
                await _send(front, case)
        async with connect(front.port) as peer:
            await _ask_well(peer, "a new line")
    except (AssertionError, TimeoutError, OSError, EOFError, ValueError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


async def _send(front: Served, case: Case) -> None:
    async with connect(front.port) as peer:
        sending = asyncio.create_task(_feed(peer, case, front.known))
        try:
            await _hear(peer, case)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
        if case.closed is CLOSED:
            assert await peer.is_closed(within=case.within), "the line stays open"
        else:
            await _ask_well(peer, "the same line")


async def _feed(peer: Peer, case: Case, known: Mapping[str, str]) -> None:
    data = case.filled(known)
    step = -(-len(data) // case.pieces)
    for at in range(0, len(data), step):
        await peer.send(data[at : at + step])
        await asyncio.sleep(0)


async def _hear(peer: Peer, case: Case) -> None:
    last = None
    for place, status in enumerate(case.answers):
        async with asyncio.timeout(case.within):
            last = await peer.answer()
        assert last.status == status, f"answer {place}: {last.status} {last.body[:200]!r}"
    if last is None:
        return
    if last.status >= 400:
        _check_problem(last)
    assert case.code in (None, last.status >= 400 and last.code), f"code {last.code}"
    if case.header is not None:
        name, value = case.header
        assert last.headers.get(name) == value, f"{name}: {last.headers.get(name)}"


def _check_problem(answer: Answer) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.headers
    told = orjson.loads(answer.body)
    assert told["status"] == answer.status
    assert told["trackId"] == answer.headers["x-track-id"]
    assert "Traceback" not in answer.body.decode()


async def _ask_well(peer: Peer, where: str) -> None:
    await peer.send(_GOOD)
    answer = await peer.answer()
    assert answer.status == 200, f"{where}: {answer.status} {answer.body[:200]!r}"


async def _talk(front: Served, case: Talk) -> None:
    async with connect(front.port) as peer:
        answer = await peer.upgrade(f"/jobs/{front.known['waiting']}")
        assert answer.status == 101, answer.status
        await peer.frame()  # the snapshot
        await peer.send(case.sent * case.rounds)
        if case.code is None:
            await peer.send(masked(_PING, b"here?"))
        opcode, body = await _next(peer)
        if case.code is None:
            assert (opcode, body) == (_PONG, b"here?"), (opcode, body)
            return
        assert opcode == _CLOSE, (opcode, body)
        assert int.from_bytes(body[:2]) == case.code, int.from_bytes(body[:2])
        assert await peer.is_closed(), "the line stays open"


async def _next(peer: Peer) -> tuple[int, bytes]:
    """Pass over the pongs of earlier pings."""
    while True:
        opcode, body = await peer.frame()
        if opcode != _PONG or body == b"here?":
            return opcode, body


async def _dawdle(front: Served, case: Slow) -> None:
    async with connect(front.port, receive_buffer=4_096) as peer:
        sent = case.sent
        for name, value in front.known.items():
            sent = sent.replace(b"{%s}" % name.encode(), value.encode())
        await peer.send(sent)
        dripping = asyncio.create_task(_drip(peer, case.drip))
        try:
            async with asyncio.timeout(case.within + _BUSY):
                await (_hear_out(peer, case) if case.reads else _ignore(peer, case))
        finally:
            dripping.cancel()
            await asyncio.wait([dripping])


async def _drip(peer: Peer, drip: bytes) -> None:
    with suppress(ConnectionError):
        while drip:
            await asyncio.sleep(_DRIP)
            await peer.send(drip)


async def _hear_out(peer: Peer, case: Slow) -> None:
    for status in case.answers:
        answer = await peer.answer(within=case.within + _BUSY)
        if answer.status == 100:
            answer = await peer.answer(within=case.within + _BUSY)
        assert answer.status == status, answer.status
    assert await peer.is_closed(within=case.within + _BUSY), "the line stays open"


async def _ignore(peer: Peer, case: Slow) -> None:
    """Read nothing until the line must be gone; what is read then is less than was asked for."""
    await asyncio.sleep(case.within)
    size = 0
    with suppress(ConnectionError):
        while piece := await peer.reader.read(65_536):
            size += len(piece)
    assert size < _LARGE, "there was no end to it"
