"""The way in: what it needs, what it makes, and what the lock files promise."""

import ast
import os
import re
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local import commands, deb_packages, record, virtualenv

BOOTSTRAP = record.ROOT / "deploy" / "local" / "bootstrap.py"


def pins(lock: Path) -> dict[str, str]:
    """Read which version of what *lock* pins, by package and marker."""
    rows = re.findall(r"(?m)^([a-z0-9-]+)==([^\s;\\]+)(.*)$", lock.read_text())
    return {name + marker.rstrip("\\ "): version for name, version, marker in rows}


def test_it_parses_on_an_old_python() -> None:
    """Python 3.6 must get as far as the line that says it is too old."""
    assert ast.parse(BOOTSTRAP.read_text(), feature_version=(3, 6)).body


def test_an_old_python_is_told_in_one_line(tmp_path: Path) -> None:
    """A syntax error from line 1 tells nobody what to do."""
    script = (
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 2)\n"
        f"sys.argv = ['bootstrap.py', 'run']\n"
        f"runpy.run_path({str(BOOTSTRAP)!r}, run_name='__main__')\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": str(tmp_path)},
    )

    assert told.returncode == 1
    assert told.stderr == "Python 3.11 or newer is needed; this is 3.9.2.\n"


def test_a_newer_python_beside_the_old_one_takes_over(tmp_path: Path) -> None:
    """Many machines have a python3.12 that is not their python3."""
    newer = tmp_path / "python3.12"
    newer.write_text('#!/bin/sh\necho "newer: $2"\n')
    newer.chmod(0o755)
    script = (
        "import runpy, sys\n"
        "sys.version_info = (3, 9, 2)\n"
        "sys.argv = ['bootstrap.py', 'run']\n"
        f"runpy.run_path({str(BOOTSTRAP)!r}, run_name='__main__')\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=False,
        text=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )

    assert told.stdout == "newer: run\n"


def test_an_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the finger should end in a hint."""
    assert commands.main(["rum"]) == 2

    assert " run " in capsys.readouterr().err


def test_every_make_target_has_its_command_and_its_line_of_help() -> None:
    """`make help` is made from the file itself, so a target without a comment is hidden."""
    makefile = (record.ROOT / "Makefile").read_text()
    called = set(re.findall(r"\$\(DO\) ([a-z-]+)", makefile))
    targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    documented = set(re.findall(r"(?m)^([a-z-]+):.*## \w", makefile))

    assert called == {*commands.PROGRAMS, *commands.ACTIONS}
    assert targets == documented


def test_what_runs_is_pinned_as_what_is_tested() -> None:
    """Tests of one version say nothing of another."""
    run, dev = pins(commands.RUN), pins(commands.DEV)

    assert len(run) > 20
    assert run.items() <= dev.items()


@pytest.mark.parametrize("lock", [commands.RUN, commands.DEV], ids=lambda lock: str(lock.name))
def test_a_lock_names_no_host_and_hashes_every_package(lock: Path) -> None:
    """It must install from any mirror, and nothing but what was pinned."""
    text = lock.read_text()

    assert "://" not in text
    for block in re.split(r"(?m)^(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in block


def test_the_locks_have_all_that_the_project_asks_for() -> None:
    """A dependency that was added and never locked is missed only on a bare machine."""
    project = tomllib.loads((record.ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    asked = [*project["project"]["dependencies"], *(one for extra in extras for one in extra)]

    def names(requirements: list[str]) -> set[str]:
        found = [re.match(r"[\w.-]+", one) for one in requirements]
        return {re.sub(r"[-_.]+", "-", match[0]).lower() for match in found if match}

    def locked(lock: Path) -> set[str]:
        return {name.split()[0] for name in pins(lock)}

    assert names(asked) <= locked(commands.RUN)
    assert names(project["dependency-groups"]["dev"]) <= locked(commands.DEV)


@dataclass
class Workshop:
    """Stands in for the slow steps: making an environment and installing into it."""

    made: list[Path] = field(default_factory=list)
    installed: list[str] = field(default_factory=list)

    def make(self, home: Path, _say: record.Say) -> None:
        self.made.append(home)
        python = home / "bin" / "python"
        python.parent.mkdir(parents=True, exist_ok=True)
        python.unlink(missing_ok=True)
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)

    def install(self, _python: Path, lock: Path, _say: record.Say) -> None:
        self.installed.append(lock.name)


@pytest.fixture
def workshop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Workshop:
    """Have the slow steps counted instead of done."""
    stand_in = Workshop()
    monkeypatch.setattr(virtualenv, "_make", stand_in.make)
    monkeypatch.setattr(virtualenv, "_install", stand_in.install)
    monkeypatch.setenv("UKETSUKE_LOCAL_DIR", str(tmp_path / "local"))
    return stand_in


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Write a lock file."""
    file = tmp_path / "run.lock"
    file.write_text("one==1\n")
    return file


def ensure(lock: Path) -> Path:
    return virtualenv.ensure(lock, lambda _line: None, lock.with_name("environment"))


def test_what_is_installed_is_not_installed_again(workshop: Workshop, lock: Path) -> None:
    """The second start of a day must not cost what the first did."""
    ensure(lock)
    ensure(lock)

    assert len(workshop.made) == 1
    assert workshop.installed == ["run.lock"]


def test_a_changed_lock_is_installed_into_the_same_environment(
    workshop: Workshop, lock: Path
) -> None:
    """After a pull the next start has what the code now needs, without starting over."""
    ensure(lock)
    lock.write_text("one==2\n")

    ensure(lock)

    assert len(workshop.made) == 1
    assert workshop.installed == ["run.lock"] * 2


def test_an_environment_whose_python_went_away_is_made_anew(
    workshop: Workshop, lock: Path, tmp_path: Path
) -> None:
    """An upgrade of the system's Python must not need a person who knows of .venv."""
    python = ensure(lock)
    python.unlink()
    python.symlink_to(tmp_path / "gone")

    ensure(lock)

    assert len(workshop.made) == 2


def test_an_interrupted_installation_is_done_again(
    workshop: Workshop, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of it must not leave half an environment that counts as whole."""

    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(virtualenv, "_install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ensure(lock)
    monkeypatch.setattr(virtualenv, "_install", workshop.install)

    ensure(lock)

    assert workshop.installed == ["run.lock"]


def test_a_program_anywhere_can_import_the_project(
    workshop: Workshop, lock: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller's program lies in the caller's folder; an older environment is mended, once."""
    home = lock.with_name("environment")
    venv.EnvBuilder(symlinks=True).create(home)
    monkeypatch.setattr(virtualenv, "_runs", lambda _python: True)
    ensure(lock)
    (file,) = home.glob("lib/python3*/site-packages/uketsuke-project.pth")
    file.unlink()

    python = ensure(lock)
    written = file.stat().st_mtime_ns
    ensure(lock)

    assert file.stat().st_mtime_ns == written
    assert workshop.installed == ["run.lock"]
    asks = "import importlib.util; print(importlib.util.find_spec('uketsuke').origin)"
    told = subprocess.run(
        [python, "-c", asks], capture_output=True, check=True, cwd=lock.parent, text=True
    )
    assert Path(told.stdout.strip()) == record.ROOT / "uketsuke" / "__init__.py"


def test_an_environment_that_is_lent_is_left_alone(
    workshop: Workshop, lock: Path, tmp_path: Path
) -> None:
    """Another copy of the project may share it by a link; whose it is stays so."""
    packages = tmp_path / "theirs" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (tmp_path / "environment").symlink_to(tmp_path / "theirs")

    ensure(lock)

    assert workshop.installed == ["run.lock"]
    assert list(packages.iterdir()) == []


def test_without_pip_and_packages_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's plain Python has no ensurepip, and another system may have no apt."""
    monkeypatch.setattr(deb_packages, "can_fetch", lambda: False)

    with pytest.raises(virtualenv.CannotInstall, match="apt-get install python3-venv"):
        virtualenv._fetch_pip(lambda _line: None)


def test_a_tree_without_bytecode_stays_so_and_is_compiled_once(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else each of a hundred processes of a test run compiles all modules anew."""
    became: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(virtualenv, "ensure", lambda _lock, _say: Path(sys.executable))
    monkeypatch.setattr(os, "execv", lambda path, argv: became.append((path, argv)))
    monkeypatch.setenv("PATH", os.environ["PATH"])
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", "")

    commands._run(commands.PROGRAMS["test-fast"], [])

    assert len(became) == 1
    assert "PYTHONDONTWRITEBYTECODE" not in os.environ
    assert os.environ["PYTHONPYCACHEPREFIX"] == str(tmp_path / "local" / "compiled")


def test_clean_takes_nothing_from_under_a_running_suite(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The servers of `make test` lie in the folder that `make clean` removes."""
    monkeypatch.setenv("UKETSUKE_LOCAL_DIR", str(tmp_path))
    with record.hold(tmp_path / "test") as got_it:
        assert got_it
        assert commands.main(["clean"]) == 1

    assert "make test" in capsys.readouterr().err
    assert (tmp_path / "test").is_dir()


def test_what_another_user_made_is_told_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a start as root: half of it could be removed, and nothing could be run."""
    (tmp_path / "rabbitmq" / "node").mkdir(parents=True)
    (tmp_path / "rabbitmq" / "node" / "launched").touch()
    monkeypatch.setenv("UKETSUKE_LOCAL_DIR", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)

    assert commands.main(["clean"]) == 1

    assert f"{tmp_path} belongs to another user" in capsys.readouterr().err
    assert (tmp_path / "rabbitmq" / "node" / "launched").exists()


def test_what_root_made_deep_inside_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The folder itself may be ours all the same."""
    deep = tmp_path / "rabbitmq" / "node" / "launched"
    deep.mkdir(parents=True)
    theirs = deep.lstat().st_uid + 1
    real = Path.lstat
    monkeypatch.setattr(os, "getuid", lambda: theirs)
    monkeypatch.setattr(
        Path,
        "lstat",
        lambda path: (
            real(path) if path == deep else os.stat_result((0, 0, 0, 0, theirs, 0, 0, 0, 0, 0))
        ),
    )

    assert record.foreign(tmp_path) == deep
