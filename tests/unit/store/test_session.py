"""What is said of a database that is not as we rely on."""

from typing import Any, Final, cast

import pytest
from structlog.testing import capture_logs

from shared.contract.errors import Unavailable
from shared.store.pool import LIMITS, Pool, Rejected
from shared.store.session import Session, SessionCheck, complaints

SOUND: Final = {
    "statement_timeout": "5000",
    "lock_timeout": "500",
    "idle_in_transaction_session_timeout": "3000",
    "tcp_user_timeout": "10000",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}


def a_session(*, is_local: bool = False, seats: int = 97, **settings: str) -> Session:
    return Session(settings=SOUND | settings, is_local=is_local, seats=seats)


def with_setting(name: str, value: str) -> Session:
    return Session(settings=SOUND | {name: value}, is_local=False, seats=97)


def test_a_sound_database_has_nothing_said_of_it() -> None:
    """A warning that always comes is read by nobody."""
    assert complaints(a_session(), most_sessions=12) == []


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_what_could_make_a_202_a_lie_is_grave(setting: str) -> None:
    """What was accepted may then be gone after a crash."""
    [complaint] = complaints(with_setting(setting, "off"), most_sessions=12)

    assert (complaint.setting, complaint.found, complaint.is_grave) == (setting, "off", True)


@pytest.mark.parametrize("value", ["remote_write", "remote_apply", "local"])
def test_a_commit_that_waits_for_a_disk_is_well(value: str) -> None:
    """Which other server it waits for as well is for its owner to say."""
    assert complaints(a_session(synchronous_commit=value), most_sessions=12) == []


@pytest.mark.parametrize("setting", LIMITS)
def test_a_limit_that_is_not_in_force_is_told(setting: str) -> None:
    """A pooler that hands out sessions of its own drops what we ask for."""
    [complaint] = complaints(with_setting(setting, "0"), most_sessions=12)

    assert (complaint.setting, complaint.found, complaint.is_grave) == (setting, "0", False)


def test_a_socket_on_this_machine_has_no_network_to_time() -> None:
    """There the server always says 0."""
    assert complaints(a_session(is_local=True, tcp_user_timeout="0"), most_sessions=12) == []


def test_fewer_seats_than_one_process_takes_are_told() -> None:
    """Its own pools would be refused by the server under load."""
    assert complaints(a_session(seats=12), most_sessions=12) == []

    [complaint] = complaints(a_session(seats=11), most_sessions=12)
    assert (complaint.setting, complaint.found) == ("max_connections", "11")
    assert "up to 12" in complaint.why


class Answers:
    """A pool that answers one question, or is away."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.fsync = "on"

    async def fetchrow(self, *_: Any) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        settings = str(SOUND | {"fsync": self.fsync}).replace("'", '"')
        return {"settings": settings, "is_local": False, "seats": 97}


async def test_each_thing_is_told_once_and_counted_while_it_lasts() -> None:
    """Also when a failover brings it later; and again when it comes back."""
    pool = Answers()
    check = SessionCheck(cast("Pool", pool), most_sessions=12)
    with capture_logs() as said:
        assert await check.look()
        assert check.count == 0
        pool.fsync = "off"
        for _ in range(3):
            assert await check.look()
            assert check.count == 1

        [line] = said
        assert (line["log_level"], line["setting"]) == ("error", "fsync")
        pool.fsync = "on"
        assert await check.look()
        pool.fsync = "off"
        assert await check.look()
    assert len(said) == 2


async def test_a_database_that_is_away_is_asked_again() -> None:
    """A start needs no database: it is judged as soon as there is one."""
    pool = Answers()
    check = SessionCheck(cast("Pool", pool), most_sessions=12)

    pool.error = Unavailable()
    with capture_logs() as said:
        assert not await check.look()
    assert said == []

    pool.error = Rejected("permission denied")
    with capture_logs() as said:
        assert await check.look()
    assert [line["why"] for line in said] == ["permission denied"]
