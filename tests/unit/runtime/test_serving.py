"""Running the services of a process, and stopping them in order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType

import pytest
from structlog.testing import capture_logs

import back_service.__main__ as back
import front_service.__main__ as front
from shared.runtime import serving
from shared.runtime.serving import (
    Afterwards,
    Service,
    ServiceEnded,
    keep_house,
    serve,
    stop_on_signals,
)
from shared.runtime.settings import BadSettings


class Worker:
    """A service that notes in *diary* when it starts and ends."""

    def __init__(self, name: str, diary: list[str], *, takes: int = 0) -> None:
        self.name, self._diary, self._takes = name, diary, takes

    async def run(self) -> None:
        self._diary.append(f"{self.name} starts")
        try:
            await asyncio.Event().wait()
        finally:
            for _ in range(self._takes):
                await asyncio.sleep(0)
            self._diary.append(f"{self.name} ends")


class Failing(Worker):
    async def run(self) -> None:
        await asyncio.sleep(0)
        raise OSError(self.name)


class Returning(Worker):
    async def run(self) -> None:
        await asyncio.sleep(0)


class FailingAtTheEnd(Worker):
    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError(self.name)


async def test_services_start_in_their_order_and_stop_in_the_other() -> None:
    """Each may lean on those before it until its very end; so one at a time."""
    diary: list[str] = []
    stop = asyncio.Event()
    services = [Worker(name, diary, takes=5) for name in ("store", "broker", "consumer")]
    serving = asyncio.create_task(serve(services, stop))
    await asyncio.sleep(0.01)

    stop.set()
    await serving

    assert diary == [
        *("store starts", "broker starts", "consumer starts"),
        *("consumer ends", "broker ends", "store ends"),
    ]


async def test_the_first_failure_stops_the_house_and_is_told() -> None:
    """Half a service that looks alive is worse than none: something will start it anew."""
    diary: list[str] = []
    services = [Worker("store", diary), Failing("broker", diary), Worker("consumer", diary)]

    with pytest.raises(OSError, match="broker"):
        await serve(services, asyncio.Event())

    assert diary[-2:] == ["consumer ends", "store ends"]


async def test_a_service_that_comes_back_is_a_failure() -> None:
    """It should have run for ever: whatever it did is done no more."""
    diary: list[str] = []

    with pytest.raises(ServiceEnded, match="broker"):
        await serve([Worker("store", diary), Returning("broker", diary)], asyncio.Event())

    assert diary[-1] == "store ends"


async def test_a_failure_while_stopping_does_not_keep_the_others_from_it() -> None:
    """Their last writes count as much."""
    diary: list[str] = []
    stop = asyncio.Event()
    stop.set()
    services: list[Service] = [
        Worker("store", diary),
        FailingAtTheEnd("broker", diary),
        Worker("consumer", diary),
    ]

    await serve(services, stop)

    assert diary[-1] == "store ends"


async def test_being_cancelled_stops_the_house_in_order_too() -> None:
    """As by Ctrl-C where nobody listens for signals."""
    diary: list[str] = []
    serving = asyncio.create_task(
        serve([Worker("store", diary), Worker("consumer", diary)], asyncio.Event())
    )
    await asyncio.sleep(0.01)

    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert diary[-2:] == ["consumer ends", "store ends"]


async def test_something_can_be_done_between_two_stops() -> None:
    """After those that were started later, before those that it needs itself."""
    diary: list[str] = []
    stop = asyncio.Event()

    async def last_words() -> None:
        diary.append("last words")

    services: list[Service] = [
        Worker("broker", diary),
        Afterwards("last words", last_words, within=1.0),
        Worker("consumer", diary),
    ]
    serving = asyncio.create_task(serve(services, stop))
    await asyncio.sleep(0.01)

    stop.set()
    await serving

    assert diary[-3:] == ["consumer ends", "last words", "broker ends"]


async def test_last_words_have_an_end() -> None:
    """A broker that never answers must not keep the process alive."""
    diary: list[str] = []
    stop = asyncio.Event()

    async def endless() -> None:
        await asyncio.Event().wait()

    services: list[Service] = [
        Worker("broker", diary),
        Afterwards("last words", endless, within=0.01),
    ]
    serving = asyncio.create_task(serve(services, stop))
    await asyncio.sleep(0.01)

    stop.set()
    async with asyncio.timeout(1):
        await serving

    assert diary[-1] == "broker ends"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_asks_it_to_stop(number: signal.Signals) -> None:
    """What a process manager sends, and what a person at a terminal does."""
    stop = stop_on_signals()
    try:
        os.kill(os.getpid(), number)
        async with asyncio.timeout(1):
            await stop.wait()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(each)


class Wrong(Worker):
    """Fails while it runs, of what a bad setting might also be."""

    async def run(self) -> None:
        await asyncio.sleep(0)
        raise ValueError(self.name)


@asynccontextmanager
async def a_house(
    *services: Service, cannot: Exception | None = None, diary: list[str]
) -> AsyncIterator[Sequence[Service]]:
    if cannot is not None:
        raise cannot
    yield services
    diary.append("closed")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Leave signals and the collector to the tests' own process; give what asks it to stop."""
    stop = asyncio.Event()
    monkeypatch.setattr(serving, "stop_on_signals", lambda: stop)
    monkeypatch.setattr(serving, "spare_the_collector", lambda: None)
    return stop


@pytest.mark.usefixtures("alone")
async def test_a_failure_while_running_is_logged_and_exits_with_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """2 would say that the settings are bad: whoever is on call would look in the wrong place."""
    diary: list[str] = []
    with capture_logs() as lines:
        code = await keep_house(
            lambda _: a_house(Worker("store", diary), Wrong("broker", diary), diary=diary)
        )

    assert code == 1
    assert lines[-1]["event"] == "stopped by a failure"
    assert (lines[-1]["log_level"], lines[-1]["exc_info"]) == ("error", True)
    assert diary[-1] == "store ends"
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("cannot", [BadSettings("no"), ValueError("no"), ImportError("no")])
async def test_what_cannot_be_built_is_told_in_a_line_and_exits_with_2(
    cannot: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    """A module of handlers that is not there, two types of one name: a person must mend it."""
    assert await keep_house(lambda _: a_house(cannot=cannot, diary=[])) == 2
    assert capsys.readouterr().err == "no\n"


async def test_a_house_that_is_asked_to_stop_is_closed_and_exits_with_0(
    alone: asyncio.Event,
) -> None:
    """And says so."""
    diary: list[str] = []
    alone.set()

    assert await keep_house(lambda _: a_house(Worker("store", diary), diary=diary)) == 0

    assert diary[-1] == "closed"


@pytest.mark.usefixtures("alone")
async def test_a_house_may_leave_by_itself() -> None:
    """As after a signal: what it has come for is done."""
    diary: list[str] = []

    def leaving(leave: Callable[[], None]) -> AbstractAsyncContextManager[Sequence[Service]]:
        leave()
        return a_house(Worker("store", diary), diary=diary)

    assert await keep_house(leaving) == 0

    assert diary[-1] == "closed"


@pytest.mark.parametrize("service", [back, front])
def test_a_service_that_fails_while_it_runs_exits_with_1(
    service: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the two, from its very beginning: a failure is no mistake in the settings."""
    monkeypatch.setenv("UKETSUKE_DATABASE_URL", "postgres://127.0.0.1:9/nothing")
    monkeypatch.setenv("UKETSUKE_AMQP_URL", "amqp://127.0.0.1:9/")
    monkeypatch.setattr(service, "configure", lambda **_: None)
    monkeypatch.setattr(serving, "spare_the_collector", lambda: None)
    name = "open_back" if service is back else "open_front"
    monkeypatch.setattr(service, name, lambda _: a_house(Wrong("broker", []), diary=[]))

    assert service.main() == 1
