"""A private PostgreSQL, started as our own child, gone when we are.

Promises: durable (nothing of PostgreSQL's defaults is loosened unless FAST_AND_LOSSY is
passed); reachable by its owner alone, through a socket in a folder of mode 0700, and by TCP on
127.0.0.1 with a password when asked. Refuses to serve from data that another server holds.
"""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deploy.local import probes, processes
from deploy.local.postgres_access import Access, grant_access, nobody, own
from deploy.local.postgres_programs import find_programs, major_version
from deploy.local.postgres_sockets import make_private, socket_folder
from deploy.local.processes import CannotStart

DURABLE: Mapping[str, str] = {}
FAST_AND_LOSSY: Mapping[str, str] = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}
USER = DATABASE = "uketsuke"
_SOCKET_PORT = 5432  # names the socket; nothing listens there
_READY_WITHIN = 30.0
_STILL_IN_USE = "is still in use"  # the last backend of a killed server has not noticed yet
_LOG_MAX_BYTES = 8 << 20


class Postgres:
    """One server on one data folder; ``start`` after ``kill`` or ``stop`` finds the same data.

    *tcp* opens a port of 127.0.0.1 too. ``start`` blocks; the rest is quick.
    """

    def __init__(
        self,
        folder: Path,
        *,
        settings: Mapping[str, str] = DURABLE,
        tcp: bool = False,
    ) -> None:
        self._programs = find_programs()
        self.state = folder / f"postgres-{major_version(self._programs)}"
        self._data = self.state / "data"
        self._log = self.state / "server.log"
        self._settings = settings
        self.tcp_port = self._last_port() if tcp else None
        self._has_settled = False  # from its first start on, clients know its port
        self._child: subprocess.Popen[bytes] | None = None
        self._access: Access | None = None
        self._unwanted = threading.Event()
        self._sockets = socket_folder(self.state)

    @property
    def url(self) -> str:
        """Where the services find it: through the socket."""
        return self._socket_url(DATABASE)

    @property
    def tcp_url(self) -> str | None:
        """Where it is found by TCP, password included; ``None`` unless asked for."""
        if self.tcp_port is None:
            return None
        return f"postgresql://{USER}:{self._password()}@127.0.0.1:{self.tcp_port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself; ``None`` while it runs, and after ``stop`` or ``kill``."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Start the server and answer when it serves our data; raise ``CannotStart`` if not."""
        self._unwanted.clear()
        try:
            access = self._prepare()
            self._launch_until_ready(access)
            probes.ensure_database(self._socket_url("postgres"), DATABASE)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> int | None:
        """Stop fast and cleanly; answer the exit code, or ``None`` when it did not run."""
        self._unwanted.set()
        self._release()
        if self._child is None:
            return None
        child, self._child = self._child, None
        code = processes.stop(child, gently=signal.SIGINT, patience=10.0, firmly=signal.SIGQUIT)
        with contextlib.suppress(OSError):  # of a server that was killed something may be left
            self._sockets.rmdir()
        return code

    def kill(self) -> None:
        """Strike the server and all its backends at once, as a crash of the machine would."""
        processes.signal_all(self._all_of_it(), signal.SIGKILL)
        if self._child:
            self._child.wait(5.0)
            self._child = None

    def freeze(self) -> None:
        """Stop every process of the server where it stands: it keeps its connections, mute."""
        processes.freeze(self._all_of_it())

    def thaw(self) -> None:
        """Let a frozen server go on."""
        processes.signal_all(self._all_of_it(), signal.SIGCONT)

    def _all_of_it(self) -> list[int]:
        if self.pid is None:
            raise RuntimeError("this PostgreSQL does not run, or is not ours")
        return processes.family(self.pid)

    def _release(self) -> None:
        if self._access:
            self._access.close()
            self._access = None

    def _prepare(self) -> Access:
        """Make state, data and socket folder; end what an earlier launcher left behind."""
        self.state.mkdir(parents=True, exist_ok=True)
        self._end_left_over()
        self._release()
        access = self._access = grant_access(self._programs, self.state)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(access)
        make_private(self._sockets, owners={os.getuid(), access.uid, *nobody()})
        own(self._sockets, access.uid, access.gid)
        for stale in self._sockets.glob(".s.PGSQL.*"):
            stale.unlink()
        self._settle_port()
        if self._log.exists() and self._log.stat().st_size > _LOG_MAX_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        return access

    def _last_port(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int((self.state / "tcp_port").read_text())
        return processes.free_ports(1)[0]

    def _settle_port(self) -> None:
        """Keep the port of the last time, unless it has been lost since."""
        if self.tcp_port is None or self._has_settled:
            return
        if not processes.is_free(self.tcp_port):
            self.tcp_port = processes.free_ports(1)[0]
        (self.state / "tcp_port").write_text(str(self.tcp_port))
        self._has_settled = True

    def _end_left_over(self) -> None:
        """End a server whose launcher died; we hold the lock, so nobody else owns it."""
        pid = self._holder()
        if pid and processes.works_in(pid, self._data):
            processes.end_left_over(pid, gently=signal.SIGINT, patience=10.0)
        # Where it still is, its number may since belong to another process.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _holder(self) -> int | None:
        """Read which process has the data in use, or had it when it was killed."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self._data / "postmaster.pid").read_text().splitlines()[0])
        return None

    def _initialise(self, access: Access) -> None:
        """Run initdb beside the data folder and move it in when complete."""
        unfinished = self.state / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(self._data, ignore_errors=True)
        password_file = self.state / "password"
        password_file.unlink(missing_ok=True)
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
        os.chown(password_file, access.uid, access.gid)
        # A private network is no place for eavesdroppers, and each scram log-in costs a test 11 ms.
        by_tcp = "scram-sha-256" if self._settings == DURABLE else "password"
        options = f"-A trust --auth-host={by_tcp} -E UTF8 --locale=C --no-instructions".split()
        made = subprocess.run(
            [
                *access.prefix,
                access.programs / "initdb",
                *("-D", access.state / unfinished.name),
                *("-U", USER, f"--pwfile={access.state / password_file.name}"),
                *options,
            ],
            capture_output=True,
            check=False,
            cwd="/",
            env=self._environment(access),
            pass_fds=access.descriptors,
        )
        if made.returncode:
            words = (made.stdout + made.stderr)[-2048:].decode(errors="replace")
            raise CannotStart(f"PostgreSQL could not make its data folder:\n{words}")
        unfinished.rename(self._data)
        _sync(self.state)

    def _launch_until_ready(self, access: Access) -> None:
        until = time.monotonic() + _READY_WITHIN
        while not self._serves():
            failure = self._launch_failed(access)
            late = time.monotonic() > until
            if late or (failure and _STILL_IN_USE not in failure):
                said = failure or processes.tail(self._log, since=self._log_start)
                raise CannotStart(f"PostgreSQL did not start. The end of {self._log}:\n{said}")

    def _launch_failed(self, access: Access) -> str | None:
        """See to it that a server runs or is starting; answer its last words if it fell."""
        if self._unwanted.is_set():
            raise CannotStart("PostgreSQL was stopped while it started")
        if self._child is None:
            self._log_start = self._log.stat().st_size if self._log.exists() else 0
            self._launch(access)
        elif self._child.poll() is not None:
            self._child = None
            return processes.tail(self._log, since=self._log_start) or "(it said nothing)"
        time.sleep(0.03)
        return None

    def _launch(self, access: Access) -> None:
        listen = "" if self.tcp_port is None else "127.0.0.1"
        settings = {
            "listen_addresses": listen,
            "port": str(self.tcp_port or _SOCKET_PORT),
            "unix_socket_directories": _quoted(self._sockets),
            "max_connections": "200",
            **self._settings,
        }
        options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        with self._log.open("ab") as log:
            self._child = processes.start(
                [access.programs / "postgres", "-D", access.state / self._data.name, *options],
                death=signal.SIGINT,
                env=self._environment(access),
                output=log,
                account=access.prefix,
                descriptors=access.descriptors,
            )

    def _serves(self) -> bool:
        """Tell whether somebody answers, and that it is our own child, on our own data."""
        if self.pid is None or probes.data_directory(self._socket_url("postgres")) is None:
            return False
        return self.pid is not None and self._holder() == self.pid

    def _environment(self, access: Access) -> dict[str, str]:
        path = os.environ.get("PATH", os.defpath)
        return {"HOME": str(access.state), "LC_ALL": "C", "TZ": "UTC", "PATH": path}

    def _password(self) -> str:
        return (self.state / "password").read_text()

    def _socket_url(self, database: str) -> str:
        port = self.tcp_port or _SOCKET_PORT
        host = quote(str(self._sockets), safe="")
        return f"postgresql://{USER}@/{database}?host={host}&port={port}"


def _quoted(folder: Path) -> str:
    """Write *folder* as one element of a list setting."""
    return '"' + str(folder).replace('"', '""') + '"'


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
