"""What the offload promises: whatever a child does, the service lives and nothing is left."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from back_service import offload as offload_module
from back_service.child import Limits
from back_service.offload import ChildRaised, Offload, open_offload
from shared.contract.authoring import ChildDied, Fail, Retry, Snooze
from tests.offload import deeds
from tests.offload.facts import dead, gone, open_files, some_facts, state_of, zombies

SOON = 10.0


@pytest.fixture(scope="module")
async def offload() -> AsyncIterator[Offload]:
    async with open_offload(limits=Limits(), preload=["tests.offload.deeds"]) as opened:
        yield opened


async def nothing(*_: Any) -> None:
    pass


class Listener:
    """Takes what a handler says; the first words can be awaited."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str]] = []
        self.spoken = asyncio.Event()

    async def progress(self, percent: float, message: str) -> None:
        self.heard.append((percent, message))
        self.spoken.set()


async def test_a_call_answers_what_its_function_returns(offload: Offload) -> None:
    """The plain case: arguments in, answer out, in another process."""
    assert await offload.call(deeds.add, [1], {"right": 2}) == 3
    assert (await offload.call(deeds.whoami))["pid"] != os.getpid()


async def test_a_child_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sees no secret, has no files of ours, no input, its own group, and a lower place."""
    monkeypatch.setenv("UKETSUKE_DATABASE_URL", "canary")

    async with open_offload(limits=Limits(niceness=7)) as offload:
        seen = await offload.call(deeds.whoami)

    assert "canary" not in str(seen["environment"])
    assert seen["environment"]["OMP_NUM_THREADS"] == "1"
    assert seen["input"] == b""
    assert set(seen["open_files"]) <= {0, 1, 2, 3, 4}  # the last one lists the others
    assert seen["leads_group"]
    assert seen["session"] != os.getsid(0)
    assert seen["niceness"] == os.nice(0) + 7
    assert seen["turn"] == (deeds.turn() and 100_000_000)  # where the kernel has such turns at all
    assert seen["umask"] == 0o077


@pytest.mark.parametrize(
    ("deed", "args", "words"),
    [(deeds.crash, (), "SIGSEGV"), (deeds.leave, (3,), "exit code 3"), (deeds.leave, (0,), "0")],
)
async def test_a_crash_is_told_and_harms_nobody(
    offload: Offload, deed: Any, args: tuple[Any, ...], words: str
) -> None:
    """A broken library costs one attempt, not the worker with all its other jobs."""
    neighbour = asyncio.create_task(offload.call(deeds.add, [20, 22]))

    with pytest.raises(ChildDied, match=words):
        await asyncio.wait_for(offload.call(deed, args), SOON)

    assert await neighbour == 42


async def test_a_crash_leaves_its_last_words_for_the_log(offload: Offload) -> None:
    """Which line crashed is what the author of a handler has to know."""
    with pytest.raises(ChildDied) as raised:
        await offload.call(deeds.crash)

    assert "deeds.py" in raised.value.__notes__[0]


async def test_too_much_memory_is_a_failure_with_a_code(offload: Offload) -> None:
    """More of the same would need as much memory again: no retry."""
    with pytest.raises(Fail) as raised:
        await asyncio.wait_for(offload.call(deeds.run_out_of_memory, memory_bytes=2**27), SOON)

    assert raised.value.code == "out_of_memory"


@pytest.mark.parametrize(
    "error",
    [
        Fail("no_such_order", "the order is unknown"),
        Retry("later", after=timedelta(seconds=7)),
        Retry("at once"),
        Snooze(timedelta(minutes=3)),
        ValueError("a value"),
        KeyError("a key"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    ],
    ids=repr,
)
async def test_what_a_child_raises_arrives_as_itself(offload: Offload, error: Exception) -> None:
    """A handler may catch in the service what its function raises in the child."""
    with pytest.raises(type(error)) as raised:
        await offload.call(deeds.throw, [error])

    assert raised.value.args == error.args
    assert getattr(raised.value, "after", None) == getattr(error, "after", None)


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()]
)
async def test_an_exit_in_a_child_is_not_ours(offload: Offload, error: BaseException) -> None:
    """A child that says cancelled must not look as if somebody had cancelled the job."""
    with pytest.raises(ChildRaised, match=type(error).__name__):
        await offload.call(deeds.throw, [error])


async def test_an_error_that_cannot_travel_is_named(offload: Offload) -> None:
    """Whatever a stranger's exception does when it is rebuilt, the fault is told."""
    with pytest.raises(ChildRaised, match="Awkward: this and that"):
        await offload.call(deeds.throw_awkward)


async def test_an_error_brings_its_traceback(offload: Offload) -> None:
    """The line that failed is in the child; the log is here."""
    with pytest.raises(ValueError, match="a value") as raised:
        await offload.call(deeds.throw, [ValueError("a value")])

    assert "deeds.py" in raised.value.__notes__[0]


async def test_what_cannot_travel_is_refused_at_once(offload: Offload) -> None:
    """An author's mistake is named where it was made."""
    with pytest.raises(Exception, match=r"(?i)pickle"):
        await offload.call(lambda: None)
    with pytest.raises(TypeError, match=r"(?i)pickle"):
        await offload.call(deeds.throw, [threading.Lock()])


async def test_a_function_of_main_is_refused(
    offload: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No child can import the script that was started."""
    monkeypatch.setattr(deeds.add, "__module__", "__main__")

    with pytest.raises(TypeError, match="__main__"):
        await offload.call(deeds.add, [1])


async def test_a_large_answer_does_not_hold_the_loop(
    offload: Offload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leases are renewed on the same loop: it has its turns while a large answer is unpickled."""
    loop, here = asyncio.get_running_loop(), threading.get_ident()
    frames: list[int] = []

    class Watched(offload_module._Pages):
        def read(self, size: int | None = -1, /) -> bytes:
            assert threading.get_ident() != here
            asyncio.run_coroutine_threadsafe(nothing(), loop).result(SOON)  # a turn of the loop
            frames.append(size or 0)
            return super().read(size)

    monkeypatch.setattr(offload_module, "_Pages", Watched)

    answer = await offload.call(deeds.nest, [500_000])

    assert len(answer) == 500_000
    assert len(frames) > 20
    assert max(frames) <= 2**17  # so little is unpickled between two turns
    assert len(await offload.call(deeds.fill, [15 * 2**20])) == 15 * 2**20


async def test_an_answer_over_the_limit_is_refused(offload: Offload) -> None:
    """A result that large belongs into a blob."""
    with pytest.raises(Fail) as raised:
        await offload.call(deeds.fill, [16 * 2**20])

    assert raised.value.code == "result_too_large"


@pytest.mark.parametrize("deed", [deeds.answer_with_garbage, deeds.answer_with_something_else])
async def test_garbage_is_no_answer(offload: Offload, deed: Any) -> None:
    """Whatever stands on the pipe, the service neither crashes nor waits for more."""
    with pytest.raises(ChildDied, match="no answer"):
        await asyncio.wait_for(offload.call(deed), SOON)


async def test_a_closed_pipe_is_an_end(offload: Offload) -> None:
    """A child that can no longer answer is not waited for."""
    with pytest.raises(ChildDied, match="closed its pipe"):
        await asyncio.wait_for(offload.call(deeds.close_the_pipe), SOON)


async def test_what_a_child_prints_disturbs_nobody(offload: Offload) -> None:
    """A chatty library fills neither the pipe of answers nor our own output."""
    assert await asyncio.wait_for(offload.call(deeds.babble), SOON) == 42


async def test_files_of_a_child_are_limited(tmp_path: Path) -> None:
    """A child can neither fill the disk with one file nor eat all descriptors."""
    limits = Limits(file_bytes=2**20, open_files=64)
    async with open_offload(limits=limits) as offload:
        with pytest.raises(OSError, match="large"):
            await offload.call(deeds.write_file, [tmp_path / "big", 2**21])
        assert await offload.call(deeds.open_many) < 64


async def test_the_processor_is_a_net_of_its_own() -> None:
    """Whoever forgets a timeout still does not burn for ever."""
    async with open_offload(limits=Limits(cpu_seconds=1)) as offload:
        with pytest.raises(ChildDied, match="SIGXCPU"):
            await asyncio.wait_for(offload.call(deeds.spin), 30)


async def test_a_cancel_ends_a_hang_and_all_it_started(offload: Offload, tmp_path: Path) -> None:
    """Timeout, cancel and drain are promises: not even a daemon of the child stays behind."""
    listener = Listener()
    work = asyncio.create_task(
        offload.handle(
            deeds.hang_with_family, some_facts(tmp_path), None, listener.progress, nothing
        )
    )
    await asyncio.wait_for(listener.spoken.wait(), SOON)
    pids = [int(word) for word in listener.heard[0][1].split()]
    assert len(pids) == 4
    assert all(map(state_of, pids))

    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 1)

    await asyncio.wait_for(gone(pids), 1)


async def test_what_a_finished_call_left_behind_is_ended(offload: Offload) -> None:
    """A call is over when everything it started is over."""
    daemon = await offload.call(deeds.leave_a_daemon_behind)

    await asyncio.wait_for(gone([daemon]), 1)


async def test_one_call_does_not_end_the_family_of_another(
    offload: Offload, tmp_path: Path
) -> None:
    """Cleaning up after one job must not touch what another one still needs."""
    listener = Listener()
    work = asyncio.create_task(
        offload.handle(deeds.burn, some_facts(tmp_path), None, listener.progress, nothing)
    )
    await asyncio.wait_for(listener.spoken.wait(), SOON)

    await offload.call(deeds.leave_a_daemon_behind)

    assert state_of(int(listener.heard[0][1])) in {"R", "S"}
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_killed_service_leaves_nothing_burning() -> None:
    """After ``kill -9`` of a worker its jobs run elsewhere: nothing may go on here."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.offload.orphan", stdout=asyncio.subprocess.PIPE
    )
    if process.stdout is None:
        raise AssertionError
    lines = [await asyncio.wait_for(process.stdout.readline(), SOON) for _ in range(2)]
    pids = [int(word) for word in b" ".join(lines).split()]
    assert len(pids) == 5

    process.send_signal(signal.SIGKILL)
    await process.wait()

    await asyncio.wait_for(gone(pids), 5)


async def test_a_killed_nursery_is_replaced(offload: Offload, tmp_path: Path) -> None:
    """The one process that children hang on may die too: its calls end, the next one works."""
    listener = Listener()
    work = asyncio.create_task(
        offload.handle(deeds.burn, some_facts(tmp_path), None, listener.progress, nothing)
    )
    await asyncio.wait_for(listener.spoken.wait(), SOON)
    if offload._nursery is None:
        raise AssertionError

    offload._nursery._process.kill()

    with pytest.raises(ChildDied):
        await asyncio.wait_for(work, SOON)
    await asyncio.wait_for(dead(int(listener.heard[0][1])), 1)
    assert await offload.call(deeds.add, [1, 1]) == 2


async def test_a_handler_in_a_child_has_its_context(offload: Offload, tmp_path: Path) -> None:
    """Facts, progress in order, a checkpoint that waits, a private folder."""
    listener, saved = Listener(), []
    facts = some_facts(tmp_path)

    async def save(data: Any) -> None:
        saved.append((data, len(listener.heard)))

    answer = await offload.handle(deeds.report, facts, 50, listener.progress, save)

    assert listener.heard == [(2.0 * step, f"step {step}") for step in range(50)]
    assert saved == [({"at": 50}, 50)]
    assert answer["job_id"] == facts.job_id
    assert answer["checkpoint"] == {"at": 1}
    assert answer["cwd"] == tmp_path
    assert (tmp_path / "scratch").exists()


async def test_a_checkpoint_that_fails_ends_the_handler(offload: Offload, tmp_path: Path) -> None:
    """A handler must not go on as if its checkpoint were durable."""

    async def refuse(_data: Any) -> None:
        raise Retry("the store is away")

    with pytest.raises(Retry, match="away"):
        await offload.handle(deeds.report, some_facts(tmp_path), 3, nothing, refuse)


async def test_what_is_preloaded_is_there_in_every_child() -> None:
    """Half a second of imports is paid once, not with every job; a missing module costs nothing."""
    preload = ["no_such_module", "tests.offload.deeds:no_such_function", "tests.offload.deeds:warm"]
    async with open_offload(limits=Limits(), preload=preload) as offload:
        assert await offload.call(deeds.warmed_by_another)
        assert await offload.call(deeds.warmed_by_another)


async def test_no_more_children_than_allowed() -> None:
    """A crowd waits for its turn instead of filling the machine."""
    async with open_offload(limits=Limits(), most_children=1) as offload:
        first = asyncio.create_task(offload.call(deeds.spin))
        await asyncio.sleep(0)
        second = asyncio.create_task(offload.call(deeds.add, [1, 1]))

        done, _ = await asyncio.wait([second], timeout=0.3)
        assert not done

        first.cancel()
        assert await asyncio.wait_for(second, SOON) == 2
        await asyncio.gather(first, return_exceptions=True)


async def test_a_hundred_calls_leave_no_descriptor_and_no_zombie(offload: Offload) -> None:
    """A worker lives for months."""
    await offload.call(deeds.add, [0])
    before = open_files()

    for _ in range(25):
        await asyncio.gather(
            offload.call(deeds.add, [1]),
            offload.call(deeds.leave, [1]),
            offload.call(deeds.throw, [ValueError()]),
            asyncio.wait_for(offload.call(deeds.spin), 0.05),
            return_exceptions=True,
        )

    assert open_files() <= before
    assert zombies() == []


async def test_leaving_ends_every_child() -> None:
    """A service that has stopped owns no process any more."""
    async with open_offload(limits=Limits()) as offload:
        work = asyncio.create_task(offload.call(deeds.spin))
        await offload.call(deeds.add, [1])
        nursery = offload._nursery
        if nursery is None:
            raise AssertionError

    with pytest.raises(ChildDied):
        await asyncio.wait_for(work, SOON)
    assert not state_of(nursery._process.pid)


async def test_a_program_answers_its_exit_code(offload: Offload, tmp_path: Path) -> None:
    """An outside program runs in the folder and with the environment it was given."""
    script = 'test "$WORD" = magic && test "$PWD" = "$PLACE" && exit 7'
    code = await offload.run_program(
        ["sh", "-c", script], tmp_path, {"WORD": "magic", "PLACE": str(tmp_path)}
    )

    assert code == 7
    assert await offload.run_program(["sh", "-c", "kill -9 $$"], tmp_path) == -9


async def test_a_program_that_is_not_there_is_told(offload: Offload, tmp_path: Path) -> None:
    """A missing tool is the author's to handle, not a crash."""
    with pytest.raises(FileNotFoundError):
        await offload.run_program(["no-such-program"], tmp_path)


async def test_a_cancelled_program_is_killed_with_its_group(
    offload: Offload, tmp_path: Path
) -> None:
    """A shell that waits for its children does not shield them."""
    os.mkfifo(tmp_path / "pids")
    script = "trap '' TERM; sleep 3600 & echo $$ $! > pids; wait"
    work = asyncio.create_task(offload.run_program(["sh", "-c", script], tmp_path))
    words = await asyncio.wait_for(asyncio.to_thread((tmp_path / "pids").read_text), SOON)

    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 1)

    await asyncio.wait_for(gone(map(int, words.split())), 1)
