"""The images: linted, built without an engine, and run as a cluster would run them.

The build takes the Dockerfile through buildah, unpacked and not installed, on a plain Debian root
that debootstrap makes in the place of the base image. It needs root, and some minutes the first
time; what it makes lies in ``.local/images``.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.check import trial
from deploy.check.builder import Builder, CannotBuild, open_builder
from deploy.check.verdict import Verdict, judged, not_verified, sound, wrong
from deploy.local import record

DOCKERFILE: Final = record.ROOT / "deploy" / "docker" / "Dockerfile"
TARGETS: Final = ("front", "back")
_SMALL: Final = {"front": 300_000_000, "back": 500_000_000}  # bytes, unpacked
_NOT_IN_AN_IMAGE: Final = ("gcc", "cc", "make", "pip", "pip3", "git", "curl")
_OUT_OF_REACH: Final = (
    ("the base image itself", "no registry is asked: the build stands on debootstrap's minbase"),
    ("compose.yaml on a real engine", "none is used here; its promises are tests of the text"),
    ("arm64", "the build runs for this machine's processor alone"),
)


def check_images() -> Iterator[Verdict]:
    yield lint()
    folder = record.local_folder() / "images"
    try:
        with open_builder(folder) as builder:
            for target in TARGETS:
                yield from _check(builder, target)
    except CannotBuild as error:
        yield not_verified("the build of the images", str(error))
    for what, why in _OUT_OF_REACH:
        yield not_verified(what, why)


def lint() -> Verdict:
    """Ask hadolint, which comes with the development packages."""
    found = Path(sys.executable).with_name("hadolint")
    program = str(found) if found.exists() else shutil.which("hadolint")
    if program is None:
        return not_verified("hadolint", "it is not installed")
    asked = subprocess.run(
        [program, "--no-color", str(DOCKERFILE)], check=False, capture_output=True, text=True
    )
    return judged("hadolint", asked.stdout + asked.stderr)


def _check(builder: Builder, target: str) -> Iterator[Verdict]:
    log = builder.build(DOCKERFILE, target)
    if log is not None:
        yield wrong(f"{target}: the build", log[-3_000:])
        return
    config = builder.config_of(target)
    with builder.root_of(target) as root:
        yield sound(f"{target}: the build")
        yield _size(target, root)
        found = [name for name in _NOT_IN_AN_IMAGE if trial.finds(root, name)]
        yield judged(f"{target}: no build tools", ", ".join(found))
        complaints = trial.refuses_without_settings(root, config)
        yield judged(f"{target}: refuses without settings", complaints)
        if target == "back":
            yield judged("back: has the command that makes keys", trial.makes_keys(root, config))
        complaints = trial.lives(root, config)
        yield judged(f"{target}: read-only, process 1, ends at SIGTERM", complaints)


def _size(target: str, root: Path) -> Verdict:
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_symlink())
    what = f"{target}: {size / 1e6:.0f} MB unpacked"
    most = _SMALL[target]
    return sound(what) if size <= most else wrong(what, f"more than {most / 1e6:.0f} MB")
