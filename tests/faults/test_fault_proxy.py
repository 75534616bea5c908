"""The proxy does the faults it says, and no others."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import pytest

from tests.support.detour import Place, by_way_of, place_of
from tests.support.fault_proxy import Cut, Line, Manner, Proxy, Side, Unwatched, Watch, open_proxy
from tests.support.waiting import until

_LARGE = bytes(range(256)) * 4_096


@dataclass(frozen=True, slots=True)
class End:
    """One end of a line."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def hears(self, count: int) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(count)

    async def hears_the_end(self) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.read()

    async def is_reset(self) -> None:
        with pytest.raises(ConnectionResetError):
            await self.hears_the_end()

    def hears_nothing(self) -> bool:
        return not self.reader._buffer and not self.reader.at_eof()  # type: ignore[attr-defined]


@dataclass(slots=True)
class Scene:
    """A server that only listens, the proxy before it, and the ends that were opened."""

    proxy: Proxy
    arrived: asyncio.Queue[End]
    ends: list[End] = field(default_factory=list)

    async def line(self) -> tuple[End, End]:
        """Open a line; give the client's end and the server's."""
        before = self.proxy.open_lines

        async def is_carried() -> bool:
            return self.proxy.open_lines > before

        near = End(*await asyncio.open_connection("127.0.0.1", self.proxy.port))
        async with asyncio.timeout(5):
            far = await self.arrived.get()
        self.ends += (near, far)
        await until(is_carried, within=5, what="the proxy carries the line", every=0.001)
        return near, far

    def close(self) -> None:
        for end in self.ends:
            end.writer.transport.abort()


@asynccontextmanager
async def opened(
    watch: Callable[[Line], Watch] = Unwatched, *, path: Path | None = None
) -> AsyncIterator[Scene]:
    arrived: asyncio.Queue[End] = asyncio.Queue()

    async def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await arrived.put(End(reader, writer))

    if path is None:
        server = await asyncio.start_server(arrive, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    else:
        server = await asyncio.start_unix_server(arrive, path / ".s.PGSQL.5433")
        url = f"postgresql://me:secret@/base?host={path}&port=5433"
    async with open_proxy(url, watch) as proxy:
        scene = Scene(proxy, arrived)
        try:
            yield scene
        finally:
            scene.close()
            server.close()


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    before = asyncio.all_tasks()
    async with opened() as scene:
        yield scene

    async def none_is_left() -> bool:
        return not {t for t in asyncio.all_tasks() - before if t.get_name().startswith("proxy")}

    await until(none_is_left, within=5, what="the proxy leaves no task")


async def test_what_is_not_disturbed_arrives_whole(scene: Scene) -> None:
    """A test must not fail for the proxy's sake."""
    near, far = await scene.line()

    async with asyncio.TaskGroup() as group:
        group.create_task(near.says(_LARGE))
        group.create_task(far.says(_LARGE[::-1]))
        at_server = group.create_task(far.hears(len(_LARGE)))
        at_client = group.create_task(near.hears(len(_LARGE)))

    assert at_server.result() == _LARGE
    assert at_client.result() == _LARGE[::-1]
    assert (scene.proxy.up.passed, scene.proxy.down.passed) == (len(_LARGE), len(_LARGE))
    assert (scene.proxy.dialled, scene.proxy.open_lines) == (1, 1)


async def test_an_end_that_has_said_all_may_still_listen(scene: Scene) -> None:
    """Half a goodbye is none."""
    near, far = await scene.line()
    near.writer.write_eof()

    assert await far.hears_the_end() == b""
    await far.says(b"and yet")
    assert await near.hears(7) == b"and yet"


async def test_a_line_by_a_socket_in_the_file_system_is_carried_too(tmp_path: Path) -> None:
    """A private database may listen nowhere else."""
    async with opened(path=tmp_path) as scene:
        near, far = await scene.line()
        await near.says(b"here")

        assert await far.hears(4) == b"here"
        assert scene.proxy.url == f"postgresql://me:secret@127.0.0.1:{scene.proxy.port}/base"


async def test_latency_delays_and_jitter_keeps_the_order(scene: Scene) -> None:
    """A later byte never overtakes an earlier one; the other direction is not delayed."""
    scene.proxy.up.manner = Manner(latency=0.2, jitter=0.05, slices=1)
    near, far = await scene.line()
    begun = monotonic()
    await near.says(b"abcdefgh")
    await far.says(b"at once")

    assert await near.hears(7) == b"at once"
    assert far.hears_nothing()
    assert await far.hears(8) == b"abcdefgh"
    assert monotonic() - begun >= 0.2


async def test_a_rate_is_not_exceeded(scene: Scene) -> None:
    """Ten pieces at ten thousand bytes a second take nine pauses at the least."""
    scene.proxy.down.manner = Manner(rate=10_000, slices=500)
    near, far = await scene.line()
    begun = monotonic()
    await far.says(bytes(5_000))

    await near.hears(5_000)
    assert monotonic() - begun >= 0.45


async def test_a_black_hole_keeps_what_falls_into_it_until_it_is_thawed(scene: Scene) -> None:
    """One direction may be silent while the other is not, and nobody is told."""
    near, far = await scene.line()
    scene.proxy.up.freeze()
    await near.says(b"lost?")
    await far.says(b"hello")

    assert await near.hears(5) == b"hello"
    assert far.hears_nothing()
    scene.proxy.thaw()
    assert await far.hears(5) == b"lost?"


async def test_a_cut_resets_both_ends_and_lets_new_lines_in(scene: Scene) -> None:
    """As a firewall does that has forgotten its connections."""
    near, far = await scene.line()
    scene.proxy.cut()

    await near.is_reset()
    await far.is_reset()
    near, far = await scene.line()
    await near.says(b"again")
    assert await far.hears(5) == b"again"


async def test_a_line_that_is_hung_up_ends_in_good_order(scene: Scene) -> None:
    """As a server does that goes down: no error, only the end."""
    near, far = await scene.line()
    scene.proxy.hang_up()

    assert await near.hears_the_end() == b""
    assert await far.hears_the_end() == b""


@pytest.mark.parametrize("told", Side)
async def test_of_a_line_half_open_only_one_side_knows(scene: Scene, told: Side) -> None:
    """As after the crash of a machine: whoever only listens waits for ever."""
    near, far = await scene.line()
    knows, hopes = (near, far) if told is Side.CLIENT else (far, near)
    scene.proxy.half_open(told)

    await knows.is_reset()
    await hopes.says(b"are you there?")
    assert hopes.hears_nothing()
    assert scene.proxy.open_lines == 1
    hopes.writer.close()

    async def is_over() -> bool:
        return scene.proxy.open_lines == 0

    await until(is_over, within=5, what="the line is over when both know")


async def test_a_line_ends_after_just_so_many_bytes(scene: Scene) -> None:
    """A peer may go in the middle of a word."""
    scene.proxy.down.manner = Manner(close_after=5)
    near, far = await scene.line()
    await far.says(b"hello ")
    await far.says(b"world")

    assert await near.hears_the_end() == b"hello"


async def test_who_is_refused_knows_at_once_and_open_lines_go_on(scene: Scene) -> None:
    """The port stays the proxy's meanwhile."""
    near, far = await scene.line()
    scene.proxy.refuse()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", scene.proxy.port)
    await near.says(b"still")
    assert await far.hears(5) == b"still"
    await scene.proxy.admit()
    near, far = await scene.line()
    await near.says(b"new")
    assert await far.hears(3) == b"new"


async def test_a_client_of_a_server_that_is_gone_is_reset(scene: Scene) -> None:
    """The proxy cannot refuse any more what it has let in; it does not leave it waiting."""
    async with open_proxy(by_way_of("http://127.0.0.1", 1)) as proxy:
        near = End(*await asyncio.open_connection("127.0.0.1", proxy.port))
        scene.ends.append(near)

        await near.is_reset()


class Censor(Unwatched):
    """Holds back what is secret, and breaks the line at a word."""

    def up(self, data: bytes) -> bytes:
        assert len(data) <= 4
        if b"!" in data:
            raise Cut
        return data.replace(b"x", b"")


async def test_a_watch_may_hold_back_bytes_or_break_the_line(tmp_path: Path) -> None:
    """It sees pieces as small as is asked for, and nothing of the last one goes on."""
    async with opened(Censor) as scene:
        scene.proxy.up.manner = Manner(slices=4)
        near, far = await scene.line()
        await near.says(b"axbxcxdx")
        assert await far.hears(4) == b"abcd"
        await near.says(b"e!")

        await near.is_reset()
        await far.is_reset()


@pytest.mark.parametrize(
    ("url", "place", "detour"),
    [
        ("amqp://u:p@mq:5673/house", ("mq", 5673), "amqp://u:p@127.0.0.1:9/house"),
        ("amqp://mq/?heartbeat=3", ("mq", 5672), "amqp://127.0.0.1:9/?heartbeat=3"),
        ("postgresql://u@db/x", ("db", 5432), "postgresql://u@127.0.0.1:9/x"),
        (
            "postgresql://u:p%40@/x?host=%2Frun%2Fpg&port=6000&sslmode=prefer",
            Path("/run/pg/.s.PGSQL.6000"),
            "postgresql://u:p%40@127.0.0.1:9/x?sslmode=prefer",
        ),
    ],
)
def test_a_detour_changes_the_place_and_nothing_else(url: str, place: Place, detour: str) -> None:
    """Whoever takes it must still be the same user, in the same house."""
    assert place_of(url) == place
    assert by_way_of(url, 9) == detour
