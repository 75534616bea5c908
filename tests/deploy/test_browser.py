"""A browser for CI: installed where a machine is there for nothing else, and only there."""

from pathlib import Path

import pytest

from deploy.local.browser import ensure_browser, find_browser

APT = """#!/bin/sh
echo "$@" >> {log}
if [ "$1" = "{fails}" ]; then echo "E: no such place" >&2; exit 100; fi
if [ "$1" = install ]; then : > {chromium}; /bin/chmod +x {chromium}; fi
"""


class Machine:
    """A PATH with an apt that only notes what it is told."""

    def __init__(self, folder: Path, *, fails: str = "") -> None:
        self.log, self.said = folder / "log", list[str]()
        self.chromium, apt = folder / "chromium", folder / "apt-get"
        self.path = {"PATH": str(folder)}
        apt.write_text(APT.format(log=self.log, chromium=self.chromium, fails=fails))
        apt.chmod(0o755)

    def ensure(self, *, uid: int = 0, **environ: str) -> list[str]:
        """Give what apt was told."""
        ensure_browser(self.said.append, self.path | environ, uid=uid)
        return self.log.read_text().splitlines() if self.log.exists() else []


def test_ci_on_a_bare_machine_gets_a_browser(tmp_path: Path) -> None:
    """Once: the second time it is there."""
    machine = Machine(tmp_path)

    told = machine.ensure(CI="true")

    assert [words.split()[0] for words in told] == ["update", "install"]
    assert told[1].split()[-1] == "chromium"
    assert find_browser(machine.path) == str(machine.chromium)
    assert machine.ensure(CI="true") == told


@pytest.mark.parametrize(("uid", "environ"), [(0, {}), (1000, {"CI": "true"})])
def test_nothing_is_installed_on_somebodys_machine(
    tmp_path: Path, uid: int, environ: dict[str, str]
) -> None:
    """Neither at a desk, even as root, nor without the right to."""
    assert Machine(tmp_path).ensure(uid=uid, **environ) == []


def test_a_failure_is_told_in_one_line(tmp_path: Path) -> None:
    """The tests that need a browser will then fail, and here stands why."""
    machine = Machine(tmp_path, fails="install")

    machine.ensure(CI="true")

    assert machine.said[-1] == "apt-get install failed: E: no such place"
