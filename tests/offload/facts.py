"""A job for handlers that run in a child, and a look at processes from outside."""

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path

from back_service.child import JobFacts
from shared.contract.ids import THE_TENANT, TrackId
from shared.runtime.clock import fresh_job_id


def some_facts(folder: Path) -> JobFacts:
    job_id = fresh_job_id()
    return JobFacts(
        job_id=job_id,
        tenant=THE_TENANT,
        track_id=TrackId("track-1"),
        type="tests.deed",
        attempt=2,
        max_attempts=4,
        idempotency_key=str(job_id),
        checkpoint={"at": 1},
        folder=folder,
    )


def state_of(pid: int) -> str:
    """Answer the state letter of a process, or nothing if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


async def gone(pids: Iterable[int]) -> None:
    """Wait until none of *pids* is left, not even as a zombie."""
    for pid in pids:
        while state_of(pid):  # noqa: ASYNC110  # the kernel has no event for a stranger's end
            await asyncio.sleep(0.01)


async def dead(pid: int) -> None:
    """Wait until *pid* burns nothing any more; to reap it may be the machine's own business."""
    while state_of(pid) not in {"", "Z", "X"}:  # noqa: ASYNC110  # as in gone
        await asyncio.sleep(0.01)


def zombies() -> list[int]:
    """List the dead that this process or one of its children has not reaped."""
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal())
    return [pid for pid in numbers if state_of(pid) == "Z" and _is_ours(pid)]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _is_ours(pid: int) -> bool:
    while pid > 1:
        if pid == os.getpid():
            return True
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return False
    return False
