"""Find RabbitMQ's own scripts and the Erlang they run on; fetch both where apt can.

Never the wrappers in /usr/sbin, which change to the user rabbitmq: the real scripts run under
any user. Nothing is installed: on a machine with systemd that would start a broker at once.
"""

import contextlib
import fcntl
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import deb_packages
from deploy.local.processes import CannotStart
from deploy.local.record import Say

_MISSING = (
    "RabbitMQ was not found{why}. Ways to have one: on Debian or Ubuntu it is fetched by itself"
    " (without root); or install it (`apt-get install rabbitmq-server`, `brew install rabbitmq`);"
    " or name its sbin folder in UKETSUKE_RABBITMQ_SBIN; or start one with Docker (`docker run -p"
    " 127.0.0.1:5672:5672 rabbitmq`); or name a running broker in UKETSUKE_AMQP_URL."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """Where the broker's scripts are, and the Erlang that goes first in PATH, if any is set."""

    sbin: Path
    erlang: Path | None

    def path(self) -> str:
        """Make the PATH under which the scripts find their Erlang."""
        inherited = os.environ.get("PATH", os.defpath)
        return f"{self.erlang}{os.pathsep}{inherited}" if self.erlang else inherited


def find_programs(fetched: Path, say: Say, environ: Mapping[str, str] = os.environ) -> Programs:
    """Answer the first RabbitMQ there is; *fetched* is where one without root goes."""
    named = environ.get("UKETSUKE_RABBITMQ_SBIN")
    if named and not _is_complete(Path(named)):
        raise CannotStart(f"UKETSUKE_RABBITMQ_SBIN={named} does not hold rabbitmq-server.")
    for sbin in _candidates(named):
        if _is_complete(sbin):
            return _with_erlang(sbin)
    return _with_erlang(_fetch(fetched, say))


def _is_complete(sbin: Path) -> bool:
    return all(os.access(sbin / name, os.X_OK) for name in ("rabbitmq-server", "rabbitmqctl"))


def _candidates(named: str | None) -> Iterator[Path]:
    if named:
        yield Path(named).absolute()
    yield from _installed_under(Path("/"))
    for brewed in ("/opt/homebrew/opt/rabbitmq/sbin", "/usr/local/opt/rabbitmq/sbin"):
        yield Path(brewed)
    on_path = shutil.which("rabbitmq-server")
    if on_path:
        real = Path(os.path.realpath(on_path)).parent
        if (real / "rabbitmq-env").exists():  # the wrapper of a distribution has none beside it
            yield real


def _installed_under(root: Path) -> list[Path]:
    """List what Debian's layout holds under *root*, newest first."""
    found = root.glob("usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin")
    return sorted(found, key=lambda sbin: re.findall(r"\d+", sbin.parent.name), reverse=True)


def _with_erlang(sbin: Path) -> Programs:
    """Pair *sbin* with the Erlang of the same tree, else with the one in PATH."""
    beside = sbin.parents[3] / "erlang" / "bin" if len(sbin.parents) > 3 else None  # noqa: PLR2004
    if beside and (beside / "erl").exists():
        return Programs(sbin=sbin, erlang=beside)
    if shutil.which("erl"):
        return Programs(sbin=sbin, erlang=None)
    raise CannotStart(f"{sbin} holds RabbitMQ, but there is no Erlang (`erl`) in PATH.")


def _fetch(fetched: Path, say: Say) -> Path:
    """Unpack the distribution's RabbitMQ to *fetched*, once; two at a time wait for each other."""
    fetched.parent.mkdir(parents=True, exist_ok=True)
    with (fetched.parent / "fetch.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        complete = fetched.with_name(fetched.name + ".complete")
        if not complete.exists():
            _unpack(fetched, say)
            complete.write_text("")
        if complete.read_text() != str(fetched):  # new, or the project has moved
            _set_root(fetched / "usr/lib/erlang")
            _verify(fetched / "usr/lib/erlang")
            complete.write_text(str(fetched))
    with contextlib.suppress(IndexError):
        return _installed_under(fetched)[0]
    complete.unlink()
    raise CannotStart(_MISSING.format(why=" in the packages that were fetched"))


def _unpack(fetched: Path, say: Say) -> None:
    if not deb_packages.can_fetch():
        raise CannotStart(_MISSING.format(why=""))
    say("fetching RabbitMQ, about 34 MB, once (nothing is installed) …")
    shutil.rmtree(fetched, ignore_errors=True)
    try:
        deb_packages.unpack("rabbitmq-server", family=r"erlang-[a-z0-9-]+", into=fetched)
    except deb_packages.CannotFetch as error:
        raise CannotStart(_MISSING.format(why=f" ({error})")) from error


def _set_root(erlang: Path) -> None:
    """Tell Erlang's scripts where they are: else they silently start one of the system."""
    line = f"ROOTDIR={shlex.quote(str(erlang))}"
    for script in (*erlang.glob("bin/*"), *erlang.glob("erts-*/bin/*")):
        if script.name not in {"erl", "start"} or script.is_symlink():
            continue
        before = script.read_bytes()
        after = re.sub(rb"(?m)^(\s*)ROOTDIR=['\"]?/.*$", lambda m: m[1] + os.fsencode(line), before)
        script.write_bytes(after)


def _verify(erlang: Path) -> None:
    """Make sure that the Erlang that starts is the one that was fetched."""
    # As numbers, for without a shell Erlang writes letters beyond Latin-1 in an escape of its own.
    ask = 'io:format("~w",[unicode:characters_to_list(code:root_dir())]),halt().'
    told = subprocess.run(
        [erlang / "bin" / "erl", "-noshell", "-eval", ask],
        capture_output=True,
        check=False,
        env={"HOME": str(erlang), "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
    )
    root = "".join(chr(int(number)) for number in re.findall(rb"\d+", told.stdout))
    if root != str(erlang):
        said = root or told.stderr.decode(errors="replace").strip()[-500:]
        raise CannotStart(f"the fetched Erlang does not start from {erlang}: {said}")
