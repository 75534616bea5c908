"""The faults of a campaign, each with what proves that it bit.

Numbers are those of the table in ``docs/topics/faults.md``.
"""

import asyncio
import signal
from time import monotonic
from typing import Final

import aio_pika

from shared.contract.ids import JobId
from shared.contract.messages import encode_knock
from shared.runtime.clock import fresh_job_id
from tests.campaign import brokers, clocks, edges, files, full_disk, poison, workers
from tests.campaign.drills import Kind
from tests.campaign.fault import Fault
from tests.campaign.scene import Scene, Stage, first_answer
from tests.support import broker_faults
from tests.support.broker_faults import Alarm

_ROUTE: Final = "jobs.default.normal"
_MORE_THAN_SLOTS: Final = 100  # jobs at once: most of their knocks wait in the queue


async def kill_backs(scene: Scene, seconds: float) -> None:
    """F1: a random worker every two seconds; another takes its place."""
    end = monotonic() + seconds
    while monotonic() < end or scene.bites["killed"] < 3:
        back = scene.take_back()
        await scene.runs_something(back)
        back.kill()
        scene.bite("killed")
        await asyncio.gather(scene.add_back(), asyncio.sleep(2.0))  # the pace of the fault


async def drain_backs(scene: Scene, seconds: float) -> None:
    """F2: each worker in turn is asked to leave, after its successor has come."""
    end = monotonic() + seconds
    while monotonic() < end or scene.bites["drained"] < 3:
        await scene.add_back()
        back = scene.backs.pop(0)
        scene.gone.append(back)
        await scene.runs_something(back)
        begun = monotonic()
        assert await back.terminate() == 0
        scene.bite("drained")
        longest = scene.figures.get("drain_s", 0.0)
        scene.figures["drain_s"] = max(longest, round(monotonic() - begun, 2))


async def pause_backs(scene: Scene, seconds: float) -> None:
    """F3: a worker sleeps for three leases, wakes, and finds that it is a zombie."""
    end = monotonic() + seconds
    while monotonic() < end or not scene.stale_writes_refused():
        back = scene.backs[0]
        await scene.runs_something(back)
        back.send(signal.SIGSTOP)
        await asyncio.sleep(3 * scene.lease)  # the fault itself
        back.send(signal.SIGCONT)
        scene.bite("paused")
        scene.backs.append(scene.backs.pop(0))
        await asyncio.sleep(1.0)  # it wakes, and tries what it was about to do
        assert monotonic() < end + 60, "no zombie ever wrote anything"
    scene.bite("stale writes refused", scene.stale_writes_refused())


async def roll_fronts(scene: Scene, seconds: float) -> None:
    """F5: each front is replaced; who is connected comes back to another."""
    end = monotonic() + seconds
    while monotonic() < end or scene.bites["replaced"] < 2:
        await scene.add_front()
        assert await scene.remove_front(scene.fronts[0]) == 0
        scene.bite("replaced")


async def kill_fronts(scene: Scene, seconds: float) -> None:
    """F4, from outside: a front is gone in the middle of whatever it does."""
    end = monotonic() + seconds
    while monotonic() < end or scene.bites["killed"] < 3:
        await scene.add_front()
        front = scene.fronts.pop(0)
        scene.crowd.fronts.remove(scene.house.url(front))
        front.kill()
        scene.gone.append(front)
        scene.bite("killed")
        await asyncio.sleep(1.0)  # the pace of the fault


async def alarm_the_broker(scene: Scene, seconds: float) -> None:
    """F8: it takes nothing more, for want of memory and then of disk."""
    for alarm in Alarm:
        async with broker_faults.alarmed(scene.house.stack.broker, alarm):
            scene.bite("alarms")
            await asyncio.sleep(seconds / 2)  # the fault itself


async def lose_the_broker(scene: Scene, seconds: float) -> None:
    """F9: it is killed, frozen, restarted, and a queue is deleted under its consumers."""
    broker = scene.house.stack.broker
    await asyncio.to_thread(broker.kill)
    await asyncio.sleep(seconds / 4)  # the fault itself
    await asyncio.to_thread(broker.start)
    scene.bite("killed")
    await asyncio.to_thread(broker.freeze)
    await asyncio.sleep(seconds / 4)  # the fault itself
    await asyncio.to_thread(broker.thaw)
    scene.bite("frozen")
    await broker_faults.stop_app(broker)
    await broker_faults.start_app(broker)
    scene.bite("restarted")
    vhost = scene.house.amqp_url.rsplit("/", 1)[1]
    await broker_faults.delete_queue(broker, _ROUTE, vhost=vhost)
    scene.bite("queues deleted")


async def purge_the_broker(scene: Scene, seconds: float) -> None:
    """F10, small: every knock that nobody holds is lost, again and again."""
    broker, end = scene.house.stack.broker, monotonic() + seconds
    vhost = scene.house.amqp_url.rsplit("/", 1)[1]
    while monotonic() < end or not scene.bites["knocks lost"]:
        burst = (scene.crowd.ask(Kind.SLOW, seconds=1.0) for _ in range(_MORE_THAN_SLOTS))
        await asyncio.gather(*burst)
        held = await broker_faults.messages_of(broker, vhost=vhost)
        await broker_faults.purge_queue(broker, _ROUTE, vhost=vhost)
        scene.bite("knocks lost", held[_ROUTE])
        assert monotonic() < end + 60, "there was never a knock to lose"


async def kill_the_database(scene: Scene, seconds: float) -> None:
    """F12: the postmaster is killed, and started again a moment later, twice."""
    database = scene.house.stack.postgres
    for _ in range(2):
        await asyncio.to_thread(database.kill)
        await asyncio.sleep(seconds / 8)  # the fault itself
        await asyncio.to_thread(database.start)
        back = monotonic()
        scene.bite("killed")
        await first_answer(scene, back, "database_back_to_202_s")
        await asyncio.sleep(seconds / 4)  # load without a fault


async def restart_the_database(scene: Scene, seconds: float) -> None:
    """F12: a clean restart under load."""
    database = scene.house.stack.postgres
    await asyncio.sleep(seconds / 4)  # load without a fault
    await asyncio.to_thread(database.stop)
    await asyncio.sleep(seconds / 4)  # the fault itself
    await asyncio.to_thread(database.start)
    scene.bite("restarted")
    await first_answer(scene, monotonic(), "database_back_to_202_s")


async def forge_knocks(scene: Scene, seconds: float) -> None:
    """F22: knocks for jobs that wait their turn, that ended or never were, often and newer."""
    connection = await aio_pika.connect(scene.house.amqp_url)
    try:
        channel = await connection.channel()
        exchange = await channel.get_exchange("jobs")
        end = monotonic() + seconds
        while monotonic() < end:
            for body in await _forgeries(scene):
                message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(message, _ROUTE)
                scene.bite("forged")
    finally:
        await connection.close()


async def hold_tables(scene: Scene, seconds: float) -> None:
    """F15: somebody holds the table of jobs; nobody waits for ever."""
    refused = len(scene.crowd.history.refused())
    await scene.house.execute(f"LOCK TABLE jobs; SELECT pg_sleep({seconds / 2})")
    scene.bite("refused meanwhile", len(scene.crowd.history.refused()) - refused)


async def _forgeries(scene: Scene) -> list[bytes]:
    rows = await scene.house.fetch(
        "SELECT id, key, completed_at IS NOT NULL AS ended FROM jobs"
        " WHERE completed_at IS NULL AND key IS NOT NULL OR random() < 0.01 LIMIT 60"
    )
    ids = [JobId(row["id"]) for row in rows] + [fresh_job_id() for _ in range(4)]
    scene.dice.shuffle(ids)
    true = encode_knock(ids[:30], keyed=True)
    lying = encode_knock(ids[-30:], keyed=False)
    newer = true.replace(b'"version":1', b'"version":99')
    return [true, true, lying, newer, b"no knock at all"]


FAULTS: Final = (
    Fault(
        number="F1",
        name="backs-killed",
        harm=kill_backs,
        bites={"killed": 3},
        marks={"crashes": 1},
        is_quick=True,
    ),
    Fault(number="F2", name="backs-drained", harm=drain_backs, bites={"drained": 3}),
    Fault(
        number="F3",
        name="backs-paused",
        harm=pause_backs,
        bites={"paused": 1, "stale writes refused": 1},
        marks={"crashes": 1},
        is_quick=True,
    ),
    Fault(number="F4", name="fronts-killed", harm=kill_fronts, bites={"killed": 3}, is_quick=True),
    Fault(number="F5", name="fronts-rolled", harm=roll_fronts, bites={"replaced": 2}),
    Fault(
        number="F8", name="broker-alarm", harm=alarm_the_broker, bites={"alarms": 2}, is_quick=True
    ),
    Fault(
        number="F9",
        name="broker-lost",
        harm=lose_the_broker,
        bites={"killed": 1, "frozen": 1, "restarted": 1, "queues deleted": 1},
        is_quick=True,
    ),
    Fault(number="F10", name="knocks-lost", harm=purge_the_broker, bites={"knocks lost": 1}),
    Fault(
        number="F12",
        name="database-killed",
        harm=kill_the_database,
        bites={"killed": 2},
        limits={"database_back_to_202_s": 3.0},
        is_quick=True,
    ),
    Fault(
        number="F12",
        name="database-restarted",
        harm=restart_the_database,
        bites={"restarted": 1},
        limits={"database_back_to_202_s": 3.0},
    ),
    Fault(
        number="F15",
        name="tables-held",
        harm=hold_tables,
        bites={"refused meanwhile": 1},
        stage=Stage(warm=8.0),  # it is soon over
    ),
    Fault(
        number="F22", name="knocks-forged", harm=forge_knocks, bites={"forged": 50}, is_quick=True
    ),
    *workers.FAULTS,
    *brokers.FAULTS,
    *edges.FAULTS,
    *full_disk.FAULTS,
    *files.FAULTS,
    *clocks.FAULTS,
    *poison.FAULTS,
)
