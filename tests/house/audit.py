"""Import every module of the project and tell what that did: run in a process of its own.

Prints one JSON list of what an import must not do: connect, listen, start a program, write a
file, start a thread, or read the environment from a line of ours.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[2]
_TOPS: Final = tuple(
    f"{_ROOT / top}{os.sep}" for top in ("back_service", "front_service", "shared", "uketsuke")
)
_NEVER: Final = frozenset(
    {
        *("os.system", "os.fork", "os.exec", "os.mkdir", "os.remove", "os.rename", "os.putenv"),
        *("os.posix_spawn", "socket.bind", "socket.connect", "socket.getaddrinfo"),
        *("shutil.rmtree", "subprocess.Popen", "tempfile.mkdtemp", "tempfile.mkstemp"),
    }
)
_WRITES: Final = os.O_WRONLY | os.O_RDWR

deeds: list[str] = []


def _where(*, past: str) -> str:
    """Name the nearest line of ours that is being run, at import or below it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(_TOPS):
            return f"{Path(name).relative_to(_ROOT)}:{frame.f_lineno}"
        frame = frame.f_back
    return past


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _NEVER:
        deeds.append(f"{event} {arguments!r:.100} by {_where(past='somebody')}")
    elif event == "open" and (arguments[2] or 0) & _WRITES and arguments[0] != os.devnull:
        deeds.append(f"open for writing {arguments[0]!r} by {_where(past='somebody')}")


class _Environment(type(os.environ)):  # type: ignore[misc]  # the type is private to ``os``
    """Tells which line of ours reads it; what libraries read at import is their own affair."""

    def __getitem__(self, name: str) -> str:
        _note_reader(name)
        value: str = super().__getitem__(name)
        return value

    def __iter__(self) -> Iterator[str]:
        _note_reader("all of it")
        names: Iterator[str] = super().__iter__()
        return names


def _note_reader(name: str) -> None:
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__") in ("os", "collections.abc"):
        frame = frame.f_back
    if frame is not None and frame.f_code.co_filename.startswith(_TOPS):
        deeds.append(f"environment: {name} by {_where(past='')}")


def _modules(tops: list[str]) -> Iterator[str]:
    for top in tops:
        for path in sorted((_ROOT / top).rglob("*.py")):
            parts = path.relative_to(_ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def main(tops: list[str]) -> None:
    sys.dont_write_bytecode = True
    os.environ.__class__ = _Environment
    sys.addaudithook(_hear)
    for module in _modules(tops):
        import_module(module)
    if threading.active_count() > 1:
        deeds.append(f"threads: {[thread.name for thread in threading.enumerate()]}")
    print(json.dumps(deeds), flush=True)
    os._exit(0)  # whatever an import has left running must not keep us


if __name__ == "__main__":
    main(sys.argv[1:])
