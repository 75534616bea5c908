"""The clients of a drill: they submit, cancel, and read over WebSockets that they keep leaving."""

import asyncio
import json
import random
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import Any, Final

import aiohttp

from tests.campaign.drills import Kind
from tests.campaign.history import Asked, History, Told

_SHARES: Final[Mapping[Kind, float]] = {
    Kind.QUICK: 0.55,
    Kind.SLOW: 0.12,
    Kind.STUBBORN: 0.1,
    Kind.RETRY: 0.14,
    Kind.FAIL: 0.08,
    Kind.CRASH: 0.01,
}
_LENGTHY: Final = frozenset((Kind.SLOW, Kind.STUBBORN))
_ACTIONS: Final = {Kind.CRASH: "child", Kind.POISON: "poison"}
_KEYED_PLAIN: Final = 0.8
_KEYED, _IDEMPOTENT, _DELAYED, _CANCELLED, _READ = 0.6, 0.6, 0.06, 0.05, 0.12
_PATIENCE: Final = 10.0  # seconds for one answer
_TRIES: Final = 200
_PAUSE: Final = 0.05
_ENDINGS: Final = frozenset(("completed", "failed", "cancelled", "expired"))


class Crowd:
    """Seeded clients of some fronts, whose addresses may change under them."""

    def __init__(self, fronts: list[str], *, seed: object, keys: int, slow: float) -> None:
        self.fronts, self.history = fronts, History()
        self._seed, self._keys, self._slow = seed, keys, slow
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=_PATIENCE),
        )
        self._readers: set[asyncio.Task[None]] = set()
        self._choice = random.Random(f"{seed} fronts")

    async def close(self) -> None:
        """Send every reader away, then hang up."""
        await self.finish_reading(within=0)
        await self._session.close()

    async def submit(self, submitter: int, stop: asyncio.Event, *, every: float) -> None:
        """Submit one after the other until *stop*, with pauses as load."""
        dice = random.Random(f"{self._seed} {submitter}")
        while not stop.is_set():
            await self._one(dice)
            await asyncio.sleep(dice.uniform(0, 2 * every))  # load

    async def submit_plain(self, submitter: int, stop: asyncio.Event, *, every: float) -> None:
        """Submit quick jobs that nobody reads or cancels, most of them keyed, for the number."""
        dice = random.Random(f"{self._seed} plain {submitter}")
        while not stop.is_set():
            await self.ask(Kind.QUICK, key=self._key(dice, _KEYED_PLAIN))
            await asyncio.sleep(dice.uniform(0, 2 * every))  # load

    async def ask(
        self, kind: Kind, *, key: str | None = None, seconds: float = 0.0, delay: float = 0.0
    ) -> Asked:
        """Submit one job of *kind*, with an Idempotency-Key; *delay* is in seconds."""
        asked = self._note(kind, key, idempotent=True)
        body: dict[str, Any] = {"number": asked.number, "kind": kind, "seconds": seconds}
        options = ({"orderingKey": key} if key else {}) | ({"delaySeconds": delay} if delay else {})
        await self._send(asked, body | ({"job": options} if options else {}))
        return asked

    async def keep_asking(
        self, kind: Kind, stop: asyncio.Event, *, every: float, seconds: float = 0.0
    ) -> list[Asked]:
        """Ask for jobs of one kind until *stop*, and say for which."""
        asked = []
        while not stop.is_set():
            asked.append(await self.ask(kind, seconds=seconds))
            await asyncio.sleep(every)  # load
        return asked

    async def call(self, method: str, path: str, **given: Any) -> tuple[int, bytes]:
        """Make one call that nobody judges but its caller: the status, and what came with it."""
        async with self._session.request(method, f"{self._front()}{path}", **given) as answer:
            return answer.status, await answer.read()

    def download(self, path: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Begin a download that may take as long as its reader likes."""
        patience = aiohttp.ClientTimeout(total=None)
        return self._session.get(f"{self._front()}{path}", timeout=patience)

    async def finish_reading(self, *, within: float) -> None:
        """Wait for the readers; one that is not through by then is told of by the checker."""
        readers = tuple(self._readers)
        if readers:
            await asyncio.wait(readers, timeout=within)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)

    async def _one(self, dice: random.Random) -> None:
        [kind] = dice.choices(list(_SHARES), weights=list(_SHARES.values()))
        asked = self._note(kind, self._key(dice, _KEYED), idempotent=dice.random() < _IDEMPOTENT)
        body = _body(asked, dice, self._slow)
        await self._send(asked, body)
        for job_id in sorted(asked.job_ids):
            if dice.random() < _READ:
                self._read_behind(job_id, dice.random())
            if dice.random() < _CANCELLED:
                asked.is_cancelled = True
                await self._cancel(job_id)

    def _key(self, dice: random.Random, share: float) -> str | None:
        return f"key-{dice.randrange(self._keys)}" if dice.random() < share else None

    def _note(self, kind: Kind, key: str | None, *, idempotent: bool) -> Asked:
        asked = Asked(number=len(self.history.asked), kind=kind, key=key, idempotent=idempotent)
        self.history.asked.append(asked)
        return asked

    async def _send(self, asked: Asked, body: dict[str, Any]) -> None:
        """Send once; with an Idempotency-Key, again and again until it is decided."""
        action = _ACTIONS.get(asked.kind, "work")
        headers = {"Idempotency-Key": f"{self._seed}-{asked.number}"} if asked.idempotent else {}
        for _ in range(_TRIES):
            begun = monotonic()
            try:
                async with self._session.post(
                    f"{self._front()}/api/drill/{action}", json=body, headers=headers
                ) as answer:
                    content = await answer.json(content_type=None)
                    status = answer.status
            except aiohttp.ClientConnectorError:
                self.history.not_connected += 1
                await asyncio.sleep(_PAUSE)
                continue
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                self.history.broken_off.append(f"submit: {error!r}")
                asked.unanswered += 1
                if not asked.idempotent:
                    return
                await asyncio.sleep(_PAUSE)
                continue
            self.history.submits.append((monotonic(), status))
            if status == 202:
                self.history.took.append(monotonic() - begun)
                asked.job_ids.add(content["jobId"])
                return
            asked.refusals += 1
            if status not in (409, 503):
                self.history.odd_answers.append(f"{status} {content}")
                return
            if not asked.idempotent:
                return
            await asyncio.sleep(_PAUSE)

    async def _cancel(self, job_id: str) -> None:
        for _ in range(_TRIES):
            try:
                async with self._session.delete(f"{self._front()}/api/jobs/{job_id}") as answer:
                    if answer.status not in (200, 202, 409, 503):
                        self.history.odd_answers.append(f"cancel {answer.status}")
                    if answer.status == 503:
                        self.history.broken_off.append("cancel: 503")
                    return
            except aiohttp.ClientConnectorError:
                self.history.not_connected += 1
                await asyncio.sleep(_PAUSE)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.history.broken_off.append(f"cancel: {error!r}")
                return

    def _read_behind(self, job_id: str, luck: float) -> None:
        told = Told(job_id=job_id)
        self.history.told.append(told)
        reader = asyncio.create_task(self._read(told, random.Random(luck)), name="reader")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _read(self, told: Told, dice: random.Random) -> None:
        """Follow a job to its ending; leave at random points and come back with ``?after=``."""
        while not told.is_over:
            try:
                await self._read_once(told, patience=dice.choice((1, 1, 2, 3, 50)))
            except aiohttp.ClientConnectorError:
                self.history.not_connected += 1
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                self.history.broken_off.append(f"reader: {error!r}")
            if not told.is_over:
                told.reconnects += 1
                await asyncio.sleep(_PAUSE * dice.random())

    async def _read_once(self, told: Told, *, patience: int) -> None:
        after = told.sequences[-1] if told.sequences else 0
        url = f"{self._front()}/jobs/{told.job_id}?after={after}"
        async with self._session.ws_connect(url, max_msg_size=2**20) as socket:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                _note(told, json.loads(message.data))
                patience -= 1
                if patience <= 0 and not told.is_over:
                    return
            if socket.close_code == aiohttp.WSCloseCode.SERVICE_RESTART:
                self.history.sent_away += 1
            elif not told.is_over:
                self.history.broken_off.append(f"reader: closed with {socket.close_code}")

    def _front(self) -> str:
        return self._choice.choice(self.fronts)


def _body(asked: Asked, dice: random.Random, slow: float) -> dict[str, Any]:
    seconds = dice.uniform(0.2, 1.0) * slow if asked.kind in _LENGTHY else 0.0
    body: dict[str, Any] = {"number": asked.number, "kind": asked.kind, "seconds": seconds}
    options: dict[str, Any] = {}
    if asked.key is not None:
        options["orderingKey"] = asked.key
    if dice.random() < _DELAYED:
        options["delaySeconds"] = round(dice.uniform(0.1, 2.0), 2)
    return body | ({"job": options} if options else {})


def _note(told: Told, frame: dict[str, Any]) -> None:
    """Keep what is an event; a frame with the number of the last one is its progress."""
    sequence, last = frame["sequence"], told.sequences[-1] if told.sequences else 0
    if sequence == last + 1:
        told.sequences.append(sequence)
        told.states.append(frame["state"])
        if frame["status"] in _ENDINGS:
            told.is_over = True
    elif sequence != last:
        told.mistakes.append(f"{sequence} after {last}")
