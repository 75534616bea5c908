"""A launcher as a process of its own, on servers that are there already."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from deploy.local import processes, record
from tests.support.needs import need_setting

_PATIENCE = 40.0
_STANDINS = ["--migrate", "tests.deploy.standins.migrate"]
_STANDINS += ["--front", "tests.deploy.standins.front", "--back", "tests.deploy.standins.back"]


class Launcher:
    """One ``make run`` with small programs in the place of the services."""

    def __init__(
        self, folder: Path, port: int, environment: dict[str, str], words: Sequence[str]
    ) -> None:
        self.port = port
        self.folder = Path(environment["UKETSUKE_LOCAL_DIR"])
        self._output = folder / f"output-{port}-{os.urandom(4).hex()}"
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.run", *_STANDINS, *words],
                cwd=record.ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def lines(self) -> list[str]:
        """What it has said so far."""
        return self._output.read_text().splitlines()

    def says(self, words: str) -> bool:
        """Wait until it says *words*; false when it ends before."""
        processes.await_truth(
            lambda: any(words in line for line in self.lines) or self.process.poll() is not None,
            _PATIENCE,
        )
        return any(words in line for line in self.lines)

    def pid_of_back(self) -> int:
        """Read the process of the back service from what it says."""
        assert self.says("back is ")
        return int(next(line for line in self.lines if "back is " in line).split()[-1])

    def ends(self, how: signal.Signals | None = None) -> int:
        """Send *how*, if anything, and answer the exit code."""
        if how is not None:
            self.process.send_signal(how)
        return self.process.wait(_PATIENCE)


Launch = Callable[..., Launcher]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start launchers on the servers of this test run; end them whatever happens."""
    given = {name: need_setting(f"UKETSUKE_TEST_{name}") for name in ("DATABASE_URL", "AMQP_URL")}
    started: list[Launcher] = []
    inherited = {key: text for key, text in os.environ.items() if not key.startswith("UKETSUKE_")}

    def start(*, port: int | None = None, words: Sequence[str] = (), **more: str) -> Launcher:
        own_port = port or processes.free_ports(1)[0]
        environment = {
            **inherited,
            **{f"UKETSUKE_{name}": url for name, url in given.items()},
            "UKETSUKE_LOCAL_DIR": str(tmp_path / "local"),
            "UKETSUKE_PORT": str(own_port),
            **more,
        }
        started.append(Launcher(tmp_path, own_port, environment, words))
        return started[-1]

    yield start
    for launcher in started:
        launcher.process.kill()
        launcher.process.wait(_PATIENCE)
