"""A private RabbitMQ node, started as our own child, gone when we are.

Promises: listens on 127.0.0.1 only, under a user with a random password; keeps what it
confirmed over ``kill`` and ``start``; leaves no port mapper (epmd) behind. Ready means that a
client can log in, not that a port is open.
"""

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import asdict
from pathlib import Path

from deploy.local import probes, processes
from deploy.local.processes import CannotStart
from deploy.local.rabbitmq_mapper import Membership, PortMapper
from deploy.local.rabbitmq_ports import Ports
from deploy.local.rabbitmq_programs import Programs

USER = "uketsuke"
_READY_WITHIN = 60.0
_PORT_LOST = ("eaddrinuse", "could not bind to distribution port")
_TELLING = (*_PORT_LOST, "ERROR:", "Error:", "error:", "failed")
_CONF = """\
listeners.tcp.local = 127.0.0.1:{amqp}
default_user = {user}
default_pass = {password}
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
log.console = false
"""
_VM = "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"


_NOT_OURS = "this RabbitMQ does not run, or was started by another process"


class PortLost(CannotStart):
    """Another program took one of the ports before the node could: choose again."""


class RabbitMQ:
    """One node in one folder; ``start`` after ``kill`` or ``stop`` finds the same data and ports.

    ``start`` and ``ctl`` block; from a running event loop call them by ``asyncio.to_thread``.
    A *foreign* node was started by another process: it can be asked (``ctl``), not touched.
    A *member* is one of several that were told of each other.
    """

    def __init__(
        self,
        folder: Path,
        *,
        programs: Programs,
        foreign: bool = False,
        member: Membership | None = None,
    ) -> None:
        self.folder = folder
        self.programs = programs
        self.ports = member.ports if member else Ports.read(folder / "ports.json")
        self._foreign = foreign
        self._member = member
        self._has_settled = member is not None  # from its first start on, clients know its ports
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        self.node = f"{member.name if member else f'uketsuke-{digest}'}@localhost"
        self._child: subprocess.Popen[bytes] | None = None
        self._mapper = member.mapper if member else PortMapper(folder, programs=programs)
        self._unwanted = threading.Event()

    @property
    def url(self) -> str:
        """Where a client finds the default virtual host, password included."""
        return f"amqp://{USER}:{self._secret('password')}@127.0.0.1:{self.ports.amqp}/"

    @property
    def pid(self) -> int | None:
        """The broker's process, while it runs."""
        return self._child.pid if self._child and self._child.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How it ended by itself; ``None`` while it runs, and after ``stop`` or ``kill``."""
        return self._child.poll() if self._child else None

    def start(self) -> None:
        """Start the node and answer when a client can log in; raise ``CannotStart`` if not."""
        if self._foreign:
            raise RuntimeError(_NOT_OURS)
        self._unwanted.clear()
        for is_last in (False, False, True):
            try:
                return self._start_once()
            except PortLost:
                self.stop()
                if self._has_settled or is_last:
                    raise
                self.ports = Ports.choose()
            except BaseException:
                self.stop()
                raise
        return None

    def _start_once(self) -> None:
        self._end_left_over()
        if not self._has_settled and not self.ports.are_free():
            self.ports = Ports.choose()
        self._prepare()
        self._launch()
        self._await_ready()
        (self.folder / "initialised").touch()
        self._has_settled = True

    def stop(self) -> int | None:
        """Stop cleanly, in about a second; answer the exit code, ``None`` when it did not run."""
        self._unwanted.set()
        code = None
        if self._child:
            child, self._child = self._child, None
            code = processes.stop(
                child, gently=signal.SIGTERM, patience=20.0, firmly=signal.SIGTERM
            )
        if self._member is None:
            self._mapper.stop()
        return code

    def kill(self) -> None:
        """Strike the node dead, as a crash would; its port mapper lives on."""
        processes.signal_all([self._its_pid()], signal.SIGKILL)
        if self._child:
            self._child.wait(5.0)
            self._child = None

    def forget(self) -> None:
        """Throw away all that a stopped node knew: users, virtual hosts, queues, messages."""
        if self._foreign or self.pid is not None:
            raise RuntimeError("only a node of ours, and one that does not run, can forget")
        shutil.rmtree(self.folder / "mnesia")
        (self.folder / "initialised").unlink()

    def settle(self) -> None:
        """Have the node write down which queues it has, before a test strikes it.

        RabbitMQ 3.10 saves that twice a second: a quorum queue declared within the last moment
        before a crash comes back without a leader, for ever (rabbitmq-server issue 10070).
        """
        self.ctl("eval", "[dets:sync(Table) || Table <- dets:all()].")

    def freeze(self) -> None:
        """Stop the node where it stands: it keeps its connections, mute."""
        processes.freeze([self._its_pid()])

    def thaw(self) -> None:
        """Let a frozen node go on."""
        processes.signal_all([self._its_pid()], signal.SIGCONT)

    def ctl(self, *words: str, patience: float = 60.0) -> str:
        """Run ``rabbitmqctl`` with *words* on this node and answer what it printed."""
        environment = self._environment()
        for only_the_servers in ("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "RABBITMQ_DIST_PORT"):
            del environment[only_the_servers]
        done = subprocess.run(
            ["./rabbitmqctl", "-q", *words],
            capture_output=True,
            check=False,
            cwd=self.programs.sbin,
            env=environment,
            timeout=patience,
        )
        if done.returncode:
            said = (done.stderr + done.stdout).decode(errors="replace").strip()
            raise RuntimeError(f"rabbitmqctl {' '.join(words)}: {said}")
        return done.stdout.decode(errors="replace")

    def _its_pid(self) -> int:
        if self.pid is None:
            raise RuntimeError(_NOT_OURS)
        return self.pid

    def _prepare(self) -> None:
        """Write what the node reads."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write("ports.json", json.dumps(asdict(self.ports)))
        if not (self.folder / "initialised").exists():
            # Users are made at the first boot only: one that was interrupted leaves none.
            shutil.rmtree(self.folder / "mnesia", ignore_errors=True)
        self._secret(".erlang.cookie")
        conf = _CONF.format(amqp=self.ports.amqp, user=USER, password=self._secret("password"))
        self._write("rabbitmq.conf", conf + (self._member.conf if self._member else ""))
        self._write("enabled_plugins", "[].\n")
        for stale in self.folder.glob("pid-*"):
            stale.unlink()

    def _end_left_over(self) -> None:
        """End a node and a port mapper whose launcher died; we hold the lock."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int((self.folder / "launched").read_text())
            if processes.is_called_with(pid, self.node):
                processes.end_left_over(pid, gently=signal.SIGTERM, patience=20.0)
        self._mapper.end_left_over(self.ports.epmd)

    def _launch(self) -> None:
        self._mapper.start(self.ports.epmd)
        with (self.folder / "start.log").open("wb") as output:
            # Called where the scripts are: by a path with a space they stumble.
            self._child = processes.start(
                ["./rabbitmq-server"],
                death=signal.SIGTERM,
                env=self._environment(),
                output=output,
                cwd=self.programs.sbin,
            )
        self._write("launched", str(self._child.pid))

    def _await_ready(self) -> None:
        until = time.monotonic() + _READY_WITHIN
        while not (probes.speaks_amqp(self.ports.amqp) and probes.opens_amqp(self.url)):
            if self._unwanted.is_set():
                raise CannotStart("RabbitMQ was stopped while it started")
            if self.pid is None or time.monotonic() > until:
                raise self._why_not()
            time.sleep(0.1)
        if self.pid is None:  # somebody else answered
            raise self._why_not()

    def _why_not(self) -> CannotStart:
        """Find the one telling line in the pages that a failed boot prints."""
        pages = processes.tail(self.folder / "start.log", size_bytes=1 << 16)
        lines = [line.strip() for line in pages.splitlines() if line.strip()]
        for telling in _TELLING:
            for line in lines:
                if telling in line:
                    kind = PortLost if telling in _PORT_LOST else CannotStart
                    return kind(
                        f"RabbitMQ did not start: {line} (all of it: {self.folder}/start.log)"
                    )
        return CannotStart(f"RabbitMQ did not start; see {self.folder}/start.log and log/")

    def _environment(self) -> dict[str, str]:
        here = self.folder
        return {
            "PATH": self.programs.path(),
            "LC_ALL": "C.UTF-8",
            "HOME": str(here),
            "RABBITMQ_NODENAME": self.node,
            "RABBITMQ_DIST_PORT": str(self.ports.distribution),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(here / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_LOG_BASE": str(here / "log"),
            "RABBITMQ_PID_FILE": str(here / f"pid-{os.getpid()}-{time.monotonic_ns()}"),
            "ERL_CRASH_DUMP": str(here / "erl_crash.dump"),
            "ERL_EPMD_PORT": str(self.ports.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _VM,
            "RUNNING_UNDER_SYSTEMD": "true",  # the script then becomes the node: our child is it
        }

    def _secret(self, name: str) -> str:
        """Read a secret of this node; make it at the first call."""
        file = self.folder / name
        with contextlib.suppress(FileExistsError):
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
            with os.fdopen(handle, "w") as fresh:
                fresh.write(secrets.token_hex(20))
        return file.read_text()

    def _write(self, name: str, text: str) -> None:
        """Write a file that only we may read: the configuration holds the password."""
        file = self.folder / name
        file.unlink(missing_ok=True)
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as fresh:
            fresh.write(text)
