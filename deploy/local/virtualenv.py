"""Make ``.venv`` and install what a lock file pins; instant when that is done already.

Standard library only. uv installs (seconds); where it cannot, pip does the same from the same
file (minutes): uv does not read pip's configuration, so a mirror may be known to pip alone.
Nothing is ever removed: a ``make run`` after ``make test`` leaves the test tools in place.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import platform
import subprocess
import sysconfig
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.local import deb_packages, record

UV = "uv==0.13.9"
_NO_PIP = (
    "This Python has no ensurepip, so no virtual environment can be made{why}."
    " On Debian and Ubuntu: apt-get install python3-venv"
)


class CannotInstall(RuntimeError):
    """The environment cannot be made; the text is written for its user."""


def ensure(lock: Path, say: record.Say, home: Path = record.ROOT / ".venv") -> Path:
    """Answer a Python that has all that *lock* pins; install it first where it has not."""
    python = home / "bin" / "python"
    stamp = home / f"installed-{lock.stem}"
    if _reads(stamp) == _fingerprint(lock, home) and _runs(python):
        _show_the_project(home)
        return python
    with _one_at_a_time(say):
        if not _runs(python):
            _make(home, say)
        wanted = _fingerprint(lock, home)
        if _reads(stamp) != wanted:
            _install(python, lock, say)
            stamp.write_text(wanted)
    _show_the_project(home)
    return python


def _show_the_project(home: Path) -> None:
    """Let programs outside this folder import it; an environment that is lent stays as it is."""
    if home.is_symlink():
        return
    for packages in home.glob("lib/python3*/site-packages"):
        file, root = packages / "uketsuke-project.pth", f"{record.ROOT}\n"
        if _reads(file) != root:
            with contextlib.suppress(OSError):
                file.write_text(root)


def _fingerprint(lock: Path, home: Path) -> str:
    """Sum up what an installation depends on: the pins, the Python and its place, the platform."""
    parts = (lock.read_text(), _reads(home / "pyvenv.cfg"), sysconfig.get_platform())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _reads(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text()
    return ""


def _runs(python: Path) -> bool:
    """Tell whether *python* works and has pip: it may be half made, or its base may be gone."""
    try:
        asked = subprocess.run([python, "-c", "import pip"], check=False, capture_output=True)
        return asked.returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def _one_at_a_time(say: record.Say) -> Iterator[None]:
    """Wait for another set-up of this project, as of a ``make test`` beside a ``make run``."""
    folder = record.local_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up of this project …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(home: Path, say: record.Say) -> None:
    say(f"making a virtual environment in {home.name} (Python {platform.python_version()}) …")
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    pip = None if has_ensurepip else _fetch_pip(say)
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=has_ensurepip).create(home)
    if pip:
        _run([home / "bin" / "python", f"{pip}/pip", "install", "-q", "--no-index", pip])


def _fetch_pip(say: record.Say) -> Path:
    """Fetch pip as Debian packages it, without root: its Python comes without ensurepip."""
    if not deb_packages.can_fetch():
        raise CannotInstall(_NO_PIP.format(why=""))
    say("fetching pip (this Python has no ensurepip) …")
    into = record.local_folder() / "pip"
    try:
        deb_packages.unpack("python3-pip-whl", family="python3-pip-whl", into=into)
    except deb_packages.CannotFetch as error:
        raise CannotInstall(_NO_PIP.format(why=f" ({error})")) from error
    return next(into.glob("usr/share/python-wheels/pip-*.whl"))


def _install(python: Path, lock: Path, say: record.Say) -> None:
    count = lock.read_text().count("==")
    say(f"installing about {count} packages of requirements/{lock.name}, this first time only …")
    pinned = ["install", "--require-hashes", "-r", str(lock)]
    uv = str(python.with_name("uv"))
    with contextlib.suppress(CannotInstall, OSError):
        _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", UV])
        _run([uv, "pip", *pinned, "--quiet", "--python", python])
        return
    say("uv could not; pip does the same, in one to three minutes …")
    _run([python, "-m", "pip", *pinned, "--disable-pip-version-check", "--progress-bar", "off"])


def _run(argv: Sequence[str | Path]) -> None:
    if code := subprocess.run(argv, check=False, cwd=record.ROOT).returncode:
        words = " ".join(map(str, argv[:4]))
        raise CannotInstall(f"{words} … ended with code {code}; see above.")
