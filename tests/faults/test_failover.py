"""The database fails over to its synchronous standby: what was promised is there."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from deploy.local.postgres import Postgres
from deploy.local.stack import Stack
from tests.faults.load import Load, judged, keep_verdict, steady_load, told
from tests.support.endings import all_have_ended
from tests.support.house import House, open_house
from tests.support.standby import ask, open_address, open_pair, tcp_url
from tests.support.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.servers, pytest.mark.timeout(300)]

_RATE = 30.0  # submits a second
_WARM, _DECIDING, _AFTER = 3.0, 2.0, 3.0  # seconds of load
_AGAIN_WITHIN = 5.0  # seconds from the turn to the first 202
_AT_REST = (
    "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name LIKE 'uketsuke%'"
    " AND wait_event IS DISTINCT FROM 'SyncRep'"  # there it waits for ever, and confirms nothing
)
_EVENTS = "SELECT array_agg(kind || ' ' || job_id::text || ' ' || sequence) FROM job_events"


async def test_a_failover_loses_nothing_and_the_old_primary_gets_no_write(
    stack: Stack, tmp_path: Path
) -> None:
    """Nobody tells the services: they find the new primary behind the old address."""
    async with open_pair(tmp_path / "pair") as pair, open_address(tcp_url(pair.primary)) as address:
        behind = replace(
            stack, database_url=address.url, database_tcp_url=address.url, own_postgres=None
        )
        async with open_house(behind, tmp_path) as house:
            front = await house.front()
            backs = [await house.back() for _ in range(2)]

            async with steady_load(house, front, rate=_RATE) as load:
                await asyncio.sleep(_WARM)
                pair.primary.freeze()
                await asyncio.sleep(_DECIDING)
                address.turn(await pair.promote())
                turned = monotonic()
                await until(lambda: is_taken(load, turned), within=20, what="submits are taken")
                first = min(r.ended for r in load.replies if r.status == 202 and r.due > turned)
                pair.primary.thaw()
                await until(lambda: is_at_rest(pair.primary), within=20, what="the old is at rest")
                old = await events_of(pair.primary, house)
                await asyncio.sleep(_AFTER)
                grown = await events_of(pair.primary, house) - old
            await all_have_ended(house, within=60)
            verdict = await judged(house, load)
            split = old - await events_of(pair.standby, house)
            exits = [worker.exit_code for worker in (front, *backs)]

    print(
        f"\n{address.cut} lines cut, first 202 {first - turned:.2f} s after: {told(load)}"
        f"\n  {verdict}"
        f"\n  the old primary: {len(old)} events, of which {len(split)} are its own alone"
    )
    keep_verdict(
        "F13-failover",
        verdict,
        bites={"lines cut": address.cut},
        figures={"failover_to_202_s": round(first - turned, 2)},
        again='make faults ARGS="tests/faults/test_failover.py"',
    )
    assert address.cut > 0
    assert {reply.status for reply in load.replies} == {202, 503}
    assert first - turned <= _AGAIN_WITHIN
    assert verdict.is_sound()
    assert grown == set(), "somebody still writes to the old primary"
    # A claim promises nothing, and does not wait for the standby: see decision 2.
    assert {event for event in split if not event.startswith("running ")} == set()
    assert exits == [None] * 3


async def is_taken(load: Load, since: float) -> bool:
    """Say whether the last ten submits were accepted, all of them made after *since*."""
    return all(reply.status == 202 and reply.due > since for reply in load.replies[-10:])


async def is_at_rest(server: Postgres) -> bool:
    """Say whether it has done whatever it was sent before it was frozen."""
    return bool(await ask(server, _AT_REST))


async def events_of(server: Postgres, house: House) -> set[str]:
    """Read what has happened to jobs, as *server* has it."""
    database = urlsplit(house.database_url).path
    found = await ask(server, _EVENTS, database=database)
    return set(found) if isinstance(found, list) else set()
