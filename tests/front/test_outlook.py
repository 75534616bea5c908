"""Queue position and estimated completion, as clients see them."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.contract.ids import JobId
from shared.contract.presence import Beat, encode_beat
from shared.contract.states import State
from tests.front.desk import Desk, until


def a_worker_lives(desk: Desk, *, slots: int = 1, **seconds: float) -> None:
    """Let a worker say that it runs echoes and orders, and how long they take."""
    known = {name.replace("_", "."): taken for name, taken in seconds.items()}
    beat = Beat(
        worker="w",
        slots=slots,
        pools=("default", "slow"),
        types=("demo.echo", "orders.fulfil"),
        seconds=known,
    )
    desk.air.offer(encode_beat(beat))


async def look(desk: Desk, job_id: JobId, **headers: str) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with desk.session.get(f"{desk.url}/api/jobs/{job_id}", headers=named) as response:
        content = await response.json() if response.status == 200 else None
        return response.status, content, response.headers


def a_second_later(desk: Desk) -> None:
    """Let what was read of the line be too old."""
    desk.front.outlook._lines.clear()


def seconds_from_now(text: str) -> float:
    return (datetime.fromisoformat(text) - datetime.now(UTC)).total_seconds()


class TestStatus:
    async def test_a_queued_job_says_where_it_stands_and_when_it_may_be_done(
        self, desk: Desk
    ) -> None:
        """Two before it and its own time: three attempts of ten seconds."""
        a_worker_lives(desk, demo_echo=10)
        jobs = [await desk.submit() for _ in range(3)]
        a_second_later(desk)

        _, content, headers = await look(desk, jobs[2])

        assert content["queuePosition"] == 3
        assert 28 < seconds_from_now(content["estimatedCompletion"]) <= 31
        assert headers["Retry-After"] == "15"

    async def test_twice_the_slots_halve_the_wait(self, desk: Desk) -> None:
        """But not the attempt itself."""
        a_worker_lives(desk, slots=2, demo_echo=10)
        jobs = [await desk.submit() for _ in range(3)]
        a_second_later(desk)

        content = (await look(desk, jobs[2]))[1]

        assert 18 < seconds_from_now(content["estimatedCompletion"]) <= 21

    async def test_no_worker_no_estimate(self, desk: Desk) -> None:
        """Nobody knows when one will come; the place in the line is still true."""
        job_id = await desk.submit()
        content = (await look(desk, job_id))[1]
        assert content["queuePosition"] == 1
        assert "estimatedCompletion" not in content

        a_worker_lives(desk, demo_echo=10)
        assert "estimatedCompletion" in (await look(desk, job_id))[1]
        a_worker_lives(desk, slots=0)
        assert "estimatedCompletion" not in (await look(desk, job_id))[1]

    async def test_a_type_that_was_never_seen_to_end_has_no_estimate(self, desk: Desk) -> None:
        """A worker lives, but nobody knows how long it takes."""
        a_worker_lives(desk)
        content = (await look(desk, await desk.submit()))[1]

        assert "estimatedCompletion" not in content

    async def test_a_running_job_is_done_an_attempt_after_its_start(self, desk: Desk) -> None:
        """It stands in no line any more; and what should be over by now says nothing."""
        a_worker_lives(desk, demo_echo=40)
        job_id = await desk.submit()
        desk.store.move(job_id, State.RUNNING)

        content = (await look(desk, job_id))[1]
        assert "queuePosition" not in content
        assert 38 < seconds_from_now(content["estimatedCompletion"]) <= 41
        started = datetime.now(UTC) - timedelta(minutes=1)
        desk.store.views[job_id] = replace(desk.store.views[job_id], started_at=started)
        assert "estimatedCompletion" not in (await look(desk, job_id))[1]

    async def test_a_job_of_a_key_waits_for_those_before_it(self, desk: Desk) -> None:
        """However many slots there are: they run one at a time."""
        a_worker_lives(desk, slots=9, orders_fulfil=10)
        first, _, third = [await desk.submit("orders/fulfil", orderId="1") for _ in range(3)]
        desk.store.move(first, State.RUNNING)

        content = (await look(desk, third))[1]

        assert content["queuePosition"] == 2  # one runs, one waits before it
        assert 28 < seconds_from_now(content["estimatedCompletion"]) <= 31

    async def test_a_scheduled_job_is_done_an_attempt_after_it_is_due(self, desk: Desk) -> None:
        """What may happen in the line until then nobody knows."""
        a_worker_lives(desk, demo_echo=10)
        job_id = await desk.submit(job={"delaySeconds": 600})

        content = (await look(desk, job_id))[1]

        assert "queuePosition" not in content
        assert 608 < seconds_from_now(content["estimatedCompletion"]) <= 611

    async def test_an_ended_job_has_no_future(self, desk: Desk) -> None:
        """Its document is what it was on every other channel."""
        a_worker_lives(desk, demo_echo=10)
        job_id = await desk.submit()
        desk.store.move(job_id, State.CANCELLED)

        assert {"queuePosition", "estimatedCompletion"}.isdisjoint((await look(desk, job_id))[1])

    async def test_the_same_bytes_have_the_same_name(self, desk: Desk) -> None:
        """A strong ETag: one that stands for a place in the line changes with it."""
        first, second = await desk.submit(), await desk.submit()
        a_second_later(desk)
        _, before, headers = await look(desk, second)
        assert (await look(desk, second, If_None_Match=headers["ETag"]))[0] == 304

        desk.store.move(first, State.RUNNING)
        a_second_later(desk)
        status, later, _ = await look(desk, second, If_None_Match=headers["ETag"])

        assert (status, before["queuePosition"], later["queuePosition"]) == (200, 2, 1)


class TestCost:
    async def test_however_many_ask_the_line_is_read_once(self, desk: Desk) -> None:
        """A thousand who poll must not cost more than one."""
        jobs = [await desk.submit() for _ in range(5)]
        await until(lambda: desk.store.lines == 1)  # the submits asked for it, and did not wait
        a_second_later(desk)
        answers = await asyncio.gather(*(look(desk, jobs[n % 5]) for n in range(100)))

        assert {content["queuePosition"] for _, content, _ in answers} == {1, 2, 3, 4, 5}
        assert desk.store.lines == 2

    async def test_trouble_with_the_line_is_no_trouble_with_the_status(self, desk: Desk) -> None:
        """What is known of the job is told; what is not is left out."""
        a_worker_lives(desk, demo_echo=10)
        job_id = await desk.submit()
        a_second_later(desk)
        desk.store.line_is_away = True

        status, content, _ = await look(desk, job_id)

        assert status == 200
        assert "queuePosition" not in content


class TestTicket:
    async def test_a_ticket_says_it_once_the_line_is_known(self, desk: Desk) -> None:
        """It is never waited for: the first ticket may have to do without."""
        a_worker_lives(desk, demo_echo=10)
        await look(desk, await desk.submit())

        tickets = []
        for _ in range(2):
            async with desk.session.post(f"{desk.url}/api/demo/echo", json={}) as response:
                tickets.append(await response.json())

        assert [ticket["queuePosition"] for ticket in tickets] == [2, 3]
        last = seconds_from_now(tickets[1]["estimatedCompletion"])
        assert timedelta(seconds=28) < timedelta(seconds=last) <= timedelta(seconds=31)

    async def test_a_ticket_for_later_or_for_a_key_says_nothing(self, desk: Desk) -> None:
        """Its place will be another one by then."""
        await look(desk, await desk.submit())
        for members in ({"job": {"delaySeconds": 60}}, {"job": {"orderingKey": "k"}}):
            async with desk.session.post(f"{desk.url}/api/demo/echo", json=members) as response:
                assert "queuePosition" not in await response.json()
