"""What ``make`` can be told, each as one command of ``bootstrap.py``.

Standard library only. A command makes sure of its environment first, then becomes the program
it names, so that signals and exit codes are that program's own.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import processes, record, virtualenv

RUN = record.ROOT / "requirements" / "run.lock"
DEV = record.ROOT / "requirements" / "dev.lock"
IMAGES: Mapping[str, Sequence[str]] = {"front": ["oidc", "otel"], "back": ["documents", "otel"]}
"""The images, each with the extras that it brings."""
_STOPS_WITHIN = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is to be installed, and the Python programs to be run one after the other."""

    lock: Path
    programs: Sequence[Sequence[str]]


PROGRAMS: Mapping[str, Command] = {
    "run": Command(lock=RUN, programs=[["-m", "deploy.local.run"]]),
    "demo": Command(lock=RUN, programs=[["-m", "deploy.local.demo"]]),
    "test": Command(lock=DEV, programs=[["-m", "deploy.local.suite"]]),
    "test-fast": Command(
        lock=DEV,
        programs=[
            ["-m", "pytest", "-n", "3", "-m", "not servers and not acceptance and not faults"]
        ],
    ),
    "faults": Command(lock=DEV, programs=[["-m", "deploy.local.suite", "--faults"]]),
    "faults-quick": Command(lock=DEV, programs=[["-m", "deploy.local.suite", "--faults-quick"]]),
    "campaign": Command(lock=DEV, programs=[["-m", "deploy.local.suite", "--campaign"]]),
    "soak": Command(lock=DEV, programs=[["-m", "deploy.local.suite", "--soak", "-s"]]),
    "sabotage": Command(lock=DEV, programs=[["-m", "tests.sabotage.run"]]),
    "lint": Command(
        lock=DEV,
        programs=[["-m", "ruff", "check"], ["-m", "ruff", "format", "--check"]],
    ),
    "types": Command(lock=DEV, programs=[["-m", "mypy"]]),
    "bench": Command(lock=DEV, programs=[["-m", "benchmarks.run"]]),
    "deploy-check": Command(lock=DEV, programs=[["-m", "deploy.check"]]),
    "rehearse": Command(lock=DEV, programs=[["-m", "tests.rehearsal.run"]]),
    "docs": Command(lock=DEV, programs=[["-m", "docs.generate"]]),
}


def say(line: str) -> None:
    """Tell the person at the terminal what happens."""
    print(f"· {line}", file=sys.stderr, flush=True)


def main(words: Sequence[str]) -> int:
    """Run the command that *words* name; answer the exit code."""
    name, *more = words or ["help"]
    os.chdir(record.ROOT)
    if name != "help" and (foreign := _foreign()) is not None:
        say(
            f"{foreign} belongs to another user (an earlier start as root?). Start as that user"
            " again, or remove it, or choose another place with UKETSUKE_LOCAL_DIR."
        )
        return 1
    try:
        if name in PROGRAMS:
            return _run(PROGRAMS[name], more)
        if name in ACTIONS:
            return ACTIONS[name]()
    except (virtualenv.CannotInstall, processes.CannotStart) as error:
        say(str(error))
        return 1
    say(f"commands: {' '.join([*PROGRAMS, *ACTIONS])}")
    return 2


def _foreign() -> Path | None:
    return record.foreign(record.local_folder()) or record.foreign(record.ROOT / ".venv")


def _run(command: Command, more: Sequence[str]) -> int:
    """Run all programs of *command*; the last one takes our place and is given *more*."""
    python = virtualenv.ensure(command.lock, say)
    if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):  # not in the tree, then; but once is enough
        os.environ["PYTHONPYCACHEPREFIX"] = str(record.local_folder() / "compiled")
    inherited = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = f"{python.parent}{os.pathsep}{inherited}"  # for what packages bring: node
    *first, last = command.programs
    codes = [subprocess.run([python, *program], check=False).returncode for program in first]
    argv = [str(python), *last, *more]
    if any(codes):
        subprocess.run(argv, check=False)  # its complaints are wanted too
        return max(codes)
    sys.stdout.flush()
    return os.execv(python, argv)  # noqa: S606  our own Python


def _set_up() -> int:
    virtualenv.ensure(RUN, say)
    return 0


def _stop() -> int:
    """Ask the launcher of ``make run`` to stop, and wait until it has."""
    folder = record.local_folder()
    launcher = record.read(folder).get("launcher")
    if not record.is_held(folder) or not isinstance(launcher, int):
        say("nothing runs here")
        return 0
    say("stopping what `make run` started …")
    processes.signal_all([launcher], signal.SIGTERM)
    if not processes.await_truth(lambda: not record.is_held(folder), _STOPS_WITHIN, every=0.1):
        say(f"process {launcher} does not end; end it by hand")
        return 1
    say("stopped")
    return 0


def _clean() -> int:
    """Stop, then remove what the other commands made: data, environment, caches."""
    if code := _stop():
        return code
    for lock in sorted(record.local_folder().glob("*/lock")):
        if record.is_held(lock.parent):
            say(f"`make {lock.parent.name}` still runs: wait for it, or end it with Ctrl-C")
            return 1
    made = (".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis")
    for folder in (record.local_folder(), *(record.ROOT / name for name in made)):
        if folder.exists():
            say(f"removing {folder}")
            shutil.rmtree(folder)
    return 0


def _of_an_image(name: str) -> list[str]:
    extras = [word for extra in IMAGES[name] for word in ("--extra", extra)]
    return [*extras, "-c", str(RUN), "-o", str(RUN.with_name(f"{name}.lock"))]


def _lock() -> int:
    """Pin anew: all for development first, then of these what running needs, and each image."""
    python = virtualenv.ensure(DEV, say)
    every = "--universal --generate-hashes --no-annotate --no-header --python-version 3.11 -q"
    development = ["--group", "dev", "-o", str(DEV)]
    running = ["--all-extras", "-c", str(DEV), "-o", str(RUN)]
    for output in (["--all-extras", *development], running, *map(_of_an_image, IMAGES)):
        argv = [str(python.with_name("uv")), "pip", "compile", "pyproject.toml"]
        subprocess.run([*argv, *every.split(), *output], check=True)
    return 0


ACTIONS: Mapping[str, Callable[[], int]] = {
    "setup": _set_up,
    "stop": _stop,
    "clean": _clean,
    "lock": _lock,
}
