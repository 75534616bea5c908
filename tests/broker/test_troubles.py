"""Whatever the library throws becomes ours; whatever is ours stays what it is."""

import asyncio

import aiormq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.broker.connection import HEARTBEAT_SECONDS, broker_urls, pause
from shared.broker.troubles import BrokerTrouble, broker_faults


class Ours(BrokerTrouble):
    """A kind of trouble."""


async def test_a_wait_that_the_library_cancels_is_trouble_and_no_cancel() -> None:
    """A bare CancelledError passes every `except Exception` and kills its task in silence."""
    with pytest.raises(Ours), broker_faults(Ours):
        raise asyncio.CancelledError


async def test_a_cancel_of_ours_passes() -> None:
    """Else no service could be stopped while it waits for the broker."""
    inside = asyncio.Event()

    async def wait() -> None:
        with broker_faults(Ours):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await inside.wait()
    task.cancel()
    await asyncio.wait((task,))

    assert task.cancelled()


async def test_a_cancel_of_ours_that_the_library_swallows_is_a_cancel_nevertheless() -> None:
    """It raises the error of a channel that ended at that moment: the service would run on."""
    inside = asyncio.Event()

    async def wait() -> None:
        with broker_faults(Ours):
            try:
                inside.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                raise aiormq.exceptions.ChannelClosed(0, "") from None

    task = asyncio.create_task(wait())
    await inside.wait()
    task.cancel()
    await asyncio.wait((task,))

    assert task.cancelled()


async def test_a_task_that_cleans_up_after_its_cancel_is_not_cancelled_by_the_library() -> None:
    """A drain acks and publishes its last; it must get through."""
    cleaned_up = asyncio.Event()

    async def clean_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(Ours), broker_faults(Ours):
                raise asyncio.CancelledError
            cleaned_up.set()

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))

    assert cleaned_up.is_set()


async def test_a_timeout_of_ours_is_a_timeout() -> None:
    """A limit set outside must not be taken for the library's doing."""

    async def wait() -> None:
        with broker_faults(Ours):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(), 0.01)


async def test_a_limit_set_inside_is_trouble() -> None:
    """That is how a wait on the library is bounded."""
    with pytest.raises(Ours), broker_faults(Ours):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()


@pytest.mark.parametrize(
    "fault",
    [
        ConnectionResetError(),
        TimeoutError(),
        RuntimeError("closed"),
        aiormq.exceptions.ChannelInvalidStateError("closed"),
        aiormq.exceptions.AMQPConnectionError("refused"),
        aiormq.exceptions.ChannelPreconditionFailed("other arguments"),
        Exception(),  # what is waiting on a channel that closes without a reason
    ],
    ids=repr,
)
async def test_every_fault_of_the_library_is_trouble(fault: Exception) -> None:
    """Callers know one tree of errors, and the cause is kept."""
    with pytest.raises(Ours) as caught, broker_faults(Ours):
        raise fault

    assert caught.value.__cause__ is fault


async def test_a_bug_of_ours_is_no_trouble_with_the_broker() -> None:
    """Else it would be retried for ever and never seen."""
    with pytest.raises(TypeError), broker_faults(Ours):
        raise TypeError


async def test_trouble_that_is_known_already_keeps_its_kind() -> None:
    """An inner judgement is the better one."""
    with pytest.raises(Ours), broker_faults(BrokerTrouble):
        raise Ours


def test_several_hosts_are_read_in_their_order() -> None:
    """The order is the operator's."""
    urls = broker_urls("amqp://u:p@one/v, amqps://two:5671/", HEARTBEAT_SECONDS)

    assert [url.host for url in urls] == ["one", "two"]


def test_a_heartbeat_is_set_unless_the_operator_did() -> None:
    """The library's default of 60 s sees a dead broker after three minutes."""
    ours, theirs = broker_urls("amqp://one/,amqp://two/?heartbeat=20", 15)

    assert (ours.query["heartbeat"], theirs.query["heartbeat"]) == ("15", "20")


def test_an_encoded_virtual_host_stays_as_it_is() -> None:
    """`%2F` is another virtual host than `/`."""
    (url,) = broker_urls("amqp://one/%2Fteam", 15)

    assert url.raw_path == "/%2Fteam"


@pytest.mark.parametrize(
    "url", ["", " , ", "http://u:secret@h/", "u:secret@h", "amqp:///v", "amqp"]
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    """It holds a password, and the error goes into a log."""
    with pytest.raises(ValueError, match="amqp://") as caught:
        broker_urls(url, 15)

    assert "secret" not in str(caught.value)


@given(failures=st.integers(min_value=0), roll=st.floats(min_value=0, max_value=1))
def test_the_pause_before_the_next_dial_is_short_and_never_none(failures: int, roll: float) -> None:
    """None would burn a core; a long one would outlast the outage."""
    assert 0.05 <= pause(failures, roll) <= 2.0


@given(failures=st.integers(min_value=0, max_value=50), roll=st.floats(min_value=0, max_value=1))
def test_the_pause_grows_with_failures(failures: int, roll: float) -> None:
    """A hundred processes must not hammer a broker that is just coming up."""
    assert pause(failures, roll) <= pause(failures + 1, roll)
