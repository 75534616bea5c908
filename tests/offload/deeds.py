"""What the children of these tests do: importable functions, good and bad."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from back_service.long_turns import ATTRIBUTES
from shared.contract.authoring import ChildContext


class Awkward(Exception):
    """Pickles, but cannot be built again from what it pickled."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left} and {right}")


warmed: list[int] = []


def warm() -> None:
    warmed.append(os.getpid())


def warmed_by_another() -> bool:
    return len(warmed) == 1 and warmed[0] != os.getpid()


def add(left: int, right: int = 0) -> int:
    return left + right


def turn() -> int | None:
    """Say how long the turns of this thread are, in nanoseconds; ``None`` if nobody knows."""
    number = {"x86_64": 315, "aarch64": 275}.get(os.uname().machine)  # sched_getattr
    told = ctypes.create_string_buffer(ATTRIBUTES.size)
    if number is None or ctypes.CDLL(None).syscall(number, 0, told, ATTRIBUTES.size, 0) != 0:
        return None
    return int(ATTRIBUTES.unpack(told.raw)[5]) or None


def whoami() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "leads_group": os.getpgid(0) == os.getpid(),
        "session": os.getsid(0),
        "niceness": os.nice(0),
        "turn": turn(),
        "environment": dict(os.environ),
        "input": os.read(0, 1),
        "open_files": sorted(int(path.name) for path in Path("/proc/self/fd").iterdir()),
        "umask": os.umask(0),
    }


def fill(size: int) -> bytes:
    return b"\x00" * size


def nest(width: int) -> list[list[int]]:
    return [[number] for number in range(width)]


def crash() -> None:
    ctypes.string_at(0)


def leave(code: int) -> NoReturn:
    os._exit(code)


def throw(error: BaseException) -> NoReturn:
    raise error


def throw_awkward() -> NoReturn:
    raise Awkward("this", "that")


def run_out_of_memory() -> None:
    kept = []
    while True:
        kept.append(bytearray(2**24))


def spin() -> None:
    while True:
        pass


def babble() -> int:
    for _ in range(1_000):
        sys.stdout.write("garbage " * 1_000)
        os.write(2, b"\xff" * 1_000)
    return 42


def answer_with_garbage() -> None:
    os.write(3, b"\xff" * 1_000)
    time.sleep(3_600)


def answer_with_something_else() -> None:
    os.write(3, (4).to_bytes(8, "big") + b"what")
    time.sleep(3_600)


def close_the_pipe() -> None:
    os.close(3)
    time.sleep(3_600)


def open_many() -> int:
    kept = []
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        return len(kept)


def write_file(path: Path, size: int) -> int:
    return path.write_bytes(b"x" * size)


def leave_a_daemon_behind() -> int:
    """Return the number of a process that left group and session, and whose parent is gone."""
    code = "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(3600)"
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    if started.stdout is None:
        raise AssertionError
    return int(started.stdout.readline())


def _family() -> list[int]:
    """Start a child of the child, one that leaves the session, and one that loses its parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pids = [os.getpid(), leave_a_daemon_behind()]
    if (near := os.fork()) == 0:
        spin_slowly()
    reader, writer = os.pipe()
    if (between := os.fork()) == 0:
        if (lost := os.fork()) == 0:
            os.setsid()
            spin_slowly()
        os.write(writer, str(lost).encode())
        os._exit(0)
    os.waitpid(between, 0)
    return [*pids, near, int(os.read(reader, 20))]


def spin_slowly() -> NoReturn:
    while True:
        time.sleep(3_600)


def hang_with_family(context: ChildContext, _request: Any) -> NoReturn:
    """Tell the numbers of all, then hang in code that no Python thread could interrupt."""
    context.progress(1, " ".join(map(str, _family())))
    spin_slowly()


def burn(context: ChildContext, _request: Any) -> None:
    context.progress(1, str(os.getpid()))
    spin()


def report(context: ChildContext, request: int) -> dict[str, Any]:
    for step in range(request):
        context.progress(100 * step / request, f"step {step}")
    context.save_checkpoint({"at": request})
    (context.folder / "scratch").write_text("x")
    return {
        "job_id": context.job_id,
        "attempt": context.attempt,
        "checkpoint": context.checkpoint,
        "cwd": Path.cwd(),
    }
