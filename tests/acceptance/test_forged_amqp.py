"""What a stranger with a password may put into the queues of work, on a real broker.

Each message is settled once and for ever: let go if it is a knock, laid aside if it is none.
``tests/unit/back/test_forged_knocks.py`` throws more at the decoder; here are the properties,
sizes and types that only a broker carries.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import aiormq
import orjson
import pytest
from aiormq import spec
from aiormq.channel import Channel

from shared.broker.topology import DEAD_QUEUE, JOBS, early_name, pool_queues
from shared.runtime.clock import fresh_job_id
from tests.support.callers import Caller, open_session
from tests.support.house import House
from tests.support.logbook import lines
from tests.support.waiting import until

pytestmark = [pytest.mark.acceptance, pytest.mark.servers]

_ROUTES: Final = [queue.name for queue in pool_queues("default")]
_EARLY: Final = early_name(_ROUTES[0])
_SEED: Final = 39

PROPERTIES: Final[Sequence[dict[str, Any]]] = (
    {},
    {"message_id": "x" * 255, "correlation_id": "\0", "app_id": "\N{BOMB}" * 60},
    {"headers": {f"x-{n}": "y" * 900 for n in range(100)}},
    {"headers": {"X-Track-ID": 7, "traceparent": ["00-1"], "x-delivery-count": -1}},
    {
        "headers": {
            "X-Track-ID": bytearray(b"\xff\xfe"),
            "x-death": [{"count": 10**12, "reason": "rejected"}],
        }
    },
    {"headers": {"traceparent": "00-" + "z" * 60, "a": {"b": {"c": [None, True, 1.5]}}}},
    {
        "content_type": "image/png",
        "content_encoding": "gzip",
        "priority": 255,
        "message_type": "\r\n",
    },
    {"delivery_mode": 2, "reply_to": "jobs.default.high", "expiration": "3600000"},
    {"delivery_mode": 1, "headers": {"": "", "x-match": "all", "x-dead-letter-exchange": "jobs"}},
)


@dataclass(kw_only=True)
class Forgery:
    """*is_none*: it is no knock at all, and has to be laid aside."""

    body: bytes
    is_none: bool = True
    properties: dict[str, Any] = field(default_factory=dict)


def no_knocks() -> list[bytes]:
    some = str(fresh_job_id())
    knock = {"version": 1, "job_ids": [some]}
    return [
        *(b"", b"\0", b"\xff\xfe\xfd", b"no knock", b"{", b"null", b"[]", b"7", b'"' + b"x" * 99),
        *(b'{"version":1,"job_ids":["\xc3\x28"]}', b'{"version":1,"job_ids":["\\ud800"]}'),
        *(b"[" * 60_000, b'{"a":' * 10_000, b"\xef\xbb\xbf{}", b'{"version":1e999}'),
        *(bytes(2**20), b"\xff" * 2**20, orjson.dumps(knock | {"more": "x" * 2**20})),
        orjson.dumps(knock | {"version": "1"}),
        orjson.dumps(knock | {"version": 0}),
        orjson.dumps(knock | {"version": None}),
        orjson.dumps({"version": 1}),
        orjson.dumps({"version": 1, "job_ids": []}),
        orjson.dumps({"version": 1, "job_ids": some}),
        orjson.dumps({"version": 1, "job_ids": {"0": some}}),
        orjson.dumps({"version": 1, "job_ids": [None, 7, True, [some]]}),
        orjson.dumps({"version": 1, "job_ids": ["'; DROP TABLE jobs; --"]}),
        orjson.dumps({"version": 1, "job_ids": [some] * 33}),
        orjson.dumps(knock | {"keyed": "perhaps"}),
    ]


def knocks(known: Sequence[str]) -> list[bytes]:
    """Write true knocks for what nobody may run, and some that only look strange."""
    unknown = [str(fresh_job_id()) for _ in range(32)]
    ids = [*known, *unknown]
    return [
        orjson.dumps({"version": 1, "job_ids": unknown}),
        orjson.dumps({"version": 1, "job_ids": ids[:32], "keyed": True}),
        orjson.dumps({"version": 1, "job_ids": ids[:32], "keyed": False}),
        orjson.dumps({"version": 1, "job_ids": [known[0]] * 32}),
        orjson.dumps({"version": 1, "job_ids": ids[:32], "state": "queued", "tenant": "other"}),
        orjson.dumps({"version": 1, "job_ids": ["00000000-0000-0000-0000-000000000000"]}),
        orjson.dumps({"version": 99, "job_ids": known}),
        orjson.dumps({"version": 2**62, "jobs": {"of": "a later time"}}),
    ]


def forgeries(known: Sequence[str]) -> list[Forgery]:
    """Write each body with several properties, in an order that is the same every time."""
    dice = random.Random(_SEED)
    made = [Forgery(body=body) for body in no_knocks()]
    made += [Forgery(body=body, is_none=False) for body in knocks(known) for _ in PROPERTIES]
    dice.shuffle(made)
    for place, one in enumerate(made):
        one.properties = PROPERTIES[place % len(PROPERTIES)]
    return made


async def test_i13_whatever_is_forged_is_settled_once_and_changes_no_job(house: House) -> None:
    """Bad bodies, types, properties and sizes, ids of nobody and of jobs that may not run."""
    front, back = await house.front(), await house.back(concurrency=4)
    connection = await aiormq.connect(house.amqp_url)
    try:
        async with open_session() as session:
            caller = Caller(session, house.url(front))
            known = await jobs_that_may_not_run(caller)
            before = await told_of(house)
            forged = forgeries(known)
            channel = cast("Channel", await connection.channel())
            await publish(channel, forged)
            letters = await dead_letters(channel, sum(one.is_none for one in forged))
            await all_is_read(channel)

            assert await told_of(house) == before
            assert (await finished(caller, await submitted(caller)))["status"] == "completed"
        assert back.exit_code is None
        await back.terminate()  # what it held unsettled would come back now
        held = {name: await ready(channel, name) for name in (*_ROUTES, DEAD_QUEUE.name)}
    finally:
        await connection.close()

    assert held == dict.fromkeys(held, 0)
    assert Counter(body for body, _ in letters) == Counter(
        one.body for one in forged if one.is_none
    )
    assert {reasons for _, reasons in letters} == {(("rejected", 1),)}
    events = Counter(line["event"] for line in lines(back))
    assert events["knock rejected"] + events["message too large"] == len(letters)
    assert events["knock is newer than this worker"] == 2 * len(PROPERTIES)
    troubles = {line["event"] for line in lines(back) if line["level"] in {"error", "critical"}}
    assert troubles <= {"database may break promises"}  # that of the tests does not sync


async def jobs_that_may_not_run(caller: Caller) -> list[str]:
    """Have one that is not due, one behind it in its lane, a cancelled and a completed one."""
    late = {"delaySeconds": 3_600, "orderingKey": "lane"}
    not_due = await submitted(caller, job=late)
    behind = await submitted(caller, job={"orderingKey": "lane"})
    cancelled = await submitted(caller, job={"delaySeconds": 3_600})
    assert (await caller.post(f"/api/demo/cancel/{cancelled}")).status == 200
    over = await submitted(caller)
    assert (await finished(caller, over))["status"] == "completed"
    return [not_due, behind, cancelled, over]


async def submitted(caller: Caller, **members: object) -> str:
    ticket = await caller.submit("/api/demo/echo", {"payload": 1, **members})
    assert ticket.status == 202, ticket.body
    return ticket.job_id


async def finished(caller: Caller, job_id: str) -> dict[str, Any]:
    async def has_ended() -> dict[str, Any] | None:
        document = (await caller.get(f"/api/jobs/{job_id}?wait=10")).body
        return document if "completedAt" in document else None

    found = await until(has_ended, within=20, what=f"{job_id} has an ending")
    assert found is not None
    return found


async def told_of(house: House) -> list[tuple[object, ...]]:
    """Read all that is stored of all jobs, with their histories."""
    jobs = await house.fetch("SELECT * FROM jobs ORDER BY id")
    events = await house.fetch("SELECT * FROM job_events ORDER BY job_id, sequence")
    return [tuple(row.values()) for row in (*jobs, *events)]


async def publish(channel: Channel, forged: Sequence[Forgery]) -> None:
    """Publish all of them, each confirmed; the early ones besides, which nobody confirms."""
    for place, one in enumerate(forged):
        properties = spec.Basic.Properties(**one.properties)
        await channel.basic_publish(
            one.body,
            exchange=JOBS.name,
            routing_key=_ROUTES[place % len(_ROUTES)],
            properties=properties,
            mandatory=True,
        )
        await channel.basic_publish(
            one.body, exchange=JOBS.name, routing_key=_EARLY, properties=properties
        )


async def dead_letters(
    channel: Channel, count: int
) -> list[tuple[bytes, tuple[tuple[object, object], ...]]]:
    """Take so many dead letters; give their bodies, and how often and why each died."""
    letters: list[tuple[bytes, tuple[tuple[object, object], ...]]] = []
    async with asyncio.timeout(20):
        while len(letters) < count:
            message = await channel.basic_get(DEAD_QUEUE.name, no_ack=True)
            if message.delivery_tag is None or message.routing_key is None:
                continue  # there is none yet
            deaths = cast("Any", (message.header.properties.headers or {})["x-death"])
            ours = [one for one in deaths if one.get("queue") in _ROUTES]
            letters.append((message.body, tuple((one["reason"], one["count"]) for one in ours)))
    return letters


async def all_is_read(channel: Channel) -> None:
    async def is_empty() -> bool:
        return not any([await ready(channel, name) for name in (*_ROUTES, _EARLY)])

    await until(is_empty, within=10, what="the queues are empty")


async def ready(channel: Channel, queue: str) -> int:
    return (await channel.queue_declare(queue, passive=True)).message_count or 0
