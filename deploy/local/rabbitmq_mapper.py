"""Erlang's port mapper (epmd), by which nodes find each other: ours alone, on 127.0.0.1."""

import contextlib
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local import processes
from deploy.local.processes import CannotStart
from deploy.local.rabbitmq_ports import Ports
from deploy.local.rabbitmq_programs import Programs


class PortMapper:
    """One child; its log goes to *folder*. Without one of ours a node starts one for everybody."""

    def __init__(self, folder: Path, *, programs: Programs) -> None:
        self._folder = folder
        self._programs = programs
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, port: int) -> None:
        """Have it listen on *port*; nothing is done where it runs already."""
        if self._child and self._child.poll() is None:
            return
        listen = ("-address", "127.0.0.1", "-port", str(port))
        with (self._folder / "epmd.log").open("wb") as output:
            self._child = processes.start(
                [self._program(), *listen],
                death=signal.SIGKILL,
                env=self._environment(port),
                output=output,
                cwd=self._programs.sbin,
            )

    def stop(self) -> None:
        if self._child:
            child, self._child = self._child, None
            processes.stop(child, gently=signal.SIGTERM, patience=2.0, firmly=signal.SIGKILL)

    def end_left_over(self, port: int) -> None:
        """End the one of an earlier launcher; it refuses while a node is registered."""
        if self._child is None and not processes.is_free(port):
            with contextlib.suppress(FileNotFoundError):
                subprocess.run(
                    [self._program(), "-kill"],
                    env=self._environment(port),
                    capture_output=True,
                    check=False,
                )

    def _program(self) -> Path:
        found = shutil.which("epmd", path=self._programs.path())
        if found is None:
            raise CannotStart("Erlang's epmd was not found beside `erl`.")
        return Path(found)

    def _environment(self, port: int) -> dict[str, str]:
        return {
            "PATH": self._programs.path(),
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._folder),
            "ERL_EPMD_PORT": str(port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """What makes a node one of a cluster: chosen, and run, by whoever runs them all.

    The members' folders must hold the same ``.erlang.cookie`` and ``password`` before the start.
    """

    name: str  # of the node, without its host
    ports: Ports  # with the mapper's
    mapper: PortMapper  # runs already
    conf: str  # lines of rabbitmq.conf
