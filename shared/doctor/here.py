"""Look at this machine and at the settings: what a service would find before it asks anybody."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from shared.contract.authoring import Handler
from shared.contract.findings import Finding, sound, wrong
from shared.contract.job_types import Catalogue
from shared.runtime.descriptors import raise_descriptor_limit
from shared.store.operating import Worker

_BESIDES: Final = 200  # files and sockets that are no connections of clients
_FREE: Final = 0.05  # of the disk: below it uploads are refused


def descriptors(max_connections: int) -> Finding:
    """Compare the limit of open files, raised as a front raises it, with the cap of connections."""
    what, most = "here: open files", raise_descriptor_limit()
    if most >= max_connections + _BESIDES:
        return sound(what, f"{most} may be open")
    change = f"ulimit -n {max_connections + _BESIDES} (systemd: LimitNOFILE), or lower {_CAP}."
    return wrong(what, f"{most} may be open, and {max_connections} connections", change)


_CAP: Final = "UKETSUKE_MAX_CONNECTIONS"


def blob_folder(folder: Path) -> Finding:
    """Write a file to the folder of blobs, as any process does that stores one."""
    what, change = "here: folder of blobs", f"See that {folder} is there and ours to write to."
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(prefix="doctor", dir=folder) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())
        room = shutil.disk_usage(folder)
    except OSError as error:
        return wrong(what, f"{folder}: {error.strerror or error}", change)
    if room.free < room.total * _FREE:
        change = "Make room, or grow the volume: uploads are refused."
        return wrong(what, f"{room.free * 100 // room.total} % of its disk are free", change)
    return sound(what, f"{folder} can be written to")


def unread(names: Iterable[str]) -> Iterator[Finding]:
    """Complain of variables that nobody reads."""
    for name in names:
        yield wrong(f"settings: {name}", "nobody reads it", "Mend the name: docs/settings.md.")


def without_handler(catalogue: Catalogue, handlers: Mapping[str, Handler]) -> Finding:
    """Name the job types that no module of handlers here is for."""
    what, lacking = "job types: handlers", sorted(set(catalogue) - set(handlers))
    if lacking:
        change = "Name the module with their handlers in UKETSUKE_HANDLERS of their workers."
        return wrong(what, f"none for {', '.join(lacking)}", change)
    return sound(what, f"one for each of {len(handlers)} types")


def without_worker(catalogue: Catalogue, workers: Iterable[Worker]) -> Finding:
    """Name the job types that no living worker can run, and why."""
    what, there = "job types: living workers", list(workers)
    lacking = [text for name in sorted(catalogue) if (text := _why(catalogue, name, there))]
    if lacking:
        change = "Start backs for these pools, with the handlers and extras of these types."
        return wrong(what, "; ".join(lacking), change)
    return sound(what, f"{len(there)} live, and can run every type")


def _why(catalogue: Catalogue, name: str, workers: Iterable[Worker]) -> str:
    pool = catalogue[name].pool
    there = [worker for worker in workers if pool in worker.pools and name in worker.types]
    if any(name not in worker.lacking for worker in there):
        return ""
    return f"{name}: {'an extra is missing' if there else f'no worker in pool {pool}'}"
