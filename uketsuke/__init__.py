"""What users of this project import: to author job types and handlers, and to call them.

Authoring costs no more than the contract: the client, and with it aiohttp, is imported when
it is first asked for.
"""

from typing import TYPE_CHECKING, Any

from shared.contract.authoring import (
    Blob,
    ChildContext,
    ChildDied,
    Context,
    Fail,
    Retry,
    Snooze,
    handles,
)
from shared.contract.files import FileReference
from shared.contract.job_types import AfterFailure, Isolation, JobType, Ordering
from shared.contract.jobs import Priority
from shared.contract.retries import Retries

if TYPE_CHECKING:
    from uketsuke.client import Client
    from uketsuke.many import Entry

__all__ = [
    "AfterFailure",
    "Blob",
    "ChildContext",
    "ChildDied",
    "Client",
    "Context",
    "Entry",
    "Fail",
    "FileReference",
    "Isolation",
    "JobType",
    "Ordering",
    "Priority",
    "Retries",
    "Retry",
    "Snooze",
    "handles",
]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from uketsuke.client import Client  # noqa: PLC0415  # brings aiohttp: only when wanted

        return Client
    if name == "Entry":
        from uketsuke.many import Entry  # noqa: PLC0415  likewise

        return Entry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
