"""Look at a broker as a service would meet it, and say what is not as it should be.

Nothing is left behind: queues that are there are declared as they ought to be, which changes
nothing; a queue of events is made for a moment. A message is published for a route that no queue
has, and none is taken.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    PublishError,
)

from shared.broker.connection import HEARTBEAT_SECONDS, broker_urls, underlay
from shared.broker.declaration import declare_queue
from shared.broker.rights import examine_rights
from shared.broker.topology import (
    DEAD_QUEUE,
    DELIVERY_LIMIT,
    EVENTS,
    JOBS,
    JOBS_DEAD,
    Queue,
    pool_queues,
)
from shared.contract.findings import Finding, sound, unknown, wrong

_PATIENCE: Final = 5.0  # seconds for one answer
_OLDEST: Final = (3, 10)
_NOBODY: Final = "jobs.doctor"
_URL: Final = "Set UKETSUKE_AMQP_URL, and see that the broker runs and that its user may enter."
_PROVISION: Final = "Run `python -m shared.broker.provision` as a user that may declare."
_LIMITS: Final = ("message-ttl", "expires", "max-length", "max-length-bytes")

Open = Callable[[], Awaitable[Channel]]


async def examine_broker(
    url: str, *, pools: Iterable[str], served: Iterable[str], declares: bool
) -> list[Finding]:
    """Look at the first broker of *url*; where nobody *declares*, all must be there already.

    *pools* are all that jobs may be for, *served* those of a back with these settings.
    """
    connection = aio_pika.Connection(broker_urls(url, HEARTBEAT_SECONDS)[0])
    try:
        async with asyncio.timeout(_PATIENCE):
            await connection.connect()
        return await _looked_at(connection, list(pools), list(served), declares=declares)
    except (OSError, TimeoutError, aiormq.exceptions.AMQPError) as error:
        return [wrong("broker", _short(error), _URL)]
    finally:
        with suppress(Exception):
            async with asyncio.timeout(_PATIENCE):
                await connection.close()


async def _looked_at(
    connection: AbstractConnection, pools: Sequence[str], served: Sequence[str], *, declares: bool
) -> list[Finding]:
    async def opened() -> Channel:
        channel: Any = await underlay(connection).channel(publisher_confirms=True)
        found: Channel = channel
        return found

    said: Any = underlay(connection)
    found = [version(_text(said.server_properties.get("version")))]
    for exchange in (JOBS, JOBS_DEAD, EVENTS):
        found += await _exchange(opened, exchange.name, declares=declares)
    for queue in (*(q for pool in pools for q in pool_queues(pool)), DEAD_QUEUE):
        found.append(await _queue(opened, queue, declares=declares))
    found.append(await _publishes(opened))
    ask = partial(_asked, opened)
    return [*found, *await examine_rights(ask, pools=served, does_all=declares)]


def version(text: str) -> Finding:
    """Judge the version that the broker says it has."""
    what, numbers = "broker: version", tuple(map(int, re.findall(r"\d+", text)[:2]))
    if not numbers:
        return unknown(what, f"it says {text!r}")
    if numbers < _OLDEST:
        return wrong(what, text, "Upgrade to RabbitMQ 3.10 or newer: quorum queues need it.")
    return sound(what, text)


async def _exchange(opened: Open, name: str, *, declares: bool) -> list[Finding]:
    what = f"broker: exchange {name}"
    try:
        await _asked(opened, lambda c: c.exchange_declare(name, passive=True))
    except ChannelNotFoundEntity:
        return [_absent(what, declares=declares)]
    except ChannelAccessRefused as error:
        return [unknown(what, _short(error))]
    return []


async def _queue(opened: Open, queue: Queue, *, declares: bool) -> Finding:
    """Declare a queue that is there as it ought to be: other arguments are refused."""
    what = f"broker: queue {queue.name}"
    try:
        await _asked(opened, lambda c: declare_queue(c, queue, passive=True))
    except ChannelNotFoundEntity:
        return _absent(what, declares=declares)
    except ChannelAccessRefused as error:
        return unknown(what, _short(error))
    return await _arguments(opened, queue, what, declares=declares)


async def _arguments(opened: Open, queue: Queue, what: str, *, declares: bool) -> Finding:
    def again(channel: Channel) -> Awaitable[object]:
        return channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))

    try:
        await _asked(opened, again)
    except ChannelPreconditionFailed as error:
        return wrong(what, _short(error), f"Delete the queue {queue.name}: ours is made anew.")
    except ChannelAccessRefused as error:
        if declares:
            change = f"Give the user the right to configure it, or {_not_declaring()}"
            return wrong(what, _short(error), change)
        return sound(what, "there; its arguments are not for this user to compare")
    return sound(what, "there, with our arguments")


def _absent(what: str, *, declares: bool) -> Finding:
    if declares:
        return sound(what, "not there yet; the services make it")
    return wrong(what, "not there, and UKETSUKE_DECLARE_TOPOLOGY is no", _PROVISION)


def _not_declaring() -> str:
    return "set UKETSUKE_DECLARE_TOPOLOGY=no."


async def _publishes(opened: Open) -> Finding:
    what = "broker: right to knock"
    try:
        await _asked(
            opened,
            lambda c: c.basic_publish(b"", exchange=JOBS.name, routing_key=_NOBODY, mandatory=True),
        )
    except PublishError:
        return sound(what, "may publish to the exchange jobs")
    except ChannelNotFoundEntity:
        return unknown(what, "the exchange jobs is not there yet")
    except ChannelAccessRefused as error:
        return wrong(what, _short(error), "Give the user the right to write to jobs and events.")
    return wrong(what, f"a queue takes {_NOBODY}", "Somebody has bound a queue to our exchange.")


async def _asked(opened: Open, ask: Callable[[Channel], Awaitable[object]]) -> None:
    """Ask on a channel of its own: a refusal closes it."""
    async with asyncio.timeout(_PATIENCE):
        channel = await opened()
        await ask(channel)
        await channel.close()


def policies(listed: Sequence[Mapping[str, Any]], *, pools: Iterable[str]) -> Iterator[Finding]:
    """Judge what ``rabbitmqctl list_policies --formatter json`` says of our queues."""
    names = [queue.name for pool in pools for queue in pool_queues(pool)]
    for policy in listed:
        hit = [name for name in names if re.search(policy["pattern"], name)]
        definition = policy["definition"]
        rules = dict(_json(definition)) if isinstance(definition, str) else dict(definition)
        if hit and (harm := _harm(rules)):
            change = f"Clear the policy {policy['name']}, or let its pattern pass over jobs.*"
            yield wrong(f"broker: policy {policy['name']}", f"{hit[0]}: {harm}", change)


def _json(text: str) -> Mapping[str, Any]:
    from orjson import loads  # noqa: PLC0415  only where the broker nests JSON in JSON

    read: Mapping[str, Any] = loads(text)
    return read


def _harm(rules: Mapping[str, Any]) -> str:
    """Say what a policy does to knocks; nothing if it does them no harm."""
    told = [f"{name} drops or refuses knocks" for name in _LIMITS if name in rules]
    limit = rules.get("delivery-limit")
    if isinstance(limit, int) and 0 <= limit < DELIVERY_LIMIT:
        told.append(f"delivery-limit {limit} is used up by rolling restarts")
    return "; ".join(told)


def _short(error: BaseException) -> str:
    text = " ".join(str(part) for part in (error.args or (repr(error),)))
    return (text or type(error).__name__)[:300]


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
