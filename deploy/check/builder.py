"""Build a Dockerfile without an engine: buildah and debootstrap, unpacked into a folder.

Root only. Everything happens in mount namespaces of its own; nothing is installed here.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.local import deb_packages, record

_BASE: Final = "docker.io/library/debian:bookworm-slim"
_POLICY: Final = '{"default": [{"type": "insecureAcceptAnything"}]}'
_STORAGE: Final = '[storage]\ndriver = "vfs"\nrunroot = "{0}/run"\ngraphroot = "{0}/graph"\n'
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_NEEDS: Final = "buildah|libgpgme11|libassuan0|libdevmapper.*|libsubid4|golang-github-containers-.*"
_SUITE: Final = "bookworm"


class CannotBuild(RuntimeError):
    """Not on this machine; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an image says of how it is run."""

    environment: tuple[str, ...]
    user: str
    folder: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """What is needed to build, in *folder*."""

    folder: Path

    def build(self, dockerfile: Path, target: str) -> str | None:
        """Build *target*; answer the log if that failed."""
        volumes = [
            f"{_CERTIFICATES}:/etc/build-certificates.pem:ro",
            f"{self.folder}/pip.conf:/etc/pip.conf:ro",
        ]
        asked = self._buildah(
            "bud",
            *("--isolation", "chroot", "--layers", "--pull-never"),
            *("--signature-policy", f"{self.folder}/policy.json"),
            *(word for volume in volumes for word in ("--volume", volume)),
            *("--file", str(dockerfile), "--target", target, "--tag", _tag(target)),
            str(record.ROOT),
        )
        return None if asked.returncode == 0 else asked.stdout + asked.stderr

    @contextmanager
    def root_of(self, target: str) -> Iterator[Path]:
        """Lend the file system of what was built."""
        policy = f"{self.folder}/policy.json"
        made = self._buildah("from", "--pull-never", "--signature-policy", policy, _tag(target))
        container = _said(made)
        try:
            yield Path(_said(self._buildah("mount", container)))
        finally:
            self._buildah("rm", container)

    def config_of(self, target: str) -> Config:
        """Read what a container of *target* is started with."""
        asked = self._buildah("inspect", "--type", "image", _tag(target))
        told = json.loads(_said(asked))["OCIv1"]["config"]
        return Config(
            environment=tuple(told["Env"]),
            user=told["User"],
            folder=told["WorkingDir"],
            command=tuple(told["Cmd"]),
        )

    def has_base(self) -> bool:
        return self._buildah("inspect", "--type", "image", _BASE).returncode == 0

    def take_base(self, root: Path) -> None:
        """Make an image of *root* under the name of the base."""
        container = _said(self._buildah("from", "scratch"))
        _said(self._buildah("copy", "--quiet", container, str(root), "/"))
        policy = f"{self.folder}/policy.json"
        _said(self._buildah("commit", "--quiet", "--signature-policy", policy, container, _BASE))
        self._buildah("rm", container)

    def _buildah(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run buildah, which starts itself anew without our environment: hence the mount."""
        tools = self.folder / "tools"
        script = 'mount --bind "$0" /etc/ld.so.cache && exec "$@"'
        cache = str(self.folder / "ld.so.cache")
        program = str(tools / "usr" / "bin" / "buildah")
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, cache, program, *words],
            check=False,
            capture_output=True,
            text=True,
            env=os.environ | {"CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf"},
        )


@contextmanager
def open_builder(folder: Path) -> Iterator[Builder]:
    """Fetch what is needed, once; raise ``CannotBuild`` where that cannot be."""
    _refuse_what_cannot_work()
    folder.mkdir(parents=True, exist_ok=True)
    builder = Builder(folder=folder)
    try:
        if not (folder / "ld.so.cache").exists():
            _fetch_tools(folder)
        if not builder.has_base():
            builder.take_base(_debian(folder))
            shutil.rmtree(folder / "root")
    except (deb_packages.CannotFetch, subprocess.CalledProcessError, OSError) as error:
        raise CannotBuild(str(error)) from error
    yield builder


def _refuse_what_cannot_work() -> None:
    if os.geteuid() != 0:
        raise CannotBuild("it needs root: other users have no way to make a Debian root")
    if not deb_packages.can_fetch() or not shutil.which("unshare"):
        raise CannotBuild("it needs Debian's apt and unshare")


def _fetch_tools(folder: Path) -> None:
    tools = folder / "tools"
    deb_packages.unpack("buildah", family=_NEEDS, into=tools)
    deb_packages.unpack("debootstrap", family="debootstrap", into=tools)
    (folder / "policy.json").write_text(_POLICY)
    (folder / "storage.conf").write_text(_STORAGE.format(folder))
    (folder / "pip.conf").write_text("[global]\ncert = /etc/build-certificates.pem\n")
    libraries = "\n".join(["include /etc/ld.so.conf", *map(str, tools.glob("usr/lib/*-linux-gnu"))])
    (folder / "ld.so.conf").write_text(libraries + "\n")
    cache = str(folder / "ld.so.cache")
    _run(["ldconfig", "-X", "-f", str(folder / "ld.so.conf"), "-C", cache])


def _debian(folder: Path) -> Path:
    root, tools = folder / "root", folder / "tools"
    shutil.rmtree(root, ignore_errors=True)
    os.environ["DEBOOTSTRAP_DIR"] = str(tools / "usr" / "share" / "debootstrap")
    script = str(tools / "usr" / "sbin" / "debootstrap")
    _run(["sh", script, "--variant=minbase", _SUITE, str(root)])
    return root


def _run(argv: Sequence[str]) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True)


def _said(asked: "subprocess.CompletedProcess[str]") -> str:
    if asked.returncode != 0:
        raise CannotBuild(asked.stderr.strip()[-500:])
    return asked.stdout.strip()


def _tag(target: str) -> str:
    return f"localhost/uketsuke-{target}"
