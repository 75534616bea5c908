"""The services of ``make run`` as child processes, and their log lines on our terminal.

Promises: a service ends with its launcher, also with one that was killed; its output never
blocks it. Refuses to restart what fell: at a desk a crash is to be seen.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local import processes, terminal
from deploy.local.processes import CannotStart


class Service:
    """One Python module, run as ``python -m``, whose lines are shown after its name."""

    def __init__(self, name: str, module: str, environment: Mapping[str, str], cwd: Path) -> None:
        self.name = name
        self._child = processes.start(
            [sys.executable, "-m", module],
            death=signal.SIGKILL,  # it would drain for long, without servers, on the same port
            env={**environment, "PYTHONUNBUFFERED": "1"},
            output=subprocess.PIPE,
            cwd=cwd,
        )
        self.pid = self._child.pid
        self._lines = threading.Thread(target=self._show_lines, daemon=True)
        self._lines.start()

    @property
    def exit_code(self) -> int | None:
        """How it ended; ``None`` while it runs."""
        return self._child.poll()

    def stop(self, patience: float, hurry: threading.Event) -> bool:
        """Ask it to stop, and kill it when that takes too long; tell whether it ended well."""
        if self.exit_code is None:
            self._child.send_signal(signal.SIGTERM)
        over = processes.await_truth(
            lambda: self.exit_code is not None or hurry.is_set(), patience, every=0.05
        )
        is_killed = self.exit_code is None
        if is_killed:
            self._child.kill()
        code = self._child.wait(5.0)
        self._lines.join(1.0)
        if is_killed and not over:
            terminal.say(f"the {self.name} service did not end within {patience:.0f} s: killed")
        return hurry.is_set() or code in {0, -signal.SIGTERM}

    def _show_lines(self) -> None:
        output = self._child.stdout
        if output is None:  # never: it was asked for
            return
        for line in output:
            terminal.show(f"{self.name:>5} │ {line.decode(errors='replace').rstrip()}")
        output.close()


def run_to_end(name: str, module: str, environment: Mapping[str, str], cwd: Path) -> None:
    """Run *module* once; its lines are shown only if it fails, with ``CannotStart``."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        check=False,
        env=dict(environment),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    if done.returncode:
        terminal.show(done.stdout.decode(errors="replace").rstrip())
        raise CannotStart(f"{name} failed with code {done.returncode}; its words are above.")


def watch(alive: Mapping[str, Callable[[], int | None]], until: Callable[[], bool]) -> None:
    """Wait *until* something is true; raise ``CannotStart`` when one of *alive* ends before."""
    while not until():
        for name, exit_code in alive.items():
            code = exit_code()
            if code is not None:
                raise CannotStart(f"the {name} ended by itself, with code {code}: stopping all")
        time.sleep(0.1)
