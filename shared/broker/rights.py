"""Ask a broker what this user may do, and do none of it.

A consumer with an argument that no broker takes is refused for that argument only if its user may
read the queue, for rights are judged first; and it is never given a message. So is a message with
an expiry that is none, by an exchange; and nobody is ever given it.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from secrets import token_hex
from typing import Any, Final

from aiormq.channel import Channel
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from pamqp.commands import Basic

from shared.broker.declaration import declare_queue
from shared.broker.topology import EVENTS, Queue, events_queue, pool_queues
from shared.contract.findings import Finding, Health, sound, unknown, wrong

Ask = Callable[[Callable[[Channel], Awaitable[object]]], Awaitable[None]]
"""Does something on a channel of its own, and raises what the broker says of it."""

_CONSUME: Final = "broker: right to consume"
_LISTEN: Final = "broker: right to listen"
_TELL: Final = "broker: right to tell"
_NO_PRIORITY: Final = {"x-priority": "none"}  # it must be a number
_OF_BACKS: Final = "Give the user of backs the right to read jobs.*"
_OF_FRONTS: Final = "Give the user of fronts all rights to events.*, and to read and write events"


async def examine_rights(ask: Ask, *, pools: Iterable[str], does_all: bool) -> Sequence[Finding]:
    """Judge what both need, backs in *pools*, and fronts; who *does_all* must have all of it.

    Elsewhere each service has a user of its own. Whose this one is, is told by what it may: what
    the other service needs it may lack.
    """
    queues = [queue for pool in pools for queue in pool_queues(pool)]
    tells, consumes, listens = await _tells(ask), await _consumes(ask, queues), await _listens(ask)
    if does_all or Health.SOUND not in {consumes.health, listens.health}:
        return [tells, consumes, listens]
    return [tells, _spared(consumes, "a front"), _spared(listens, "a back")]


def _spared(one: Finding, who: str) -> Finding:
    lacks = one.health is Health.WRONG
    return sound(one.what, f"may not, and the user of {who} need not") if lacks else one


async def _tells(ask: Ask) -> Finding:
    async def tell(channel: Channel) -> None:
        no_expiry = Basic.Properties(expiration="none")  # it must be a number
        await channel.basic_publish(
            b"", exchange=EVENTS.name, routing_key="doctor", properties=no_expiry
        )

    try:
        await ask(tell)
    except ChannelPreconditionFailed:
        return sound(_TELL, f"may publish to the exchange {EVENTS.name}")
    except ChannelNotFoundEntity:
        return unknown(_TELL, f"the exchange {EVENTS.name} is not there yet")
    except ChannelAccessRefused as error:
        return wrong(_TELL, _short(error), f"Give the user the right to write to {EVENTS.name}.")
    return unknown(_TELL, "not verified: this broker takes any expiry of a message")


async def _consumes(ask: Ask, queues: Sequence[Queue]) -> Finding:
    for queue in queues:

        async def consume(channel: Channel, name: str = queue.name) -> None:
            await channel.basic_qos(prefetch_count=1)
            await channel.basic_consume(name, _take_nothing, arguments=dict(_NO_PRIORITY))

        try:
            await ask(consume)
        except ChannelPreconditionFailed:
            continue
        except ChannelNotFoundEntity:
            return unknown(_CONSUME, f"the queue {queue.name} is not there yet")
        except ChannelAccessRefused as error:
            return wrong(_CONSUME, _short(error), f"{_OF_BACKS}.")
        return unknown(_CONSUME, "not verified: this broker takes any argument of a consumer")
    return sound(_CONSUME, "may read the queues of its pools")


async def _take_nothing(_: Any) -> None:
    """Leave it: what a channel has not acknowledged when it closes goes back to its queue."""


async def _listens(ask: Ask) -> Finding:
    async def listen(channel: Channel) -> None:
        queue = events_queue(f"{EVENTS.name}.doctor.{token_hex(8)}")  # as every front has one
        await declare_queue(channel, queue)
        await channel.queue_delete(queue.name)

    try:
        await ask(listen)
    except ChannelNotFoundEntity:
        return unknown(_LISTEN, f"the exchange {EVENTS.name} is not there yet")
    except ChannelAccessRefused as error:
        return wrong(_LISTEN, _short(error), f"{_OF_FRONTS}.")
    return sound(_LISTEN, "may have its own queue of events")


def _short(error: BaseException) -> str:
    return " ".join(map(str, error.args))[:300] or type(error).__name__
