"""The process that children are forked from, and that ends them.

It has imported what they need, so that a fork costs milliseconds. Before the end of a child is
told, its whole process group is dead, and so is every descendant that left the group or lost
its parent: the nursery is their subreaper. When the service goes, however it goes, the nursery
ends everything and follows. It runs no work itself and has one thread.

It leads the session of all its children, so that they yield the processor together: some
kernels weigh sessions against each other, and a nice value counts only within one.
"""

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from back_service.child import Limits, live

_PR_SET_CHILD_SUBREAPER: Final = 36
_ORDER_SIZE: Final = 4_096
_PATIENCE: Final = 0.5
"""Seconds that a killed stray is waited for; longer only if the kernel holds it."""

_AUTOGROUP: Final = Path("/proc/self/autogroup")


@dataclass(frozen=True, slots=True)
class _Child:
    call: int
    pid: int
    watch: int  # a pidfd: readable once the child has ended


class Nursery:
    """Forks and buries children as the service asks on *control*."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._niceness = 0

    def run(self) -> None:
        """Serve until the service is gone, then end every child."""
        self._selector.register(self._control, selectors.EVENT_READ)
        try:
            while self._turn():
                pass
        finally:
            for child in tuple(self._children.values()):
                self._kill(child)
                self._bury(child)

    def _turn(self) -> bool:
        for key, _ in self._selector.select():
            if isinstance(key.data, _Child):
                self._bury(key.data)
            elif not self._hear():
                return False
        return True

    def _hear(self) -> bool:
        try:
            message, files, _, _ = socket.recv_fds(
                self._control, _ORDER_SIZE, 2, socket.MSG_CMSG_CLOEXEC
            )
        except ConnectionError:
            return False
        if not message:
            return False
        order = json.loads(message)
        if "fork" in order:
            limits = Limits(**order["limits"])
            if limits.niceness > self._niceness:
                self._niceness = limits.niceness
                weigh_less(limits.niceness)
            self._fork(order["fork"], limits, files)
        elif (child := self._children.get(order["end"])) is not None:
            self._kill(child)
        return True

    def _fork(self, call: int, limits: Limits, files: list[int]) -> None:
        nursery = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            pid = None
        if pid == 0:
            live(files[0], files[1], limits, nursery)
        for file in files:
            os.close(file)
        if pid is None:
            self._tell(call, None)
            return
        child = _Child(call, pid, os.pidfd_open(pid))
        self._children[call] = child
        self._selector.register(child.watch, selectors.EVENT_READ, child)

    @staticmethod
    def _kill(child: _Child) -> None:
        """Kill a child that is not buried yet, so its number can be nobody else's."""
        for end in (os.killpg, os.kill):  # it may not have made its group yet
            with suppress(ProcessLookupError):
                end(child.pid, signal.SIGKILL)

    def _bury(self, child: _Child) -> None:
        """Reap an ended child after whatever it leaves behind, and tell of its end."""
        self._selector.unregister(child.watch)
        os.close(child.watch)
        self._kill(child)
        del self._children[child.call]
        self._end_strays(child.pid)
        _, status = os.waitpid(child.pid, 0)
        self._tell(child.call, os.waitstatus_to_exitcode(status))

    def _end_strays(self, ended: int) -> None:
        """Kill and reap what was left to us, but for what belongs to a child that still works."""
        patience = time.monotonic() + _PATIENCE
        while strays := [pid for pid in _adopted() if self._is_stray(pid, ended)]:
            for pid in strays:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > patience:
                return
            time.sleep(0.0005)

    def _is_stray(self, pid: int, ended: int) -> bool:
        living = {child.pid for child in self._children.values()}
        if pid == ended or pid in living:
            return False
        try:
            return os.getpgid(pid) not in living
        except ProcessLookupError:
            return False

    def _tell(self, call: int, code: int | None) -> None:
        with suppress(ConnectionError):  # the service is gone; the next read says so
            self._control.send(json.dumps({"ended": call, "code": code}).encode())


def weigh_less(niceness: int) -> None:
    """Lower the weight of this session, where the kernel gives each one its own (autogroup)."""
    patience = time.monotonic() + _PATIENCE
    while time.monotonic() < patience:
        try:
            _AUTOGROUP.write_text(str(niceness), encoding="ascii")
        except BlockingIOError:  # the whole machine may do it ten times a second, but for root
            time.sleep(0.02)
        except OSError:  # no such thing here, or not for us to touch
            return
        else:
            return


def _adopted() -> Iterator[int]:
    """List our children by their numbers: those we forked, and those that were left to us."""
    me = os.getpid()
    with suppress(FileNotFoundError):  # a kernel without this list
        yield from map(int, Path(f"/proc/{me}/task/{me}/children").read_text().split())


def preload(names: list[str]) -> None:
    """Import modules now, so that no child has to; call what is named as ``module:function``.

    One that cannot be had is passed over.
    """
    for name in names:
        module, _, function = name.partition(":")
        try:
            imported = importlib.import_module(module)
            if function:
                getattr(imported, function)()
        except Exception:  # noqa: BLE001  # a missing extra must not cost the other modules
            traceback.print_exc(limit=1)
    gc.collect()
    gc.freeze()  # a collection in a child would copy every page of what was imported


def main(arguments: list[str]) -> None:
    """Serve on the socket whose number is the first argument; the others are modules."""
    for name in ("PYTHONPATH", "PYTHONSAFEPATH"):
        os.environ.pop(name, None)  # ours to find the project by, nobody else's
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    preload(arguments[1:])
    Nursery(control).run()


if __name__ == "__main__":
    main(sys.argv[1:])
