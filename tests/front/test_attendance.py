"""Open streams end with what let their callers in."""

import asyncio
from uuid import uuid4

from front_service.attendance import Attendance
from front_service.identity import Principal
from shared.contract.ids import THE_TENANT


async def test_a_seat_ends_when_its_token_does() -> None:
    """A token cannot be revoked; but it says itself how long it lasts."""
    ended, now = asyncio.Event(), asyncio.get_running_loop().time()
    caller = Principal(tenant=THE_TENANT, name="sub shop", until=now)

    with Attendance().seat(caller) as seat:
        seat.on_end(ended.set)
        async with asyncio.timeout(5):
            await ended.wait()


async def test_what_is_over_already_is_told_at_once() -> None:
    """The key may end between the door and the stream."""
    attendance, key = Attendance(), uuid4()
    told: list[str] = []

    with attendance.seat(Principal(tenant=THE_TENANT, name="key app", key=key)) as seat:
        attendance.end(key)
        attendance.end(key)
        seat.on_end(lambda: told.append("ended"))

    assert told == ["ended"]
    assert not attendance.is_present(key)
