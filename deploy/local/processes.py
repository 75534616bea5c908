"""Start child processes that die with us, and end what an earlier launcher left behind.

Promises: a child started here ends when this process ends, however it ends (on Linux, by the
parent-death signal); it never gets the terminal's Ctrl-C, so that its owner can stop it in
order. Refuses to signal a process that is not provably the one meant.
"""

import contextlib
import ctypes
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import SystemRandom
from typing import IO

ON_LINUX = sys.platform.startswith("linux")
PORTS = range(20000, 32000)  # below the ephemeral range: no client can connect to itself there


class CannotStart(RuntimeError):
    """Something of the local stack cannot start; the text is written for its user."""


@functools.cache
def has_setpriv() -> bool:
    """Tell whether setpriv knows the parent-death signal (the one of BusyBox does not)."""
    if not shutil.which("setpriv"):
        return False
    trial = subprocess.run(
        ["setpriv", "--pdeathsig", "TERM", "true"], check=False, capture_output=True
    )
    return trial.returncode == 0


@functools.cache
def _starter() -> ThreadPoolExecutor:
    """Make the one thread that starts children.

    The parent-death signal fires when the *thread* that started a child ends, and callers may
    live in threads that come and go: this one lasts as long as the process.
    """
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="starts-children")


def _die_with_parent(death: signal.Signals) -> None:
    """Ask the kernel for *death* when the parent ends: prctl(PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, int(death))


def start(
    argv: Sequence[str | Path],
    *,
    death: signal.Signals,
    env: Mapping[str, str],
    output: int | IO[bytes],
    cwd: str | Path = "/",
    account: Sequence[str] = (),
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start *argv* in a session of its own; it gets *death* should we end without goodbye.

    *account* is a command prefix that changes the user, as ``setpriv --reuid=…``; of our open
    files it inherits *descriptors*, under the same numbers.
    """
    in_child: Callable[[], None] | None = None
    prefix = list(account)
    if has_setpriv():
        prefix += ["setpriv", "--pdeathsig", death.name.removeprefix("SIG")]
    elif ON_LINUX:
        in_child = functools.partial(_die_with_parent, death)

    def popen() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*prefix, *map(str, argv)],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=descriptors,
            preexec_fn=in_child,  # noqa: PLW1509  only where setpriv is missing
        )

    return _starter().submit(popen).result()


def stop(
    child: subprocess.Popen[bytes],
    *,
    gently: signal.Signals,
    patience: float,
    firmly: signal.Signals,
) -> int:
    """Ask *child* to end, insist after *patience* seconds, and answer its exit code."""
    for how, seconds in ((gently, patience), (firmly, 5.0), (signal.SIGKILL, 5.0)):
        if child.poll() is None:
            child.send_signal(how)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(seconds)
    return child.wait(5.0)


def _state(pid: int) -> bytes:
    """Read the one letter the kernel has for what *pid* does; empty when it is gone."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
    return b""


def is_alive(pid: int) -> bool:
    """Tell whether *pid* runs; a zombie does not."""
    if ON_LINUX:
        return _state(pid) not in {b"", b"Z", b"X"}
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_called_with(pid: int, text: str) -> bool:
    """Tell whether *text* is in the command line of *pid*."""
    if ON_LINUX:
        with contextlib.suppress(OSError):
            return os.fsencode(text) in Path(f"/proc/{pid}/cmdline").read_bytes()
        return False
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return os.fsencode(text) in subprocess.run(asked, capture_output=True, check=False).stdout


def works_in(pid: int, folder: Path) -> bool:
    """Tell whether *pid* has *folder* as its own (on macOS: was called with it)."""
    if not ON_LINUX:
        return is_called_with(pid, str(folder))
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cwd").samefile(folder)
    return False


def family(pid: int) -> list[int]:
    """List *pid* and its children, so that all of a server can be struck at once."""
    asked = ["ps", "-A", "-o", "pid=,ppid="]
    if ON_LINUX:
        pairs = list(_parents())
    else:
        rows = subprocess.run(asked, capture_output=True, check=False, text=True).stdout
        pairs = [(int(row.split()[0]), int(row.split()[1])) for row in rows.splitlines()]
    return [pid, *(child for child, parent in pairs if parent == pid)]


def _parents() -> Iterator[tuple[int, int]]:
    """List every process of this machine with its parent."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (entry / "stat").read_bytes().rpartition(b") ")[2].split()
                yield int(entry.name), int(fields[1])


def signal_all(pids: Sequence[int], how: signal.Signals) -> None:
    """Send *how* to every one of *pids* that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)


def freeze(pids: Sequence[int]) -> None:
    """Stop *pids* where they stand; they do when this comes back (elsewhere, soon after)."""
    signal_all(pids, signal.SIGSTOP)
    if ON_LINUX:
        await_truth(lambda: all(_state(pid) in {b"T", b"Z", b""} for pid in pids), 5.0, every=0.001)


def end_left_over(pid: int, *, gently: signal.Signals, patience: float) -> None:
    """End a process of an earlier launcher; the caller has made sure that *pid* is the one."""
    for how, seconds in ((gently, patience), (signal.SIGKILL, 5.0)):
        signal_all([pid], signal.SIGCONT)  # a frozen process takes no other signal
        signal_all([pid], how)
        if await_truth(lambda: not is_alive(pid), seconds):
            return
    raise CannotStart(f"process {pid} of an earlier start does not end; end it by hand")


def await_truth(question: Callable[[], bool], patience: float, *, every: float = 0.02) -> bool:
    """Ask until the answer is yes; no longer than *patience* seconds."""
    until = time.monotonic() + patience
    while not question():
        if time.monotonic() > until:
            return False
        time.sleep(every)
    return True


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on *host*:*port* now."""
    return obstacle(port, host) is None


def obstacle(port: int, host: str) -> OSError | None:
    """Find what keeps a server from listening on *host*:*port* now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            return error
    return None


def free_ports(count: int) -> list[int]:
    """Choose distinct free ports; another program may still be quicker."""
    chance = SystemRandom()
    chosen: list[int] = []
    for port in chance.sample(PORTS, len(PORTS)):
        if is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise CannotStart(f"no {count} free ports between {PORTS.start} and {PORTS.stop}")


def tail(log: Path, *, since: int = 0, size_bytes: int = 2048) -> str:
    """Read the end of *log*, at most *size_bytes*, nothing before the offset *since*."""
    try:
        written = log.read_bytes()[since:]
    except OSError:
        return ""
    return written[-size_bytes:].decode(errors="replace").strip()
